/** The messages of the open channel. */

import { welcome } from "./about.js";
import { announce, h } from "./dom.js";
import { requestMessages } from "./link.js";
import { authorName, MessageView, snippet } from "./message.js";
import { detachFromEnd, keepPosition, showAnswerBelow } from "./scroll.js";
import { contentsOf, messagesOf, store } from "./store.js";
import { dayOf } from "./time.js";

const GROUPING_MS = 7 * 60_000;
const EPHEMERAL = 1 << 6;
const LOADING = 1 << 7;

export class Channel {
  /** `page` has the callbacks for messages. */
  constructor(page) {
    this.page = page;
    this.views = new Map();
    this.list = document.getElementById("messages");
    this.welcome = document.getElementById("welcome");
    this.list.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Remove all messages before another channel opens. */
  clear() {
    this.views.clear();
    this.list.replaceChildren();
  }

  /** Render the open channel. */
  render() {
    const { fetched, more, messages } = contentsOf(store.open);
    this.list.setAttribute("aria-busy", String(!fetched));
    keepPosition(() => {
      replace(this.list, [...(more ? [earlier()] : []), ...this.#rows()]);
      this.welcome.replaceChildren(...(fetched && !more ? [welcome(this.page.tryPrompt)] : []));
    });
    for (const id of this.views.keys()) if (!messages.has(id)) this.views.delete(id);
  }

  #rows() {
    const rows = [];
    let before = null;
    for (const message of messagesOf(store.open)) {
      const day = dayOf(message.timestamp);
      if (!before || dayOf(before.timestamp) !== day) rows.push(h("li", { class: "day" }, day));
      const { element } = this.#view(message);
      element.classList.toggle("follows", follows(before, message));
      rows.push(element);
      before = message;
    }
    return rows;
  }

  #view(message) {
    const known = this.views.get(message.id);
    if (!known) this.views.set(message.id, new MessageView(message, this.page));
    else if (known.message !== message) known.update(message);
    return this.views.get(message.id);
  }

  /** Show a new or changed message. */
  show(message, fresh) {
    const before = this.views.get(message.id)?.message;
    if (fresh) this.render();
    else {
      keepPosition(() => {
        this.#view(message);
        this.updateReplies(message.id, message);
      });
    }
    if (fresh && message.interaction_metadata?.user.id === store.me) showAnswerBelow(() => this.jump(message.id));
    const answered = before && (before.flags ^ message.flags) & LOADING;
    if (message.author.id !== store.me && (fresh || answered))
      announce(`${authorName(message.author)}: ${snippet(message)}`);
  }

  /** Update the replies to a message that has changed, or was deleted if `parent` is null. */
  updateReplies(id, parent) {
    for (const each of contentsOf(store.open).messages.values()) {
      if (each.referenced_message?.id !== id) continue;
      each.referenced_message = parent;
      this.views.get(each.id)?.update(each);
    }
  }

  /** Scroll to a message; returns whether it is shown. */
  jump(id) {
    const element = this.views.get(id)?.element;
    if (!element) return false;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
    element.focus({ preventScroll: true });
    element.classList.remove("found");
    requestAnimationFrame(() => element.classList.add("found"));
    return true;
  }

  #onKey(event) {
    const rows = [...this.list.querySelectorAll(".message")];
    const at = rows.indexOf(document.activeElement);
    if (at < 0 && event.target !== this.list) return;
    if (event.key === "Enter" && at >= 0) {
      event.preventDefault(); // or the same key would also choose the menu's first entry
      return this.views.get(rows[at].id.slice("message-".length)).openMenu(rows[at]);
    }
    const last = rows.length - 1;
    const next = { ArrowUp: at < 0 ? last : at - 1, ArrowDown: at < 0 ? last : at + 1, Home: 0, End: last }[event.key];
    if (next === undefined || !rows[next]) return;
    event.preventDefault();
    rows[next].focus();
  }
}

function follows(before, message) {
  if (!before || message.message_reference || message.interaction) return false;
  if (before.components.length || message.components.length) return false;
  const near = new Date(message.timestamp) - new Date(before.timestamp) < GROUPING_MS;
  const sameDay = dayOf(before.timestamp) === dayOf(message.timestamp);
  const alike = before.author.id === message.author.id && (before.flags & EPHEMERAL) === (message.flags & EPHEMERAL);
  return near && sameDay && alike;
}

/** Replace the rows but keep unchanged ones attached: detaching them would restart videos and lose the focus. */
function replace(list, rows) {
  const wanted = new Set(rows);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  rows.forEach((row, index) => list.children[index] !== row && list.insertBefore(row, list.children[index] ?? null));
}

function earlier() {
  const fetch = () => {
    detachFromEnd();
    requestMessages(store.open, messagesOf(store.open)[0].id);
  };
  const button = h("button", { type: "button", class: "button secondary", onclick: fetch }, "Show earlier messages");
  return h("li", { class: "earlier" }, button);
}
