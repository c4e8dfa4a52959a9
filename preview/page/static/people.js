/** Avatars: initials on a colour, and the bot's own mark. */

import { h } from "./dom.js";
import { store } from "./store.js";

const AVATAR_COLOURS = 7;

/** Build a user's avatar; it is decoration beside the name. */
export function avatar(id, name, small = false) {
  const bot = id === store.application.id;
  const sum = [...name].reduce((all, each) => all + each.codePointAt(0), 0);
  const pigment = bot ? "bot" : `pigment${sum % AVATAR_COLOURS}`;
  const letter = [...(name || "?")][0].toUpperCase();
  return h("span", {
    class: `avatar ${pigment}${small ? " small" : ""}`,
    "aria-hidden": "true",
    "data-letter": bot ? "" : letter, // not as text, which would be copied with the name
  });
}
