// The page: loads a story, follows it, and connects the parts.

import { at, button, element, showList } from "./dom.js";
import { joinPath, loadOlder, showAlternatives, showPath } from "./path.js";
import { attempt, call, connect, disconnect } from "./server.js";
import { head, newKey, playerName, restorePending, state } from "./state.js";
import { play, receiveOutcome, receiveText, receiveTurns, resendPending, say, showTurns } from "./turns.js";
import { loadWorld, showTree } from "./world.js";

const whenAsked = { showWorld, fork: openFork };
let loading = null;
let loadAgain = false;
let createKey = newKey();

// Loads what is shown; calls that come meanwhile share one more load after it.
function load() {
  if (loading) {
    loadAgain = true;
    return loading;
  }
  loading = loadNow().finally(() => {
    loading = null;
    if (loadAgain) {
      loadAgain = false;
      attempt(load);
    }
  });
  return loading;
}

async function loadNow() {
  const id = location.hash.slice(1);
  if (!id) return;
  const [story, tree] = await Promise.all([call(`/stories/${id}`), call(`/stories/${id}/tree`)]);
  if (id !== location.hash.slice(1)) return;
  const moved = state.story?.branch.number !== story.branch.number || head() !== story.branch.head;
  const isOther = state.story?.branch.number !== story.branch.number;
  if (moved) {
    state.selected = null;
    at("show-alternatives").setAttribute("aria-expanded", "false");
  }
  Object.assign(state, { story, tree });
  joinPath(story);
  showStory();
  if (isOther) window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  await Promise.all([loadWorld(), showAlternatives(load), loadStories()]);
}

function showStory() {
  const { story } = state;
  at("welcome").hidden = true;
  at("story").hidden = false;
  at("new").open = false;
  document.title = `${story.title} · Story generator`;
  at("bar-title").textContent = at("story-title").textContent = story.title;
  at("story-premise").textContent = story.premise;
  at("branch-name").textContent = story.branch.name;
  showPath(whenAsked);
  showTurns();
  showTree({ goTo, fork: openFork });
}

async function loadStories(after = null) {
  const page = await call(`/stories${after ? `?after=${encodeURIComponent(after)}` : ""}`);
  const shown = after ? [...loadStories.shown, ...page.stories] : page.stories;
  loadStories.shown = shown;
  const open = location.hash.slice(1);
  showList(at("stories"), shown, (each) => `${each.id} ${each.title} ${each.scenes} ${each.id === open}`, (each) => {
    const show = () => { location.hash = each.id; close(); };
    const row = button(each.title, show, each.id === open ? "run current" : "run");
    row.append(element("span", { className: "small", textContent: ` ${each.scenes}` }));
    row.title = each.premise;
    return element("li", {}, row);
  });
  at("more-stories").hidden = !page.next;
  at("more-stories").onclick = () => attempt(() => loadStories(page.next));
}

function openStory() {
  disconnect();
  const id = location.hash.slice(1);
  Object.assign(state, { story: null, path: [], older: null, tree: [], turns: [], problems: [], selected: null });
  restorePending(id);
  at("story").hidden = true;
  at("show-alternatives").setAttribute("aria-expanded", "false");
  if (!id) return;
  attempt(load);
  connect(id, {
    opened: () => { resendPending(); attempt(load); },
    received: (message) => attempt(() => receive(message)),
  });
}

async function receive(message) {
  if (message.type === "turns") receiveTurns(message.turns);
  if (message.type === "text") receiveText(message);
  if (message.type === "refused" || message.type === "scene") {
    if (message.type === "scene") await load();
    receiveOutcome(message);
  }
  if (message.type === "changed" || message.type === "reload") await load();
}

function showWorld(number) {
  state.selected = number === head() ? null : number;
  showPath(whenAsked);
  if (at("open-world").checkVisibility()) openPanel("world"); // it is a drawer here
  attempt(loadWorld);
}

