/** Build DOM nodes. Data only becomes text or attributes, never markup. */

import { me, t } from "./api.js";

/** Build an element: attributes by name, `on…` as listeners, `true` as bare attributes, children as nodes or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else element.setAttribute(name, value === true ? "" : String(value));
}

/** Return an http or https address, or null for any other. */
export function safeAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

/** Announce a text to screen readers. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** Show what went wrong, or nothing. */
export function showTrouble(text) {
  const box = document.getElementById("trouble");
  box.textContent = text;
  box.hidden = !text;
}

/** Copy a text, and say so on the button. */
export async function copy(button, text) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = t("copied");
    announce(t("copied"));
  } catch {
    button.textContent = t("copy_by_hand");
  }
  setTimeout(() => (button.textContent = before), 1800);
}

/** Return a time as people read it. */
export function when(seconds) {
  return new Date(seconds * 1000).toLocaleString(me.language, { dateStyle: "medium", timeStyle: "short" });
}
