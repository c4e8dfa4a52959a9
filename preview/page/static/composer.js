/** The composer: plain messages with mentions, edits of them, and commands with their options. */

import { Command } from "./command.js";
import { grow, h, icon } from "./dom.js";
import { act } from "./link.js";
import { decodeMentions, encodeMentions, mentionAt, peopleLike } from "./mentions.js";
import { Suggestions } from "./picker.js";
import { contentsOf, here, localDescription, localName, messagesOf, nameOf, store } from "./store.js";
import { countUse, sortByUse } from "./uses.js";

const MAX_SUGGESTIONS = 25;
const TYPING_INTERVAL_MS = 5000;
const CLOSED = "You do not have permission to send messages in this channel.";
const CLOSED_SHORT = "You may not write here.";
const NARROW = "(max-width: 800px)";

export class Composer {
  /** `page` has the callbacks for errors (`showError`) and for sent commands (`pending`). */
  constructor(page) {
    this.page = page;
    this.files = [];
    this.parent = null;
    this.edited = null;
    this.command = null;
    this.typedAt = 0;
    this.input = h("textarea", { rows: 1, dir: "auto", "aria-label": "Message" });
    this.suggestions = new Suggestions(this.input, "Suggestions", (item) => item.pick());
    this.picker = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files", tabindex: "-1" });
    this.strip = h("div", { class: "strip" });
    this.send = h("button", { type: "submit", class: "round primary", "aria-label": "Send" }, icon("send"));
    this.attach = h(
      "button",
      { type: "button", class: "quiet", "aria-label": "Attach files", onclick: () => this.picker.click() },
      icon("plus"),
    );
    this.slash = h(
      "button",
      { type: "button", class: "quiet slash", "aria-label": "Commands", onclick: () => this.offer() },
      "/",
    );
    this.line = h(
      "form",
      { class: "line", onsubmit: (event) => (event.preventDefault(), this.#submit()) },
      this.attach,
      this.slash,
      this.input,
      this.send,
      this.picker,
    );
    this.slot = h("div", {}, this.line);
    this.element = h("div", { class: "composer" }, this.suggestions.element, this.strip, this.slot);
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.picker.addEventListener("change", () => this.take([...this.picker.files]));
  }

  /** Update the box for the open channel: its name, or that the user cannot write there. */
  updatePlace() {
    const channel = here();
    const place = channel?.guild ? `#${channel.name}` : (channel?.name ?? "");
    const commands = "type / for commands";
    const narrow = matchMedia(NARROW).matches;
    const open = narrow ? `T${commands.slice(1)}` : `Write to ${place}; ${commands}`;
    this.input.placeholder = this.closed ? (narrow ? CLOSED_SHORT : CLOSED) : open;
    this.input.readOnly = this.closed;
    this.input.setAttribute("aria-disabled", String(this.closed));
    for (const button of [this.attach, this.slash, this.send]) button.disabled = this.closed;
    this.line.classList.toggle("closed", this.closed);
    this.element.hidden = !channel;
  }

  /** Return whether the user cannot write here; Discord's box is closed then, for commands too. */
  get closed() {
    return here()?.writable === false;
  }

  /** Update the suggestions: the channel's commands have arrived or changed. */
  refresh() {
    if (!this.command && this.input.value.startsWith("/")) this.#typed();
  }

  /** Open a command with some of its options filled in. */
  begin(command, values = {}) {
    this.leave(false);
    this.suggestions.hide();
    this.input.value = "";
    this.command = new Command(command, values, {
      close: () => this.leave(),
      used: (answering) => {
        countUse(command.name);
        this.page.pending(command, answering);
      },
    });
    this.slot.replaceChildren(this.command.element);
    this.command.focus();
  }

  /** Open a command by its name; returns whether it is available here. */
  beginNamed(name, values = {}) {
    const command = this.#commands().find((each) => each.name === name);
    if (command) this.begin(command, values);
    return Boolean(command);
  }

  /** Return to plain messages. */
  leave(focus = true) {
    this.suggestions.hide();
    if (!this.command) return;
    this.command = null;
    this.slot.replaceChildren(this.line);
    if (focus) this.input.focus();
  }

  /** Leave a command, a reply or an edit, because another channel opens; plain text stays. */
  changePlace() {
    this.leave(false);
    this.#stopEdit();
    this.parent = null;
    this.#strip();
  }

  /** Begin a reply to a message. */
  reply(message) {
    this.leave(false);
    this.#stopEdit();
    this.parent = message;
    this.#strip();
    this.input.focus();
  }

  /** Begin to edit an own message. */
  edit(message) {
    this.leave(false);
    [this.edited, this.parent] = [message, null];
    this.input.value = decodeMentions(message.content);
    this.#strip();
    this.input.focus();
    grow(this.input);
  }

  #stopEdit() {
    if (!this.edited) return;
    [this.edited, this.input.value] = [null, ""];
    grow(this.input);
    this.#strip();
  }

  #editLast() {
    const last = messagesOf(store.open).findLast((each) => each.author.id === store.me && each.content);
    if (last) this.edit(last);
    return Boolean(last);
  }

