// The two ways to the server: requests over HTTP, and the socket of a story, which reconnects by itself.

import { at } from "./dom.js";
import { state } from "./state.js";

export async function call(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(`/api${path}`, options);
  } catch {
    throw new Error("The server cannot be reached. Try again when the connection is back.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.message || `The server answered HTTP ${response.status}. Try again.`);
  return answer;
}

export async function attempt(work) {
  at("notice").hidden = true;
  try {
    await work();
  } catch (error) {
    at("notice").textContent = error.message;
    at("notice").hidden = false;
  }
}

const PAUSES = [300, 1000, 2000, 4000]; // milliseconds; the last one again and again
let socket = null;
let tries = 0;
let timer = null;

export function send(message) {
  if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

export function disconnect() {
  clearTimeout(timer);
  if (socket) socket.onclose = null;
  socket?.close();
  socket = null;
  tries = 0;
}

export function connect(storyId, { opened, received }) {
  disconnect();
  const open = () => {
    const scheme = location.protocol.replace("http", "ws");
    const made = new WebSocket(`${scheme}//${location.host}/api/stories/${storyId}/live`);
    socket = made;
    made.onopen = () => {
      tries = 0;
      showConnection(true);
      opened();
    };
    made.onmessage = (message) => received(JSON.parse(message.data));
    made.onclose = () => {
      if (socket !== made) return;
      showConnection(false);
      timer = setTimeout(open, PAUSES[Math.min(tries++, PAUSES.length - 1)]);
    };
  };
  open();
}

function showConnection(connected) {
  state.connected = connected;
  at("connection").hidden = connected;
  at("connection").textContent = "The connection to the server is lost. Reconnecting … "
    + "What you wrote is kept, and is sent once when the server is back.";
}
