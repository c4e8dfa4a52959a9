/** The line to the preview: a feed that comes in by WebSocket, and deeds that go out by POST. */

const PAUSES = [300, 700, 1500, 3000];

let socket = null;
let failures = 0;
let viewer = "";

/** Follow the feed as one person, for ever; `onNews` gets every event, `onLine` whether there is a connection. */
export function follow(name, onNews, onLine) {
  viewer = name;
  socket?.close();
  const mine = (socket = new WebSocket(`ws://${location.host}/feed?as=${encodeURIComponent(name)}`));
  mine.addEventListener("open", () => {
    failures = 0;
    onLine(true);
  });
  mine.addEventListener("message", (event) => mine === socket && onNews(JSON.parse(event.data)));
  mine.addEventListener("close", () => {
    if (mine !== socket) return;
    onLine(false);
    setTimeout(() => mine === socket && follow(name, onNews, onLine), PAUSES[Math.min(failures++, PAUSES.length - 1)]);
  });
}

/** Ask for a channel's messages; the answer comes on the feed, in order with everything else. */
export function ask(channel, before = null) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ open: channel, before }));
}

/** Do something as the person of this tab; `files` go by the names that the values refer to. Throws Error to show. */
export async function act(action, given, files = {}) {
  const form = new FormData();
  form.set("json", JSON.stringify({ ...given, as: viewer }));
  for (const [name, file] of Object.entries(files)) form.set(name, file, file.name);
  let response;
  try {
    response = await fetch(`/do/${action}`, { method: "POST", body: form });
  } catch {
    throw new Error("The preview is not running any more: start it again in the terminal.");
  }
  const answer = await response.json().catch(() => ({ error: `The preview answered ${response.status}.` }));
  if (answer.error) throw new Error(answer.error);
  return answer;
}
