"use strict";

const at = (id) => document.getElementById(id);
let story = null; // what the server told of the story that is open
let socket = null;
let asked = null; // the request that is under way; it is sent again when the line was cut

async function call(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const response = await fetch(`/api/stories${path}`, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message || answer.error || response.statusText);
  return answer;
}

function element(tag, text, classes = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = classes;
  return made;
}

async function attempt(work) {
  at("notice").textContent = "";
  try { await work(); } catch (error) { at("notice").textContent = error.message; }
}

async function listStories() {
  const stories = await call("");
  at("stories").replaceChildren(...stories.map((each) => {
    const button = element("button", each.title, story && story.id === each.id ? "open" : "");
    button.onclick = () => { location.hash = each.id; };
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

async function load() {
  if (!location.hash) return;
  const id = location.hash.slice(1);
  story = await call(`/${id}`);
  document.querySelector("main").hidden = false;
  at("story-title").textContent = story.title;
  at("branch").replaceChildren(...story.branches.map((branch) => {
    const option = element("option", `${branch.name} (${branch.length})`);
    option.value = branch.number;
    option.selected = branch.number === story.branch.number;
    return option;
  }));
  at("path").replaceChildren(...story.path.map(showScene));
  at("alternatives").hidden = true;
  showChoices();
  listStories();
}

function showScene(scene, index) {
  const shown = element("section", "", "scene");
  const before = story.path[index - 1];
  const chosen = before && before.choices.find((choice) => choice.number === scene.chosen);
  if (chosen) shown.append(element("span", chosen.text, "went"));
  shown.append(element("span", scene.text));
  const fork = element("button", "Fork here", "fork");
  fork.onclick = () => attempt(async () => {
    const name = prompt("Name of the branch", `from scene ${scene.number}`);
    if (name) { await call(`/${story.id}/fork`, { name, at: scene.number }); await load(); }
  });
  shown.append(fork);
  return shown;
}

function showChoices() {
  const last = story.path[story.path.length - 1];
  const choices = asked || !last ? [] : last.choices;
  at("choices").replaceChildren(...choices.map((choice) => {
    const button = element("button", choice.text);
    button.onclick = () => play({ choice: choice.number });
    return button;
  }));
  for (const button of document.querySelectorAll("#say button, nav button")) button.disabled = Boolean(asked);
  at("telling").hidden = !asked;
}

function play(what) {
  if (asked) return;
  at("notice").textContent = "";
  at("telling").textContent = "…";
  asked = { request_key: crypto.randomUUID(), expected_head: story.branch.head, ...what };
  showChoices();
  send();
}

function send() {
  if (asked && socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(asked));
}

function connect() {
  if (socket) { socket.onclose = null; socket.close(); }
  const opened = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/api/stories/${location.hash.slice(1)}/live`);
  socket = opened;
  opened.onopen = () => { send(); attempt(load); };
  opened.onclose = () => { if (socket === opened) setTimeout(connect, 500); };
  opened.onmessage = (message) => attempt(() => hear(JSON.parse(message.data)));
}

async function hear(told) {
  const mine = asked && told.request_key === asked.request_key;
  if (told.type === "begun" && mine) at("telling").textContent = told.text || "…";
  if (told.type === "text") {
    const text = at("telling");
    if (text.hidden || text.textContent === "…") text.textContent = "";
    text.hidden = false; // also when somebody else plays
    text.textContent += told.piece;
  }
  if (told.type === "refused" && mine) {
    asked = null;
    await load();
    at("notice").textContent = told.message;
  }
  if (told.type === "scene") {
    if (mine) asked = null;
    await load();
  }
  if (told.type === "changed" || told.type === "reload") await load();
}

at("new-story").onsubmit = (event) => {
  event.preventDefault();
  attempt(async () => {
    const made = await call("", { title: at("title").value, premise: at("premise").value });
    at("new-story").reset();
    location.hash = made.id;
  });
};
at("say").onsubmit = (event) => {
  event.preventDefault();
  play({ instruction: at("instruction").value || null });
  at("instruction").value = "";
};
at("branch").onchange = () => attempt(async () => {
  await call(`/${story.id}/switch`, { branch: Number(at("branch").value) });
  await load();
});
for (const move of ["undo", "redo"]) {
  at(move).onclick = () => attempt(async () => {
    await call(`/${story.id}/${move}`, { expected_head: story.branch.head });
    await load();
  });
}
at("anew").onclick = () => play({ anew: true });
at("others").onclick = () => attempt(async () => {
  const found = await call(`/${story.id}/scenes/${story.branch.head}/alternatives`);
  at("alternatives").replaceChildren(...found.filter((each) => each.text).map((each) => {
    const shown = element("div", each.text, each.shown ? "alternative shown" : "alternative");
    if (!each.shown) {
      const button = element("button", "Take this one");
      button.onclick = () => attempt(async () => {
        await call(`/${story.id}/choose`, { generation: each.id, expected_head: story.branch.head });
        await load();
      });
      shown.append(document.createElement("br"), button);
    }
    return shown;
  }));
  at("alternatives").hidden = false;
});
window.onhashchange = () => { asked = null; connect(); };
attempt(listStories);
if (location.hash) connect();
