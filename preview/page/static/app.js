/** The page: joins the feed, the channel on show, the side and the line at the bottom. */

import { openAbout } from "./about.js";
import { Channel } from "./channel.js";
import { Composer } from "./composer.js";
import { announce, h } from "./dom.js";
import { acceptFiles } from "./drop.js";
import { tellHealth } from "./health.js";
import { act, ask, follow } from "./link.js";
import { complain, pending } from "./notes.js";
import { portrait } from "./people.js";
import { drawPlaces } from "./places.js";
import { toEnd } from "./scroll.js";
import { contentsOf, forget, here, me, nameOf, settle, store } from "./store.js";

const TYPING_LASTS = 9000;

const $ = (id) => document.getElementById(id);
const typing = new Map();
const address = new URL(location.href);

/** What messages, menus and the line at the bottom may ask of the page. */
const room = {
  jump: (id) => channel.jump(id) || complain("That message is further up: show earlier messages first."),
  reply: (message) => composer.reply(message),
  mention: (id) => composer.mention(id),
  useMenu: (name, target) => pending({ name }, act("menu", { name, channel: store.open, ...target })),
  tryOut(prompt) {
    if (!composer.beginNamed("imagine", { prompt })) complain("The bot is not ready yet, or has no /imagine here.");
  },
  become(name) {
    if (name === me().name) return;
    address.searchParams.set("as", name);
    address.searchParams.delete("in");
    location.assign(address);
  },
  complain,
  pending,
};
const channel = new Channel(room);
const composer = new Composer(room);
$("composer").replaceWith(composer.element);

// --- the feed

const NEWS = {
  hello(news) {
    if (store.run !== news.run) forget();
    if (store.run !== news.run) channel.clear();
    Object.assign(store, { run: news.run, about: news.about });
    settle(news);
    for (const id of store.channels.keys()) contentsOf(id).fetched = false;
    const wanted = [store.open, address.searchParams.get("in")].find((id) => store.channels.has(id));
    open(wanted ?? [...store.channels.keys()][0]);
    tellHealth(news.bot);
  },
  places(news) {
    settle(news);
    if (here()) drawSide();
    else open([...store.channels.keys()][0]);
  },
  contents(news) {
    const known = contentsOf(news.channel);
    const fresh = new Map(news.messages.map((each) => [each.id, each]));
    if (news.older) known.messages = new Map([...fresh, ...known.messages]);
    else Object.assign(known, { commands: news.commands, userMenu: news.userMenu, messageMenu: news.messageMenu });
    if (!news.older && !known.fetched) known.messages = fresh;
    if (news.older || !known.fetched) known.more = news.more;
    known.fetched = true;
    if (news.channel !== store.open) return;
    channel.draw();
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
  gone(news) {
    contentsOf(news.channel).messages.delete(news.message);
    if (news.channel !== store.open) return;
    channel.quote(news.message, null);
    channel.draw();
  },
  typing(news) {
    stopTyping(news.channel, news.user);
    const timer = setTimeout(() => stopTyping(news.channel, news.user), TYPING_LASTS);
    typing.set(`${news.channel}/${news.user}`, timer);
    drawTyping();
  },
  commands: () => ask(store.open),
  bot({ bot }) {
    const fresh = bot.connected && !store.bot.connected;
    tellHealth(bot);
    if (fresh) ask(store.open);
  },
};

function onLine(connected) {
  document.body.classList.toggle("offline", !connected);
  if (!connected) announce("The preview cannot be reached; trying again.");
}

follow(address.searchParams.get("as") ?? "", (news) => NEWS[news.kind]?.(news), onLine);

// --- where one is

function open(id) {
  if (!id) return;
  if (store.open !== id) channel.clear();
  if (store.open !== id) composer.leave(false);
  store.open = id;
  store.unread.delete(id);
  remember();
  ask(id);
  drawSide();
  drawHeader();
  drawTyping();
  channel.draw();
  composer.settle();
  toEnd();
  document.body.classList.remove("side-open");
}

function remember() {
  address.searchParams.set("as", me().name);
  address.searchParams.set("in", store.open);
  history.replaceState(null, "", address);
}

function drawSide() {
  drawPlaces($("side-body"), { go: open, become: room.become });
  const { id, display } = me();
  const label = h("span", { class: "unseen" }, `You are ${display}. Change person or place`);
  $("who-now").replaceChildren(portrait(id, display, true), label);
}

function drawHeader() {
  const { guild, name, topic } = here();
  const title = guild ? `# ${name}` : name;
  $("title").replaceChildren(h("bdi", {}, title));
  $("topic").textContent = topic ?? "";
  document.title = `${title} · Atelier preview`;
  $("messages").setAttribute("aria-label", `Messages in ${title}`);
}

function markUnread(id) {
  store.unread.add(id);
  drawSide();
}

function stopTyping(place, user) {
  clearTimeout(typing.get(`${place}/${user}`));
  if (typing.delete(`${place}/${user}`)) drawTyping();
}

function drawTyping() {
  const ids = [...typing.keys()].map((key) => key.split("/")).filter(([place]) => place === store.open);
  const names = ids.map(([, user]) => nameOf(user)).join(", ");
  $("typing").textContent = names && `${names} ${ids.length > 1 ? "are" : "is"} typing…`;
}

// --- the rest of the page

const closeSide = () => document.body.classList.remove("side-open");

document.addEventListener("open-channel", (event) => store.channels.has(event.detail) && open(event.detail));
for (const id of ["about", "about-link"]) $(id).addEventListener("click", () => openAbout(room.tryOut));
$("who-now").addEventListener("click", () => document.body.classList.toggle("side-open"));
$("veil").addEventListener("click", closeSide);
acceptFiles((files) => composer.take(files));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeSide();
  const busy = event.target.closest?.("input, textarea, dialog, [popover]");
  if (event.key !== "/" || busy || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  composer.offer();
});
