/** The page: joins the feed, the channel on show, the side and the line at the bottom. */

import { openAbout, welcome } from "./about.js";
import { Composer } from "./composer.js";
import { announce, h } from "./dom.js";
import { openForm } from "./form.js";
import { act, ask, follow } from "./link.js";
import { authorName, MessageView, snippet } from "./message.js";
import { drawPlaces } from "./places.js";
import { portrait } from "./people.js";
import { contentsOf, forget, here, localName, me, messagesOf, nameOf, settle, store } from "./store.js";
import { dayOf } from "./time.js";

const TOGETHER = 7 * 60_000;
const NEAR_END = 120;
const TYPING_LASTS = 9000;

const $ = (id) => document.getElementById(id);
const views = new Map();
const typing = new Map();
const address = new URL(location.href);
let atEnd = true;
let lastTop = 0;

const room = { jump, reply, mention, become, useMenu, complain, pending };
const composer = new Composer(room);
$("composer").replaceWith(composer.element);

// --- the feed

const NEWS = {
  hello(news) {
    if (store.run && store.run !== news.run) [views, typing].forEach((each) => each.clear());
    if (store.run !== news.run || store.me !== news.me) forget();
    Object.assign(store, { run: news.run, about: news.about, bot: news.bot });
    settle(news);
    const wanted = [store.open, address.searchParams.get("in")].find((id) => store.channels.has(id));
    show(wanted ?? [...store.channels.keys()][0]);
    for (const id of store.channels.keys()) if (id !== store.open) contentsOf(id).fetched = false;
    drawBot();
  },
  places(news) {
    settle(news);
    if (!here()) show([...store.channels.keys()][0]);
    drawSide();
  },
  contents(news) {
    const known = contentsOf(news.channel);
    const fresh = new Map(news.messages.map((each) => [each.id, each]));
    if (!news.older)
      Object.assign(known, { commands: news.commands, userMenu: news.userMenu, messageMenu: news.messageMenu });
    if (news.older) known.messages = new Map([...fresh, ...known.messages]);
    else if (!known.fetched) known.messages = fresh;
    if (news.older || !known.fetched) known.more = news.more;
    known.fetched = true;
    if (news.channel !== store.open) return;
    drawChannel();
    composer.refresh();
  },
  message({ message }) {
    const known = contentsOf(message.channel_id);
    const fresh = !known.messages.has(message.id);
    known.messages.set(message.id, message);
    typing.delete(`${message.channel_id}/${message.author.id}`);
    if (message.channel_id === store.open) showMessage(message, fresh);
    else if (fresh && message.author.id !== store.me) markUnread(message.channel_id);
  },
  gone({ message, channel }) {
    contentsOf(channel).messages.delete(message);
    for (const each of contentsOf(channel).messages.values()) {
      if (each.referenced_message?.id !== message) continue;
      each.referenced_message = null;
      views.get(each.id)?.update(each);
    }
    if (channel === store.open) drawChannel();
  },
  typing({ user, channel }) {
    const key = `${channel}/${user}`;
    clearTimeout(typing.get(key));
    typing.set(
      key,
      setTimeout(() => (typing.delete(key), drawTyping()), TYPING_LASTS),
    );
    drawTyping();
  },
  commands: () => ask(store.open),
  bot({ bot }) {
    const was = store.bot;
    store.bot = bot;
    drawBot();
    if (was.connected && !bot.connected) announce("The bot has stopped; it is being started again.");
    if (!was.connected && bot.connected) {
      announce("The bot is ready.");
      ask(store.open);
    }
  },
};

function onLine(connected) {
  document.body.classList.toggle("offline", !connected);
  if (!connected) announce("The preview cannot be reached; trying again.");
}

follow(address.searchParams.get("as") ?? "", (news) => NEWS[news.kind]?.(news), onLine);

// --- the channel on show

function show(id) {
  if (!id) return;
  const changed = store.open !== id;
  store.open = id;
  store.unread.delete(id);
  remember();
  if (changed) {
    views.clear();
    $("messages").replaceChildren();
    atEnd = true;
    composer.leave(false);
  }
  ask(id);
  drawSide();
  drawHeader();
  drawChannel();
  composer.settle();
  document.body.classList.remove("side-open");
}

function remember() {
  address.searchParams.set("as", me().name);
  address.searchParams.set("in", store.open);
  history.replaceState(null, "", address);
}

function drawSide() {
  drawPlaces($("side-body"), { go: show, become });
  const user = me();
  $("who-now").replaceChildren(
    portrait(user.id, user.display, true),
    h("span", { class: "unseen" }, `You are ${user.display}. Change person or place`),
  );
}

