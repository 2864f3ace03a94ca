// Turns under way: what this page asked for, what others wait for, and what was refused.

import { at, button, element, keepingFocus, showList } from "./dom.js";
import { asked } from "./path.js";
import { send } from "./server.js";
import { head, isBusy, lastScene, newKey, playerName, state, storePending } from "./state.js";

export function play(what) {
  const request = { type: "play", request_key: newKey(), player: playerName(), ...what };
  state.pending.set(request.request_key, request);
  storePending();
  send(request);
  showTurns();
}

export function resendPending() {
  for (const request of state.pending.values()) send(request);
}

export function say(text) {
  const instruction = text || null;
  if (!isBusy()) return play({ instruction, expected_head: head() });
  return play({ instruction, busy: document.querySelector("input[name=busy]:checked").value });
}

function stop(key) {
  if (!state.turns.some((turn) => turn.request_key === key)) forget(key); // the server has never seen it
  send({ type: "stop", request_key: key, player: playerName() });
  showTurns();
}

// For a turn whose server has died: it need not be waited for, but the model is asked from the start.
function askAgain(key) {
  const { choice = null, instruction = null, regenerate = false } = forget(key);
  send({ type: "stop", request_key: key, player: playerName() });
  const place = choice || regenerate ? { expected_head: head() } : {};
  play({ choice, instruction, regenerate, ...place, replace_own: true });
}

function forget(key) {
  const request = state.pending.get(key);
  state.pending.delete(key);
  storePending();
  return request;
}

// The text stays in its field until the server has the request, and leaves it only when it is still the same text.
function accepted(key) {
  const field = at("instruction");
  const request = state.pending.get(key);
  if (request?.instruction && field.value.trim() === request.instruction) setText("");
}

export function setText(text) {
  at("instruction").value = text;
  at("instruction").dispatchEvent(new Event("input"));
}

export function receiveTurns(turns) {
  state.turns = turns;
  for (const turn of turns) accepted(turn.request_key);
  showTurns();
}

export function receiveText({ request_key: key, at: place, piece }) {
  const turn = state.turns.find((each) => each.request_key === key);
  if (!turn) return;
  turn.text = turn.text.slice(0, place) + piece;
  const shown = at("turns").querySelector(`[data-turn="${CSS.escape(key)}"] .text`);
  if (!shown) return;
  const follows = window.innerHeight + window.scrollY > document.documentElement.scrollHeight - 160;
  shown.textContent = turn.text;
  if (follows) window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
}

export function receiveOutcome(outcome) {
  if (outcome.type === "scene") accepted(outcome.request_key);
  const request = forget(outcome.request_key);
  state.turns = state.turns.filter((turn) => turn.request_key !== outcome.request_key);
  if (request && outcome.type === "refused") {
    state.problems.push({ ...outcome, request });
    if (request.instruction && !at("instruction").value) setText(request.instruction);
  }
  showTurns();
}

export function showTurns() {
  const known = new Set(state.turns.map((turn) => turn.request_key));
  const unsent = [...state.pending.values()].filter((request) => !known.has(request.request_key));
  const turns = [...state.turns, ...unsent.map((request) => ({ ...request, unsent: true, text: "" }))];
  turns.sort((one, other) => Boolean(other.running) - Boolean(one.running));
  const change = () => {
    showList(at("turns"), turns, (turn) => `${turn.request_key} ${status(turn)}`, showTurn);
    showList(at("problems"), state.problems, (problem) => problem.request_key, showProblem);
    const choices = isBusy() ? [] : lastScene()?.choices ?? [];
    showList(at("choices"), choices, (choice) => `${head()} ${choice.number}`, showChoice);
  };
  keepingFocus(change, () => at("path").lastElementChild ?? at("instruction"));
  at("busy").hidden = !isBusy();
  for (const id of ["undo", "regenerate", "show-alternatives"]) at(id).disabled = isBusy() || !lastScene();
  const hasNext = state.tree.some((place) => (place.parent ?? 0) === head());
  at("redo").disabled = isBusy() || !hasNext;
}

function status(turn) {
  if (turn.running) return turn.regenerate ? "This scene is being written again" : "Being written";
  if (turn.unsent) return state.connected ? "Being sent" : "Is sent when the connection is back";
  if (state.turns.some((each) => each.running)) return "Waits in line";
  return turn.replace_own ? "Starts" : "Waits in line; if its server has died, another one goes on with it soon";
}

function showTurn(turn) {
  const chosen = lastScene()?.choices.find((choice) => choice.number === turn.choice);
  const mine = state.pending.has(turn.request_key);
  const isOrphaned = mine && !turn.running && !turn.unsent && !state.turns.some((each) => each.running);
  const shown = element("div", { className: turn.running ? "turn running" : "turn" },
    asked({ player: turn.player, choice: chosen?.text, instruction: turn.instruction })
      ?? element("p", { className: "asked" }, element("b", { textContent: turn.player })),
    element("div", { className: "text", textContent: turn.text }),
    element("div", { className: "row" },
      element("span", { className: "small status", textContent: status(turn) }),
      isOrphaned ? button("Ask the model again now", () => askAgain(turn.request_key)) : null,
      button(turn.running ? "Stop" : mine ? "Withdraw" : "Remove", () => stop(turn.request_key))));
  shown.dataset.turn = turn.request_key;
  return shown;
}

function showChoice(choice) {
  return button(choice.text, () => play({ choice: choice.number, expected_head: head() }), "choice");
}

const STEPS = {
  "try again": ["Try again", {}],
  queue: ["Wait in line", { busy: "queue" }],
  merge: ["Join the next turn", { busy: "merge" }],
  "take over": ["Take over", { busy: "replace" }],
};

// A choice and a regenerated scene belong to the scene that the player saw; only an instruction can go elsewhere.
const isBound = (request) => Boolean(request.choice || request.regenerate);

function steps({ error, next, request }) {
  if (!isBound(request)) return next;
  return error === "StaleHead" ? [] : next.filter((step) => step !== "queue" && step !== "merge");
}

function showProblem(problem) {
  const { request } = problem;
  const dismiss = () => {
    state.problems = state.problems.filter((each) => each !== problem);
    showTurns();
  };
  const again = ([words, change]) => button(words, () => {
    const { choice = null, instruction = null, regenerate = false } = request;
    dismiss();
    const same = { choice, instruction, regenerate, expected_head: request.expected_head };
    if (isBound(request)) return play({ ...same, ...change });
    const place = change.busy || isBusy() ? { busy: change.busy ?? "queue" } : { expected_head: head() };
    play({ instruction, ...place });
  });
  return element("div", { className: "problem" },
    element("p", { textContent: problem.message }),
    request.instruction ? element("p", { className: "small", textContent: `Your text: ${request.instruction}` }) : null,
    element("div", { className: "row" },
      ...steps(problem).map((step) => again(STEPS[step])),
      button("Dismiss", dismiss, "quiet")));
}
