/** The composer: plain messages, and commands with their options. */

import { Command } from "./command.js";
import { grow, h, icon } from "./dom.js";
import { act } from "./link.js";
import { Suggestions } from "./picker.js";
import { contentsOf, here, localDescription, localName, nameOf, store } from "./store.js";

const MAX_SUGGESTIONS = 25;
const NARROW = "(max-width: 800px)";

export class Composer {
  /** `page` has the callbacks for errors (`showError`) and for sent commands (`pending`). */
  constructor(page) {
    this.page = page;
    this.files = [];
    this.parent = null;
    this.command = null;
    this.input = h("textarea", { rows: 1, dir: "auto", "aria-label": "Message" });
    this.suggestions = new Suggestions(this.input, "Commands", (item) => this.begin(item.command));
    this.picker = h("input", { type: "file", multiple: true, hidden: true, "aria-label": "Files", tabindex: "-1" });
    this.strip = h("div", { class: "strip" });
    this.send = h("button", { type: "submit", class: "round primary", "aria-label": "Send" }, icon("send"));
    const attach = h(
      "button",
      { type: "button", class: "quiet", "aria-label": "Attach files", onclick: () => this.picker.click() },
      icon("plus"),
    );
    const slash = h(
      "button",
      { type: "button", class: "quiet slash", "aria-label": "Commands", onclick: () => this.offer() },
      "/",
    );
    this.line = h(
      "form",
      { class: "line", onsubmit: (event) => (event.preventDefault(), this.#submit()) },
      attach,
      slash,
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

  /** Update the placeholder: the channel's name, and whether the user can write there. */
  updatePlaceholder() {
    const channel = here();
    const place = channel?.guild ? `#${channel.name}` : (channel?.name ?? "");
    const long = channel?.writable === false ? `You cannot write in ${place}` : `Write to ${place}`;
    const commands = "type / for commands";
    this.input.placeholder = matchMedia(NARROW).matches ? `T${commands.slice(1)}` : `${long}; ${commands}`;
    this.element.hidden = !channel;
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
      used: (answering) => this.page.pending(command, answering),
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
    if (!this.command) return;
    this.command = null;
    this.slot.replaceChildren(this.line);
    if (focus) this.input.focus();
  }

  /** Begin a reply to a message. */
  reply(message) {
    this.leave(false);
    this.parent = message;
    this.#strip();
    this.input.focus();
  }

  /** Insert a mention of a user. */
  mention(id) {
    this.leave(false);
    this.input.value += `<@${id}> `;
    this.input.focus();
  }

  /** Add chosen, dropped or pasted files: to an open command's option, or to the message. */
  take(files) {
    if (!files.length || this.command?.take(files)) return;
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
    const files = this.files.map((file) =>
      h(
        "span",
        { class: "tag" },
        h("bdi", {}, file.name),
        this.#remove(`Remove ${file.name}`, () => (this.files = this.files.filter((each) => each !== file))),
      ),
    );
    this.strip.replaceChildren(...[parent, ...files].filter(Boolean));
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
    return contentsOf(store.open)
      .commands.flatMap((each) => flat(each))
      .sort((a, b) => a.name.localeCompare(b.name));
  }

  /** List the commands, as if the user had typed a slash. */
  offer() {
    this.leave(false);
    this.input.value = "/";
    this.input.focus();
    this.#typed();
  }

  #typed() {
    grow(this.input);
    const typed = this.input.value;
    if (!typed.startsWith("/")) return this.suggestions.hide();
    const commands = this.#commands();
    const whole = commands.find((each) => typedName(each, typed));
    if (whole) return this.#beginTyped(whole, typed.slice(typedName(whole, typed).length + 2).trimStart());
    const wanted = typed.slice(1).toLowerCase();
    const fitting = commands.filter((each) => localName(each).includes(wanted) || each.name.includes(wanted));
    fitting.sort((a, b) => Number(b.name.startsWith(wanted)) - Number(a.name.startsWith(wanted)));
    const items = fitting
      .slice(0, MAX_SUGGESTIONS)
      .map((each) => ({ label: `/${localName(each)}`, description: localDescription(each), command: each }));
    this.suggestions.show(items, items.length ? "" : this.#noCommands(wanted));
  }

  #noCommands(wanted) {
    if (!contentsOf(store.open).fetched) return "…";
    if (!contentsOf(store.open).commands.length)
      return store.bot.connected
        ? "No commands are available here."
        : "The bot is still starting; its commands appear in a moment.";
    return `There is no command like /${wanted}.`;
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
    if (event.key === "Escape" && this.parent) {
      this.parent = null;
      this.#strip();
    }
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit();
  }

  async #submit() {
    const text = this.input.value.trim();
    if (!text && !this.files.length) return;
    const named = Object.fromEntries(this.files.map((file, index) => [`file${index}`, file]));
    const given = { channel: store.open, text, message: this.parent?.id };
    [this.files, this.parent, this.input.value] = [[], null, ""];
    this.#strip();
    grow(this.input);
    try {
      await act("send", given, named);
    } catch (error) {
      this.page.showError(error.message);
      this.input.value ||= text;
    }
  }
}

/** Return the name, localized or not, by which a command was typed in full. */
function typedName(command, typed) {
  return [localName(command), command.name].find((name) => typed.startsWith(`/${name} `));
}

/** Turn a command with subcommands into one entry for each, named as it is typed. */
function flat(command, path = command.name, part = command) {
  const branches = (part.options ?? []).filter((each) => each.type === 1 || each.type === 2);
  if (!branches.length)
    return [{ ...part, name: path, name_localizations: part === command ? part.name_localizations : null }];
  return branches.flatMap((each) => flat(command, `${path} ${each.name}`, each));
}
