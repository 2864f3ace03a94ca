// What the page knows, in one place.

export const state = {
  story: null, // as the server sent it last
  path: [], // the scenes that are loaded, oldest first
  older: null, // the cursor of the scenes before them
  tree: [], // the place of every scene of the story
  turns: [], // what waits and runs at the server
  pending: new Map(), // requests of this page without an outcome, by key: they are sent again after a reconnect
  problems: [], // requests that were refused
  selected: null, // the scene whose world is shown; null: the one at the head
  connected: false,
};

export const head = () => state.story?.branch.head ?? 0;
export const lastScene = () => state.path[state.path.length - 1];
export const isBusy = () => state.turns.length > 0 || state.pending.size > 0;

// A request outlives a reload of the page: its key is what keeps the model from being asked twice.
const place = () => `pending ${state.story?.id ?? location.hash.slice(1)}`;

export function storePending() {
  sessionStorage.setItem(place(), JSON.stringify([...state.pending.values()]));
}

export function restorePending(storyId) {
  const stored = JSON.parse(sessionStorage.getItem(`pending ${storyId}`) || "[]");
  state.pending = new Map(stored.map((request) => [request.request_key, request]));
}

export function playerName() {
  let name = localStorage.getItem("player");
  if (!name) {
    name = `Player ${1 + Math.floor(Math.random() * 99)}`;
    localStorage.setItem("player", name);
  }
  return name;
}

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID needs https
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
