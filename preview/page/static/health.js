/** How the bot does: a lamp beside the channel's name, and a line when it has died. */

import { announce, h } from "./dom.js";
import { store } from "./store.js";

const lamp = document.getElementById("bot");
const trouble = document.getElementById("trouble");

/** Take over how the bot does now. */
export function tellHealth(bot) {
  const before = store.bot;
  store.bot = bot;
  const dead = !bot.connected && !bot.alive;
  const [kind, text] = bot.connected
    ? ["well", "online"]
    : dead
      ? ["ill", "stopped, starting again"]
      : ["soon", "starting"];
  lamp.className = `bot ${kind}`;
  lamp.title = bot.connected ? "" : bot.words;
  if (lamp.dataset.text !== text) lamp.replaceChildren(h("span", { class: "lamp" }), h("span", {}, said(text)));
  lamp.dataset.text = text;
  trouble.hidden = !dead;
  trouble.replaceChildren(
    h("strong", {}, "The bot has stopped and is being started again."),
    bot.words && h("code", {}, bot.words),
  );
  if (before.connected !== bot.connected) announce(bot.connected ? "The bot is ready." : "The bot has stopped.");
}

const said = (text) => `${store.application.name} is ${text}`;
