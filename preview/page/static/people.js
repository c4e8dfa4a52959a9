/** How people look: initials on a pigment, and the bot's own mark. */

import { h } from "./dom.js";
import { store } from "./store.js";

const PIGMENTS = 7;

/** Draw somebody's portrait; it is decoration beside their name. */
export function portrait(id, name, small = false) {
  const bot = id === store.application.id;
  const sum = [...name].reduce((all, each) => all + each.codePointAt(0), 0);
  const pigment = bot ? "bot" : `pigment${sum % PIGMENTS}`;
  const letter = [...(name || "?")][0].toUpperCase();
  return h("span", { class: `portrait ${pigment}${small ? " small" : ""}`, "aria-hidden": "true" }, bot ? "" : letter);
}
