/** The bot's status: an indicator beside the channel's name, and a line when the bot has stopped. */

import { announce, h } from "./dom.js";
import { store } from "./store.js";

const lamp = document.getElementById("bot");
const trouble = document.getElementById("trouble");

/** Show the bot's status. */
export function showBotStatus(bot) {
  const before = store.bot;
  store.bot = bot;
  const stopped = !bot.connected && !bot.alive;
  const [kind, text] = bot.connected
    ? ["online", "online"]
    : stopped
      ? ["stopped", "restarting"]
      : ["starting", "starting"];
  lamp.className = `bot ${kind}`;
  lamp.title = bot.connected ? "" : bot.words;
  if (lamp.dataset.text !== text) lamp.replaceChildren(h("span", { class: "lamp" }), h("span", {}, statusText(text)));
  lamp.dataset.text = text;
  trouble.hidden = !stopped;
  trouble.replaceChildren(
    h("strong", {}, "The bot has stopped and is restarting."),
    bot.words && h("code", {}, bot.words),
  );
  if (before.connected !== bot.connected) announce(bot.connected ? "The bot is ready." : "The bot has stopped.");
}

const statusText = (text) => `${store.application.name} is ${text}`;
