// The scenes of the branch that is played, older ones as the reader scrolls up, and the last scene's alternatives.

import { at, button, element, keepingFocus, showList } from "./dom.js";
import { attempt, call } from "./server.js";
import { head, lastScene, state } from "./state.js";

export function joinPath(newest) {
  // What is loaded and leads to the newest scenes stays; on another path all of it is replaced.
  const first = newest.path[0];
  const place = first ? state.path.findIndex((scene) => scene.number === first.number) : -1;
  if (place > 0) {
    state.path = [...state.path.slice(0, place), ...newest.path];
  } else {
    state.path = newest.path;
    state.older = newest.older;
  }
}

export function showPath(whenAsked) {
  const change = () => showList(
    at("path"), state.path, (scene) => `${scene.number}:${scene.version}`, (scene) => showScene(scene, whenAsked));
  keepingFocus(change, () => at("path").lastElementChild);
  for (const shown of at("path").children) {
    shown.classList.toggle("selected", Number(shown.dataset.number) === state.selected);
  }
}

function showScene(scene, { showWorld, fork }) {
  const shown = element("section", { className: "scene", tabIndex: -1 },
    asked(scene.asked),
    element("div", { className: "text", textContent: scene.text }),
    element("footer", { className: "row" },
      element("span", { className: "small", textContent: `Scene ${scene.position}` }),
      button("Branch from here", () => fork(scene), "link"),
      button("World here", () => showWorld(scene.number), "link")));
  shown.dataset.number = scene.number;
  shown.setAttribute("aria-label", `Scene ${scene.position}`);
  return shown;
}

// What a player brought to a turn: who, the choice, the instruction.
export function asked({ player, choice, instruction }) {
  if (!choice && !instruction) return null;
  return element("p", { className: "asked" },
    player ? element("b", { textContent: `${player}: ` }) : null,
    [choice, instruction].filter(Boolean).join("\n"));
}

let loading = false;

export async function loadOlder(whenAsked) {
  if (!state.older || loading) return;
  const story = state.story;
  loading = true;
  at("older").hidden = false;
  await attempt(async () => {
    const before = encodeURIComponent(state.older);
    const found = await call(`/stories/${story.id}/scenes?branch=${story.branch.number}&before=${before}`);
    if (state.story?.id !== story.id || state.story.branch.number !== story.branch.number) return;
    const height = document.documentElement.scrollHeight;
    state.path = [...found.path, ...state.path];
    state.older = found.older;
    showPath(whenAsked);
    window.scrollBy({ top: document.documentElement.scrollHeight - height, behavior: "instant" });
  });
  loading = false;
  at("older").hidden = true;
}

export async function showAlternatives(whenChosen) {
  const isOpen = at("show-alternatives").getAttribute("aria-expanded") === "true";
  at("alternatives").hidden = !isOpen || !lastScene();
  if (at("alternatives").hidden) return;
  const number = head();
  const found = (await call(`/stories/${state.story.id}/scenes/${number}/alternatives`)).filter((each) => each.text);
  if (number !== head()) return;
  const place = (each) => `${each.id} ${each.shown} ${each.scene}`;
  showList(at("alternatives"), found, place, (each) => showAlternative(each, whenChosen));
  if (!found.length) at("alternatives").replaceChildren(element("p", { textContent: "No model wrote this scene." }));
}

function showAlternative(each, whenChosen) {
  const card = element("div", { className: each.shown ? "card shown" : "card" },
    element("div", { className: "text", textContent: each.text }));
  if (each.shown) {
    card.append(element("p", { className: "mark", textContent: "Shown in this branch" }));
    return card;
  }
  const choose = button("Show this one", () => attempt(async () => {
    await call(`/stories/${state.story.id}/choose`, { generation: each.id, expected_head: head() });
    await whenChosen();
  }));
  card.append(element("div", { className: "row" }, choose,
    each.scene ? element("span", { className: "small", textContent: "Shown in another branch" }) : null));
  return card;
}