async function goTo({ branch = null, scene = null }) {
  close();
  if (branch !== null && branch !== state.story.branch.number) await move("switch", { branch });
  if (scene === null) return;
  while (state.older && !state.path.some((each) => each.number === scene)) await loadOlder(whenAsked);
  const shown = at("path").querySelector(`[data-number="${scene}"]`);
  shown?.scrollIntoView({ block: "start" });
  shown?.focus({ preventScroll: true });
}

const move = (what, body) => attempt(async () => {
  await call(`/stories/${state.story.id}/${what}`, body);
  await load();
});

function openFork(scene) {
  at("fork-title").textContent = `Branch from scene ${scene.position}`;
  at("fork-name").value = `From scene ${scene.position}`;
  at("fork-problem").hidden = true;
  at("fork").showModal();
  at("fork-name").select();
  at("fork-form").onsubmit = async (event) => {
    event.preventDefault();
    try {
      await call(`/stories/${state.story.id}/fork`, { name: at("fork-name").value, at: scene.number });
      at("fork").close();
      close();
      await load();
    } catch (error) {
      at("fork-problem").textContent = error.message;
      at("fork-problem").hidden = false;
    }
  };
}

// The side panels are drawers where the screen is narrow.
function openPanel(name) {
  document.body.dataset.open = name;
  at("backdrop").hidden = false;
  for (const each of ["stories", "world"]) at(`open-${each}`).setAttribute("aria-expanded", String(each === name));
  at(`${name}-panel`).querySelector(".close").focus();
}

function close() {
  const { open } = document.body.dataset;
  delete document.body.dataset.open;
  at("backdrop").hidden = true;
  for (const each of ["stories", "world"]) at(`open-${each}`).setAttribute("aria-expanded", "false");
  if (open) at(`open-${open}`).focus();
}

function connectControls() {
  at("new-story").oninput = () => { createKey = newKey(); };
  at("new-story").onsubmit = (event) => {
    event.preventDefault();
    attempt(async () => {
      const story = { title: at("title").value, premise: at("premise").value, request_key: createKey };
      const made = await call("/stories", story); // a double click is one request, and one story
      createKey = newKey();
      at("new-story").reset();
      location.hash = made.id;
      close();
    });
  };
  at("say").onsubmit = (event) => {
    event.preventDefault();
    say(at("instruction").value.trim());
  };
  at("instruction").onkeydown = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      at("say").requestSubmit();
    }
  };
  at("instruction").oninput = () => {
    at("instruction").style.height = "auto";
    at("instruction").style.height = `${at("instruction").scrollHeight + 2}px`;
  };
  for (const what of ["undo", "redo"]) at(what).onclick = () => move(what, { expected_head: head() });
  at("regenerate").onclick = () => play({ regenerate: true, expected_head: head() });
  at("show-alternatives").onclick = () => attempt(async () => {
    const isOpen = at("show-alternatives").getAttribute("aria-expanded") === "true";
    at("show-alternatives").setAttribute("aria-expanded", String(!isOpen));
    await showAlternatives(load);
  });
  at("to-present").onclick = () => showWorld(head());
  at("fork-cancel").onclick = () => at("fork").close();
  for (const each of ["stories", "world"]) at(`open-${each}`).onclick = () => openPanel(each);
  for (const each of document.querySelectorAll(".close")) each.onclick = close;
  at("backdrop").onclick = close;
  document.onkeydown = (event) => { if (event.key === "Escape") close(); };
  at("player").value = playerName();
  at("player").onchange = () => localStorage.setItem("player", at("player").value.trim() || "Somebody");
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) loadOlder(whenAsked);
  }, { rootMargin: "400px" }).observe(document.querySelector("header.title"));
}

connectControls();
window.onhashchange = openStory;
attempt(async () => {
  const model = await call("/model");
  at("model").textContent = `Model: ${model.name}`;
  await loadStories();
});
openStory();