function drawHeader() {
  const channel = here();
  const name = channel.guild ? `# ${channel.name}` : channel.name;
  $("title").replaceChildren(h("bdi", {}, name));
  $("topic").textContent = channel.topic ?? "";
  document.title = `${name} · Atelier preview`;
  $("messages").setAttribute("aria-label", `Messages in ${name}`);
}

function drawChannel() {
  const known = contentsOf(store.open);
  const list = $("messages");
  list.setAttribute("aria-busy", String(!known.fetched));
  const keep = measure();
  const messages = messagesOf(store.open);
  const rows = [];
  let before = null;
  for (const message of messages) {
    if (!before || dayOf(before.timestamp) !== dayOf(message.timestamp))
      rows.push(h("li", { class: "day", role: "separator" }, dayOf(message.timestamp)));
    const view = viewOf(message);
    view.element.classList.toggle("follows", follows(before, message));
    rows.push(view.element);
    before = message;
  }
  const head = known.more
    ? [
        h(
          "li",
          { class: "earlier" },
          h("button", { type: "button", class: "button secondary", onclick: fetchOlder }, "Show earlier messages"),
        ),
      ]
    : [];
  replace(list, [...head, ...rows]);
  $("welcome").replaceChildren(...(known.fetched && !known.more && !messages.length ? [welcome(tryOut)] : []));
  for (const id of views.keys()) if (!known.messages.has(id)) views.delete(id);
  restore(keep);
  drawTyping();
}

/** Put rows in place without taking those out that stay: that would restart videos and lose the focus. */
function replace(list, rows) {
  const wanted = new Set(rows);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  rows.forEach((row, index) => list.children[index] !== row && list.insertBefore(row, list.children[index] ?? null));
}

function viewOf(message) {
  const known = views.get(message.id);
  if (known) {
    if (known.message !== message) known.update(message);
    return known;
  }
  const view = new MessageView(message, room);
  views.set(message.id, view);
  return view;
}

function follows(before, message) {
  if (!before || before.author.id !== message.author.id || message.message_reference || message.interaction)
    return false;
  const near = new Date(message.timestamp) - new Date(before.timestamp) < TOGETHER;
  return near && dayOf(before.timestamp) === dayOf(message.timestamp) && (before.flags & 64) === (message.flags & 64);
}

function showMessage(message, fresh) {
  if (fresh) {
    drawChannel();
    if (message.author.id !== store.me) announce(`${authorName(message.author)}: ${snippet(message)}`);
    return;
  }
  const keep = measure();
  const was = views.get(message.id)?.message;
  viewOf(message);
  if (was && (was.flags ^ message.flags) & 128) announce(`${authorName(message.author)}: ${snippet(message)}`);
  for (const each of contentsOf(message.channel_id).messages.values()) {
    if (each.referenced_message?.id !== message.id) continue;
    each.referenced_message = message;
    views.get(each.id)?.update(each);
  }
  restore(keep);
}

function markUnread(channel) {
  store.unread.add(channel);
  drawSide();
}

function drawTyping() {
  const names = [...typing.keys()]
    .filter((key) => key.startsWith(`${store.open}/`))
    .map((key) => nameOf(key.split("/")[1]));
  $("typing").textContent = names.length ? `${names.join(", ")} ${names.length > 1 ? "are" : "is"} typing…` : "";
}

// --- scrolling

const scroller = $("scroller");

function measure() {
  if (atEnd) return null;
  const top = scroller.getBoundingClientRect().top;
  const anchor = [...$("messages").querySelectorAll(".message")].find(
    (each) => each.getBoundingClientRect().bottom > top,
  );
  return anchor ? { anchor, offset: anchor.getBoundingClientRect().top } : null;
}

function restore(keep) {
  if (atEnd) scroller.scrollTop = scroller.scrollHeight;
  else if (keep?.anchor.isConnected) scroller.scrollTop += keep.anchor.getBoundingClientRect().top - keep.offset;
}

/** Stay at the end until somebody scrolls up; content that grows below is no scrolling. */
function onScroll() {
  const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  if (left < NEAR_END) atEnd = true;
  else if (scroller.scrollTop < lastTop) atEnd = false;
  lastTop = scroller.scrollTop;
  $("newest").hidden = atEnd;
}

scroller.addEventListener("scroll", onScroll, { passive: true });
new ResizeObserver(() => restore(null)).observe($("scroller-inner"));
new ResizeObserver(() => restore(null)).observe(scroller);
$("newest").addEventListener("click", () => {
  atEnd = true;
  scroller.scrollTo({ top: scroller.scrollHeight, behavior: "smooth" });
});

