// The side panel: the world as of a scene, and the tree of branches.

import { at, button, element, showList } from "./dom.js";
import { call } from "./server.js";
import { head, state } from "./state.js";

let asked = 0;

export async function loadWorld() {
  const request = ++asked;
  const number = state.selected ?? head();
  const world = await call(`/stories/${state.story.id}/scenes/${number}/world`);
  if (request !== asked) return; // a later request overtook this one
  at("as-of").textContent = world.scene ? `As of scene ${world.position}.` : "Before the first scene.";
  at("to-present").hidden = state.selected === null;
  at("world").replaceChildren(
    part("Cast", world.cast.map((name) => element("span", { className: "tag", textContent: name })), "tags"),
    part("Facts", facts(world.facts)),
    part("Relationships", world.relationships.map(relationship)),
    part("Memories", world.memories.map(memory)));
}

function part(title, rows, className = "") {
  const shown = rows.length ? rows : [element("p", { className: "small", textContent: "None yet." })];
  return element("section", { className: "part" }, element("h3", { textContent: title }),
    element("div", { className }, ...shown));
}

function facts(found) {
  const bySubject = Map.groupBy ? Map.groupBy(found, (fact) => fact.subject) : grouped(found);
  return [...bySubject].map(([subject, own]) => element("dl", {},
    element("dt", { textContent: subject }),
    ...own.map((fact) => element("dd", { textContent: `${fact.attribute}: ${words(fact.value)}` }))));
}

function grouped(found) {
  const groups = new Map();
  for (const fact of found) groups.set(fact.subject, [...(groups.get(fact.subject) ?? []), fact]);
  return groups;
}

const words = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function relationship({ source, target, kind, trust, sentiment }) {
  const signed = (value) => (value > 0 ? "+" : "") + value.toFixed(1);
  const parts = [kind, trust ? `trust ${signed(trust)}` : "", sentiment ? `sentiment ${signed(sentiment)}` : ""];
  return element("p", {}, element("b", { textContent: `${source} → ${target}` }),
    ` ${parts.filter(Boolean).join(", ") || "neutral"}`);
}

function memory({ text, character }) {
  return element("p", {}, character ? element("b", { textContent: `${character}: ` }) : null, text);
}

// The tree: a run of scenes without a fork is one row. The first continuation of a fork stays below, others move in.
export function showTree({ goTo, fork }) {
  const rows = runs();
  const onPath = pathNumbers();
  const key = ({ scenes, names, depth }) => JSON.stringify(
    [scenes[0].number, scenes.length, names, depth, onPath.has(scenes[0].number), state.story.branch.number]);
  showList(at("tree"), rows, key, (run) => showRun(run, onPath, { goTo, fork }));
}

function runs() {
  const children = new Map();
  for (const place of state.tree) {
    const parent = place.parent ?? 0;
    children.set(parent, [...(children.get(parent) ?? []), place]);
  }
  const found = [];
  const open = (children.get(0) ?? []).map((place, index) => [place, index]).reverse();
  while (open.length) {
    const [first, depth] = open.pop();
    const scenes = [first];
    let next = children.get(first.number) ?? [];
    while (next.length === 1 && !scenes[scenes.length - 1].branches.length) {
      scenes.push(next[0]);
      next = children.get(next[0].number) ?? [];
    }
    const last = scenes[scenes.length - 1];
    found.push({ scenes, depth, last, names: last.branches.map(branchName), isEnd: !next.length });
    next.map((place, index) => [place, depth + index]).reverse().forEach((each) => open.push(each));
  }
  return found;
}

const branchName = (number) => (
  state.story.branches.find((branch) => branch.number === number)?.name ?? `branch ${number}`);

function pathNumbers() {
  const parents = new Map(state.tree.map((place) => [place.number, place.parent ?? 0]));
  const found = new Set();
  for (let number = head(); number; number = parents.get(number) ?? 0) found.add(number);
  return found;
}

function showRun({ scenes, depth, last, names, isEnd }, onPath, { goTo, fork }) {
  const first = scenes[0];
  const label = scenes.length > 1 ? `Scenes ${first.position}–${last.position}` : `Scene ${first.position}`;
  const isCurrent = onPath.has(first.number);
  const row = button(label, () => {
    if (onPath.has(last.number)) goTo({ scene: first.number });
    else if (last.branches.length) goTo({ branch: last.branches[0] });
    else if (isEnd) fork(last);
    else goTo({ branch: branchBelow(last.number), scene: last.number });
  }, isCurrent ? "run current" : "run");
  row.append(...names.map((name) => element("span", { className: "tag", textContent: name })));
  if (isEnd && !names.length) row.append(element("span", { className: "small", textContent: " undone" }));
  if (last.branches.includes(state.story.branch.number)) row.setAttribute("aria-current", "true");
  const item = element("li", {}, row);
  item.style.paddingInlineStart = `${Math.min(depth, 8) * 0.9}rem`;
  return item;
}

// A branch whose path leads through a scene, or null.
function branchBelow(number) {
  const open = [number];
  while (open.length) {
    const here = open.pop();
    const place = state.tree.find((each) => each.number === here);
    if (place.branches.length) return place.branches[0];
    open.push(...state.tree.filter((each) => each.parent === here).map((each) => each.number));
  }
  return null;
}
