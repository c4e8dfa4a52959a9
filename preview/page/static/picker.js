/** Lists of choices: below a button (a select) or below an input. */

import { h } from "./dom.js";
import { withEmoji } from "./emoji.js";

const SEARCH_THRESHOLD = 10;
let serial = 0;

/**
 * Open a list below a button. Items are `{label, description?, emoji?, value, chosen?}`. `onPick` is called once with
 * the chosen values, if their number is between `min` and `max`.
 */
export function openList(anchor, items, { label, min = 1, max = 1, onPick }) {
  const chosen = new Set(items.filter((each) => each.chosen).map((each) => each.value));
  const options = items.map((each) => option(each, chosen.has(each.value)));
  const list = h(
    "div",
    { role: "listbox", class: "list", "aria-label": label, "aria-multiselectable": max > 1 ? "true" : null },
    options,
  );
  const search =
    items.length > SEARCH_THRESHOLD
      ? h("input", { class: "search", placeholder: "Search", "aria-label": `Search ${label}` })
      : null;
  const done = h("button", { type: "button", class: "button primary" }, "Done");
  const popup = h("div", { popover: "auto", class: "popup" }, search, list, (max > 1 || min === 0) && done);

  const finish = () => {
    popup.hidePopover();
    onPick(items.filter((each) => chosen.has(each.value)).map((each) => each.value));
  };
  const allow = () => (done.disabled = chosen.size < min || chosen.size > max);
  options.forEach((each, index) =>
    each.addEventListener("click", () => {
      const { value } = items[index];
      if (max === 1 && !chosen.has(value)) chosen.clear();
      if (chosen.has(value) && (max > 1 || min === 0)) chosen.delete(value);
      else if (chosen.size < max) chosen.add(value);
      options.forEach((one, i) => one.setAttribute("aria-selected", chosen.has(items[i].value)));
      allow();
      if (max === 1 && chosen.size === 1) finish();
    }),
  );
  search?.addEventListener("input", () => {
    const wanted = search.value.toLowerCase();
    options.forEach((each, i) => (each.hidden = !items[i].label.toLowerCase().includes(wanted)));
  });
  done.addEventListener("click", finish);
  popup.addEventListener("keydown", (event) =>
    moveFocus(
      event,
      options.filter((each) => !each.hidden),
    ),
  );
  removeWhenClosed(popup, anchor);
  allow();
  showPopup(popup, anchor);
  (search ?? options.find((each) => each.getAttribute("aria-selected") === "true") ?? options[0])?.focus();
}

function option(each, chosen) {
  return h(
    "button",
    { type: "button", role: "option", class: "option", "aria-selected": String(chosen), disabled: each.disabled },
    each.emoji && h("span", { class: "option-emoji" }, withEmoji(each.emoji)),
    h(
      "span",
      { class: "option-text" },
      h("bdi", {}, withEmoji(each.label)),
      " ",
      each.description && h("small", {}, withEmoji(each.description)),
    ),
  );
}

const STEPS = { ArrowDown: 1, ArrowUp: -1 };

/** Move the focus among controls with the arrow keys. */
export function moveFocus(event, controls) {
  const at = controls.indexOf(document.activeElement);
  let next = null;
  if (event.key in STEPS) next = controls.at((at + STEPS[event.key] + controls.length) % controls.length);
  if (event.key === "Home" && at >= 0) next = controls[0];
  if (event.key === "End" && at >= 0) next = controls.at(-1);
  if (!next) return;
  event.preventDefault();
  next.focus();
}

/** Remove a popup once it is closed, and focus its anchor unless the focus is somewhere else by then. */
export function removeWhenClosed(popup, anchor) {
  popup.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    popup.remove();
    if (document.activeElement === document.body && anchor.isConnected) anchor.focus();
  });
}

/** Show a popup beside its anchor, inside the window; `point` puts it at the mouse instead. */
export function showPopup(popup, anchor, point = null) {
  (anchor.closest("dialog, main, nav") ?? document.body).append(popup);
  popup.showPopover();
  const box = point ? { left: point.x, top: point.y, bottom: point.y, width: 0 } : anchor.getBoundingClientRect();
  if (!point) popup.style.minWidth = `${Math.min(box.width, innerWidth - 16)}px`;
  const below = innerHeight - box.bottom > popup.offsetHeight + 12 || box.top < popup.offsetHeight;
  const top = below ? box.bottom + 4 : box.top - popup.offsetHeight - 4;
  popup.style.left = `${Math.max(8, Math.min(box.left, innerWidth - popup.offsetWidth - 8))}px`;
  popup.style.top = `${Math.max(8, Math.min(top, innerHeight - popup.offsetHeight - 8))}px`;
}

/** A list of suggestions for an input, which keeps the focus. */
export class Suggestions {
  /** `onPick` gets the chosen item; items are as for `openList`. */
  constructor(input, label, onPick) {
    this.input = input;
    this.onPick = onPick;
    this.items = [];
    this.at = -1;
    this.element = h("div", {
      role: "listbox",
      id: `suggestions-${++serial}`,
      class: "suggestions",
      "aria-label": label,
      hidden: true,
    });
    input.setAttribute("aria-autocomplete", "list");
    input.setAttribute("aria-controls", this.element.id);
    if (input.matches("input")) input.setAttribute("role", "combobox");
    input.addEventListener("blur", () => setTimeout(() => document.activeElement !== input && this.hide(), 150));
  }

  get shown() {
    return !this.element.hidden;
  }

  show(items, note = "") {
    this.items = items;
    this.at = items.length ? 0 : -1;
    const rows = items.map((each, index) => {
      const row = option(each, index === 0);
      row.id = `${this.element.id}-${index}`;
      row.tabIndex = -1;
      row.addEventListener("mousedown", (event) => event.preventDefault());
      row.addEventListener("click", () => this.onPick(each));
      return row;
    });
    // A list without options is none: a note alone is read out instead.
    this.element.setAttribute("role", rows.length ? "listbox" : "status");
    this.element.replaceChildren(...rows, ...(note ? [h("p", { class: "note" }, note)] : []));
    this.element.hidden = !rows.length && !note;
    this.#mark();
  }

  hide() {
    this.element.hidden = true;
    this.#mark();
  }

  /** Handle a key event for the list; returns whether the list used it. */
  take(event) {
    if (!this.shown || !this.items.length) return false;
    if (event.key in STEPS) this.at = (this.at + STEPS[event.key] + this.items.length) % this.items.length;
    else if ((event.key === "Enter" && !event.shiftKey) || event.key === "Tab") this.onPick(this.items[this.at]);
    else if (event.key === "Escape") this.hide();
    else return false;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.#mark();
    return true;
  }

  #mark() {
    this.#markInput();
    this.element.querySelectorAll("[role=option]").forEach((row, index) => {
      row.setAttribute("aria-selected", String(index === this.at));
      if (index === this.at) row.scrollIntoView({ block: "nearest" });
    });
    if (this.shown && this.at >= 0) this.input.setAttribute("aria-activedescendant", `${this.element.id}-${this.at}`);
    else this.input.removeAttribute("aria-activedescendant");
  }

  /** Mark the input as a combobox; a text area is one only while the list is shown. */
  #markInput() {
    const { input, shown } = this;
    if (input.matches("input")) return input.setAttribute("aria-expanded", String(shown));
    for (const [name, value] of [
      ["role", "combobox"],
      ["aria-expanded", "true"],
    ]) {
      if (shown) input.setAttribute(name, value);
      else input.removeAttribute(name);
    }
  }
}
