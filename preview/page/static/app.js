/** The page: connects the WebSocket, the open channel, the sidebar and the composer. */

import { openAbout } from "./about.js";
import { Channel } from "./channel.js";
import { Composer } from "./composer.js";
import { announce, h, icon } from "./dom.js";
import { acceptFiles } from "./drop.js";
import { showBotStatus } from "./health.js";
import { act, connect, requestMessages } from "./link.js";
import { pending, showError } from "./notes.js";
import { avatar } from "./people.js";
import { renderPlaces } from "./places.js";
import { scrollToEnd } from "./scroll.js";
import { contentsOf, forget, here, me, nameOf, setWorld, store } from "./store.js";

const TYPING_TIMEOUT_MS = 9000;

const $ = (id) => document.getElementById(id);
const typing = new Map();
const address = new URL(location.href);

/** Callbacks for messages, menus and the composer. */
const page = {
  jump: (id) => channel.jump(id) || showError("That message is not loaded: show earlier messages first."),
  reply: (message) => composer.reply(message),
  edit: (message) => composer.edit(message),
  mention: (id) => composer.mention(id),
  useMenu: (name, target) => pending({ name }, act("menu", { name, channel: store.open, ...target })),
  tryPrompt(prompt) {
    if (!composer.beginNamed("imagine", { prompt }))
      showError("The bot is not ready yet, or /imagine is not available here.");
  },
  switchUser(name) {
    if (name === me().name) return;
    address.searchParams.set("as", name);
    address.searchParams.delete("in");
    location.assign(address);
  },
  showError,
  pending,
};
const channel = new Channel(page);
const composer = new Composer(page);
$("composer").replaceWith(composer.element);

// --- updates from the preview

const HANDLERS = {
  hello(update) {
    if (store.run !== update.run) forget();
    if (store.run !== update.run) channel.clear();
    Object.assign(store, { run: update.run, about: update.about });
    setWorld(update);
    for (const id of store.channels.keys()) contentsOf(id).fetched = false;
    const wanted = [store.open, address.searchParams.get("in")].find((id) => store.channels.has(id));
    open(wanted ?? [...store.channels.keys()][0]);
    showBotStatus(update.bot);
  },
  places(update) {
    setWorld(update);
    if (here()) {
      renderSide();
      composer.updatePlace();
    } else open([...store.channels.keys()][0]);
  },
  contents(update) {
    const known = contentsOf(update.channel);
    const fresh = new Map(update.messages.map((each) => [each.id, each]));
    if (update.older) known.messages = new Map([...fresh, ...known.messages]);
    else {
      const { commands, userMenu, messageMenu } = update;
      Object.assign(known, { commands, userMenu, messageMenu });
    }
    if (!update.older && !known.fetched) known.messages = fresh;
    if (update.older || !known.fetched) known.more = update.more;
    known.fetched = true;
    if (update.channel !== store.open) return;
    channel.render();
    composer.refresh();
  },
  message({ message }) {
    const { messages } = contentsOf(message.channel_id);
    const fresh = !messages.has(message.id);
    messages.set(message.id, message);
    stopTyping(message.channel_id, message.author.id);
    if (message.channel_id === store.open) channel.show(message, fresh);
    else if (fresh && message.author.id !== store.me) markUnread(message.channel_id);
  },
  gone(update) {
    contentsOf(update.channel).messages.delete(update.message);
    if (update.channel !== store.open) return;
    channel.updateReplies(update.message, null);
    channel.render();
  },
  typing(update) {
    stopTyping(update.channel, update.user);
    const timer = setTimeout(() => stopTyping(update.channel, update.user), TYPING_TIMEOUT_MS);
    typing.set(`${update.channel}/${update.user}`, timer);
    renderTyping();
  },
  commands: () => requestMessages(store.open),
  bot({ bot }) {
    const fresh = bot.connected && !store.bot.connected;
    showBotStatus(bot);
    if (fresh) requestMessages(store.open);
  },
};

function onConnection(connected) {
  document.body.classList.toggle("offline", !connected);
  if (!connected) announce("The preview cannot be reached; reconnecting.");
}

connect(address.searchParams.get("as") ?? "", (update) => HANDLERS[update.kind]?.(update), onConnection);

// --- the open channel

function open(id) {
  if (!id) return;
  if (store.open !== id) channel.clear();
  if (store.open !== id) composer.changePlace();
  store.open = id;
  store.unread.delete(id);
  remember();
  requestMessages(id);
  renderSide();
  renderHeader();
  renderTyping();
  channel.render();
  composer.updatePlace();
  scrollToEnd();
  showSide(false);
}

function remember() {
  address.searchParams.set("as", me().name);
  address.searchParams.set("in", store.open);
  history.replaceState(null, "", address);
}

function renderSide() {
  renderPlaces($("side-body"), { go: open, switchUser: page.switchUser });
  const { id, display } = me();
  const label = h("span", { class: "unseen" }, `You are ${display}. Switch user or channel`);
  $("who-now").replaceChildren(icon("menu"), avatar(id, display, true), label);
}

function renderHeader() {
  const { guild, name, topic } = here();
  const title = guild ? `# ${name}` : name;
  $("title").replaceChildren(h("bdi", {}, title));
  $("topic").textContent = topic ?? "";
  document.title = `${title} · Atelier preview`;
  $("messages").setAttribute("aria-label", `Messages in ${title}`);
}

function markUnread(id) {
  store.unread.add(id);
  renderSide();
}

function stopTyping(place, user) {
  clearTimeout(typing.get(`${place}/${user}`));
  if (typing.delete(`${place}/${user}`)) renderTyping();
}

function renderTyping() {
  const ids = [...typing.keys()].map((key) => key.split("/")).filter(([place]) => place === store.open);
  const names = ids.map(([, user]) => nameOf(user)).join(", ");
  $("typing").textContent = names && `${names} ${ids.length > 1 ? "are" : "is"} typing…`;
}

// --- the rest of the page

function showSide(open) {
  document.body.classList.toggle("side-open", open);
  document.querySelector("main").inert = open;
  $("who-now").setAttribute("aria-expanded", String(open));
}

/** Close the drawer of a narrow window, and return the focus to its button. */
function closeSide() {
  if (!document.body.classList.contains("side-open")) return;
  showSide(false);
  $("who-now").focus();
}

document.addEventListener("open-channel", (event) => store.channels.has(event.detail) && open(event.detail));
for (const id of ["about", "about-link"]) $(id).addEventListener("click", () => openAbout(page.tryPrompt));
$("who-now").addEventListener("click", () => {
  showSide(!document.body.classList.contains("side-open"));
  $("side").querySelector("[aria-checked=true]")?.focus();
});
for (const id of ["veil", "side-close"]) $(id).addEventListener("click", closeSide);
$("side-close").append(icon("close"));
matchMedia("(max-width: 800px)").addEventListener("change", closeSide);
acceptFiles((files) => composer.take(files));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeSide();
  const busy = event.target.closest?.("input, textarea, dialog, [popover]");
  if (event.key !== "/" || busy || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  composer.offer();
});
