/** Menus of messages and users, opened by a right click, the menu key or a button. */

import { h } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { moveFocus, removeWhenClosed, showPopup } from "./picker.js";

let waiting = new AbortController();

/** Call `open` once no button is pressed: Chromium 150 closes a popup when the button that opened it is released. */
export function whenReleased(event, open) {
  waiting.abort();
  if (!event.buttons) return open();
  waiting = new AbortController();
  const released = () => {
    waiting.abort();
    open();
  };
  for (const name of ["pointerup", "pointercancel"]) addEventListener(name, released, { signal: waiting.signal });
}

/** Open a menu. Entries are `{label, act, danger?}`; empty groups are omitted. */
export function openMenu(anchor, groups, label, point = null) {
  const popup = h("div", { popover: "auto", class: "popup menu", role: "menu", "aria-label": label });
  const choose = (act) => {
    popup.hidePopover();
    act();
  };
  const filled = groups.filter((group) => group.entries.length);
  for (const { title, entries } of filled) {
    const items = entries.map((each) =>
      h(
        "button",
        {
          type: "button",
          role: "menuitem",
          class: each.danger ? "entry danger" : "entry",
          onclick: () => choose(each.act),
        },
        each.label,
      ),
    );
    popup.append(
      h(
        "div",
        { role: "group", "aria-label": title ?? label },
        title && h("div", { class: "menu-title" }, title),
        items,
      ),
    );
  }
  if (!filled.length) return;
  const controls = [...popup.querySelectorAll("[role=menuitem]")];
  popup.addEventListener("keydown", (event) => moveFocus(event, controls));
  removeWhenClosed(popup, anchor);
  showPopup(popup, anchor, point);
  controls[0].focus();
}

const PALETTE = ["❤️", "👍", "🔥", "⭐", "😂", "😮", "🎨", "🎉", "👀", "🔄", "✉️", "❌"];

/** Open an emoji picker: a few buttons, and an input for any other emoji. */
export function openEmoji(anchor, onPick) {
  const popup = h("div", { popover: "auto", class: "popup emojis", role: "dialog", "aria-label": "Add a reaction" });
  const pick = (emoji) => {
    popup.hidePopover();
    onPick(emoji);
  };
  const buttons = PALETTE.map((each) =>
    h(
      "button",
      { type: "button", class: "emoji-choice", "aria-label": each, onclick: () => pick(each) },
      withEmoji(each),
    ),
  );
  const other = h("input", { placeholder: "or any emoji", "aria-label": "Any emoji", maxlength: 16 });
  other.addEventListener("keydown", (event) => event.key === "Enter" && other.value.trim() && pick(other.value.trim()));
  popup.append(h("div", { class: "palette" }, buttons), other);
  removeWhenClosed(popup, anchor);
  showPopup(popup, anchor);
  buttons[0].focus();
}