  /** Insert a mention of a user. */
  mention(id) {
    this.leave(false);
    this.input.value += `@${nameOf(id)} `;
    this.input.focus();
  }

  /** Add chosen, dropped or pasted files: to an open command's option, or to the message. */
  take(files) {
    if (!files.length || this.command?.take(files)) return;
    if (this.closed) return this.page.showError(CLOSED);
    const limit = here()?.fileLimit ?? Infinity;
    const large = files.find((each) => each.size > limit);
    if (large)
      return this.page.showError(`${large.name} is too large: the limit here is ${Math.floor(limit / 1048576)} MiB.`);
    this.leave(false);
    this.files = [...this.files, ...files].slice(0, 10);
    this.picker.value = "";
    this.#strip();
    this.input.focus();
  }

  #strip() {
    const parent =
      this.parent &&
      h(
        "span",
        { class: "tag" },
        `Replying to ${nameOf(this.parent.author.id)}`,
        this.#remove("Do not reply", () => (this.parent = null)),
      );
    const edited =
      this.edited &&
      h(
        "span",
        { class: "tag" },
        "Editing your message",
        this.#remove("Do not edit", () => this.#stopEdit()),
      );
    const files = this.files.map((file) =>
      h(
        "span",
        { class: "tag" },
        h("bdi", {}, file.name),
        this.#remove(`Remove ${file.name}`, () => (this.files = this.files.filter((each) => each !== file))),
      ),
    );
    this.strip.replaceChildren(...[parent, edited, ...files].filter(Boolean));
  }

  #remove(label, forget) {
    const act = () => {
      forget();
      this.#strip();
      this.input.focus();
    };
    return h("button", { type: "button", class: "quiet", "aria-label": label, onclick: act }, icon("close"));
  }

  #commands() {
    return sortByUse(contentsOf(store.open).commands.flatMap((each) => flat(each)));
  }

  /** List the commands, as if the user had typed a slash. */
  offer() {
    this.leave(false);
    if (this.closed) return this.input.focus();
    this.input.value = "/";
    this.input.focus();
    this.#typed();
  }

  #typed() {
    grow(this.input);
    const typed = this.input.value;
    this.#announceTyping();
    if (!typed.startsWith("/") || this.edited) return this.#offerPeople();
    const commands = this.#commands();
    const whole = commands.find((each) => typedName(each, typed));
    if (whole) return this.#beginTyped(whole, typed.slice(typedName(whole, typed).length + 2).trimStart());
    const wanted = typed.slice(1).toLowerCase();
    const [first] = wanted.split(" ");
    let [fitting, rest] = [fittingCommands(commands, wanted), ""];
    if (!fitting.length) [fitting, rest] = [fittingCommands(commands, first), typed.slice(first.length + 2).trim()];
    const items = fitting.slice(0, MAX_SUGGESTIONS).map((each) => ({
      label: `/${localName(each)}`,
      description: localDescription(each),
      pick: () => (each.name.includes(" ") ? this.begin(each) : this.#beginTyped(each, rest)),
    }));
    this.suggestions.show(items, items.length ? "" : this.#noCommands(wanted));
  }

  #offerPeople() {
    const mention = mentionAt(this.input.value, this.input.selectionStart);
    if (!mention) return this.suggestions.hide();
    const items = peopleLike(mention.typed).map((each) => ({
      label: `@${each.display}`,
      description: each.name,
      pick: () => this.#insert(`@${each.display} `, mention.from),
    }));
    this.suggestions.show(items.slice(0, MAX_SUGGESTIONS));
  }

  #insert(text, from) {
    this.input.setRangeText(text, from, this.input.selectionStart, "end");
    this.suggestions.hide();
  }

  /** Tell the others that this user is typing, once in a while. */
  #announceTyping() {
    const quiet = this.edited || Date.now() - this.typedAt < TYPING_INTERVAL_MS;
    if (quiet || !this.input.value.trim() || this.input.value.startsWith("/")) return;
    this.typedAt = Date.now();
    act("typing", { channel: store.open }).catch(() => {});
  }

  #noCommands(wanted) {
    if (!contentsOf(store.open).fetched) return "…";
    if (!contentsOf(store.open).commands.length)
      return store.bot.connected
        ? "No commands are available here."
        : "The bot is still starting; its commands appear in a moment.";
    return `There is no command like /${wanted}. Enter sends it as a message.`;
  }

  /** Open a command that was typed or pasted in full: `/imagine prompt: a fox` or `/imagine a fox`. */
  #beginTyped(command, rest) {
    const first = (command.options ?? []).find((each) => each.type === 3);
    const label = first ? `${first.name}:` : "";
    const text = rest.startsWith(label) ? rest.slice(label.length).trimStart() : rest;
    this.begin(command, first && text ? { [first.name]: text } : {});
  }

  #key(event) {
    if (this.suggestions.take(event)) return;
    if (this.closed && (event.key.length === 1 || event.key === "Enter") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      return this.page.showError(CLOSED);
    }
    if (event.key === "ArrowUp" && !this.input.value && !this.files.length && this.#editLast()) {
      return event.preventDefault();
    }
    if (event.key === "Escape") {
      this.#stopEdit();
      this.suggestions.hide();
      this.parent = null;
      this.#strip();
    }
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  async #submit() {
    const text = encodeMentions(this.input.value.trim());
    if (this.edited) return this.#save(text);
    if (!text && !this.files.length) return;
    const named = Object.fromEntries(this.files.map((file, index) => [`file${index}`, file]));
    const given = { channel: store.open, text, message: this.parent?.id };
    [this.files, this.parent, this.input.value] = [[], null, ""];
    this.#strip();
    this.suggestions.hide();
    grow(this.input);
    this.typedAt = 0;
    try {
      await act("send", given, named);
    } catch (error) {
      this.page.showError(error.message);
      this.input.value ||= decodeMentions(text);
    }
  }

  async #save(text) {
    const { id, content } = this.edited;
    try {
      if (text !== content) await act("edit", { message: id, text });
      this.#stopEdit();
    } catch (error) {
      this.page.showError(error.message);
    }
  }
}

/** Return the name, localized or not, by which a command was typed in full. */
function typedName(command, typed) {
  return [localName(command), command.name].find((name) => typed.startsWith(`/${name} `));
}

/** Return the commands whose name contains what was typed, those that begin with it first. */
function fittingCommands(commands, wanted) {
  const fitting = commands.filter((each) => localName(each).includes(wanted) || each.name.includes(wanted));
  return fitting.sort((a, b) => Number(b.name.startsWith(wanted)) - Number(a.name.startsWith(wanted)));
}

/** Turn a command with subcommands into one entry for each, named as it is typed. */
function flat(command, path = command.name, part = command) {
  const branches = (part.options ?? []).filter((each) => each.type === 1 || each.type === 2);
  if (!branches.length)
    return [{ ...part, name: path, name_localizations: part === command ? part.name_localizations : null }];
  return branches.flatMap((each) => flat(command, `${path} ${each.name}`, each));
}
