/** The connection to the preview: updates by WebSocket, actions by POST. */

const RECONNECT_DELAYS_MS = [300, 700, 1500, 3000];

let socket = null;
let failures = 0;
let viewer = "";

/** Connect as one user, and reconnect when needed. `onUpdate` gets every update, `onConnection` true or false. */
export function connect(name, onUpdate, onConnection) {
  viewer = name;
  socket?.close();
  const mine = (socket = new WebSocket(`ws://${location.host}/feed?as=${encodeURIComponent(name)}`));
  mine.addEventListener("open", () => {
    failures = 0;
    onConnection(true);
  });
  mine.addEventListener("message", (event) => mine === socket && onUpdate(JSON.parse(event.data)));
  mine.addEventListener("close", () => {
    if (mine !== socket) return;
    onConnection(false);
    const delay = RECONNECT_DELAYS_MS[Math.min(failures++, RECONNECT_DELAYS_MS.length - 1)];
    setTimeout(() => mine === socket && connect(name, onUpdate, onConnection), delay);
  });
}

/** Request a channel's messages; they arrive on the WebSocket, in order with all other updates. */
export function requestMessages(channel, before = null) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ open: channel, before }));
}

/** Run an action as the user of this tab, or as `given.as`. Values refer to `files` by name. Throws an Error with a message to show. */
export async function act(action, given, files = {}) {
  const form = new FormData();
  form.set("json", JSON.stringify({ as: viewer, ...given }));
  for (const [name, file] of Object.entries(files)) form.set(name, file, file.name);
  let response;
  try {
    response = await fetch(`/do/${action}`, { method: "POST", body: form });
  } catch {
    throw new Error("The preview is no longer running. Start it again in the terminal.");
  }
  const answer = await response.json().catch(() => ({ error: `The preview returned status ${response.status}.` }));
  if (answer.error) throw new Error(answer.error);
  return answer;
}