function fetchOlder() {
  const [first] = messagesOf(store.open);
  atEnd = false;
  if (first) ask(store.open, first.id);
}

$("messages").addEventListener("keydown", (event) => {
  const rows = [...$("messages").querySelectorAll(".message")];
  const at = rows.indexOf(document.activeElement);
  if (event.target === $("messages") && ["ArrowUp", "ArrowDown"].includes(event.key)) {
    event.preventDefault();
    rows.at(-1)?.focus();
  }
  if (at < 0) return;
  const next = { ArrowUp: rows[at - 1], ArrowDown: rows[at + 1], Home: rows[0], End: rows.at(-1) }[event.key];
  if (next) {
    event.preventDefault();
    next.focus();
  }
  if (event.key === "Enter" && event.target === rows[at])
    views.get(rows[at].id.slice("message-".length))?.openMenu(rows[at]);
});

// --- what messages and menus ask of the page

function jump(id) {
  const view = views.get(id);
  if (!view) return complain("That message is further up: show earlier messages first.");
  view.element.scrollIntoView({
    block: "center",
    behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
  });
  view.element.focus({ preventScroll: true });
  view.element.classList.remove("found");
  requestAnimationFrame(() => view.element.classList.add("found"));
}

function reply(message) {
  composer.reply(message);
}

function mention(id) {
  composer.mention(id);
}

function become(name) {
  if (name === me().name) return;
  address.searchParams.set("as", name);
  address.searchParams.delete("in");
  location.assign(address);
}

async function useMenu(name, target) {
  await pending({ name }, act("menu", { name, channel: store.open, ...target }));
}

/** Show that a command is on its way until the bot answers, and say so if it does not. */
async function pending(command, answering) {
  const row = h(
    "li",
    { class: "pending" },
    h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
    ` Sending /${localName(command)} to ${store.application.name}…`,
  );
  $("pending").append(row);
  atEnd = true;
  restore(null);
  try {
    const answer = await answering;
    if (answer.failed) complain(`/${localName(command)}: the application did not respond.`, true);
    if (answer.modal) openForm(answer.modal, answer.interaction);
  } catch (error) {
    complain(error.message);
  } finally {
    row.remove();
  }
}

/** Tell the person of something that went wrong, in the channel, for them alone. */
function complain(text, fromBot = false) {
  const close = h("button", { type: "button", class: "plain", onclick: () => note.remove() }, "Dismiss");
  const note = h(
    "li",
    { class: "complaint", role: "alert" },
    fromBot && h("strong", {}, store.application.name),
    h("p", { class: "fault" }, text),
    h("p", { class: "only-you" }, "Only you can see this · ", close),
  );
  $("pending").append(note);
  atEnd = true;
  restore(null);
}

/** Put a prompt into the command line, ready to be sent. */
function tryOut(prompt) {
  if (!composer.beginNamed("imagine", { prompt })) complain("The bot is not ready yet, or has no /imagine here.");
}

document.addEventListener("open-channel", (event) => store.channels.has(event.detail) && show(event.detail));

// --- the bot's health, the banner, files dropped onto the page

function drawBot() {
  const { state, connected, words } = store.bot;
  const [kind, text] = connected
    ? ["well", "online"]
    : state === "stopped"
      ? ["ill", "stopped, starting again"]
      : ["soon", "starting"];
  $("bot").className = `bot ${kind}`;
  $("bot").replaceChildren(h("span", { class: "lamp" }), `${store.application.name} is ${text}`);
  $("bot").title = connected ? "" : words;
  $("trouble").hidden = connected || state !== "stopped";
  $("trouble").replaceChildren(
    h("strong", {}, "The bot has stopped and is being started again."),
    words ? h("code", {}, words) : "",
  );
}

for (const id of ["about", "about-link"]) $(id).addEventListener("click", () => openAbout(tryOut));
$("who-now").addEventListener("click", () => document.body.classList.toggle("side-open"));
$("veil").addEventListener("click", () => document.body.classList.remove("side-open"));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.body.classList.remove("side-open");
  const typing = event.target.closest?.("input, textarea, dialog, [popover]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  composer.leave(false);
  composer.input.focus();
  composer.input.value = "/";
  composer.input.dispatchEvent(new Event("input"));
});

let depth = 0;
const dragging = (by) => {
  depth = Math.max(0, depth + by);
  document.body.classList.toggle("dropping", depth > 0);
};
document.addEventListener("dragenter", (event) => event.dataTransfer?.types.includes("Files") && dragging(1));
document.addEventListener("dragleave", () => dragging(-1));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  dragging(-depth);
  composer.take([...(event.dataTransfer?.files ?? [])]);
});
