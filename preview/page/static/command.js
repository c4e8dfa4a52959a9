/** The form of a command: one labelled control for each option, checked before it is sent. */

import { channelsHere, membersHere, rolesHere } from "./components.js";
import { grow, h, icon } from "./dom.js";
import { act } from "./link.js";
import { Suggestions } from "./picker.js";
import { bytes } from "./pictures.js";
import { here, localDescription, localName, store } from "./store.js";

const STRING = 3,
  INTEGER = 4,
  BOOLEAN = 5,
  USER = 6,
  CHANNEL = 7,
  ROLE = 8,
  MENTIONABLE = 9,
  NUMBER = 10,
  ATTACHMENT = 11;
const COMPLETION_DELAY_MS = 250;
let serial = 0;

export class Command {
  /** `on.close` is called when the user cancels, `on.used` with the promise of the bot's response. */
  constructor(command, values, on) {
    this.definition = command;
    this.on = on;
    this.options = (command.options ?? []).map((each) => new Option(each, this));
    this.fields = h("div", { class: "options" });
    this.extra = h("div", { class: "more-options", role: "group", "aria-label": "More options" });
    this.fault = h("p", { class: "fault", role: "alert" });
    const close = h(
      "button",
      { type: "button", class: "quiet", "aria-label": "Cancel this command", onclick: () => on.close() },
      icon("close"),
    );
    const send = h(
      "button",
      { type: "submit", class: "round primary", "aria-label": `Use /${localName(command)}` },
      icon("send"),
    );
    this.element = h(
      "form",
      {
        class: "command",
        novalidate: true,
        "aria-label": `/${localName(command)}`,
        onsubmit: (event) => (event.preventDefault(), this.use()),
      },
      h(
        "div",
        { class: "command-head" },
        h("strong", {}, `/${localName(command)}`),
        h("span", {}, localDescription(command)),
        close,
      ),
      this.fields,
      h("div", { class: "command-foot" }, this.extra, send),
      this.fault,
    );
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && on.close());
    for (const option of this.options) {
      if (option.definition.required || option.definition.name in values) this.reveal(option, false);
      if (option.definition.name in values) option.write(values[option.definition.name]);
    }
    if (!this.shown.length && this.options.length && this.options[0].definition.type === STRING)
      this.reveal(this.options[0], false);
    this.#offerMore();
  }

  get shown() {
    return this.options.filter((each) => each.element.isConnected || this.fields.contains(each.element));
  }

  focus() {
    const next = this.shown.find((each) => each.empty) ?? this.shown[0];
    next ? next.focus() : this.element.querySelector("[type=submit]").focus();
  }

  /** Show an option's control. */
  reveal(option, focus = true) {
    this.fields.append(option.element);
    this.#offerMore();
    if (focus) option.focus();
  }

  /** Hide an optional option again. */
  conceal(option) {
    option.element.remove();
    option.clear();
    this.#offerMore();
    this.focus();
  }

  #offerMore() {
    const hidden = this.options.filter((each) => !this.fields.contains(each.element));
    this.extra.replaceChildren(
      ...hidden.map((each) =>
        h(
          "button",
          { type: "button", class: "chip", title: localDescription(each.definition), onclick: () => this.reveal(each) },
          icon("plus"),
          localName(each.definition),
        ),
      ),
    );
  }

  /** Put files into the first empty attachment option; returns whether there was one. */
  take(files) {
    const option = this.options.find((each) => each.definition.type === ATTACHMENT && each.empty);
    if (!option) return false;
    if (!this.fields.contains(option.element)) this.reveal(option, false);
    option.file = files[0];
    option.focus();
    return true;
  }

  /** Return the valid values of the `chosen` options. */
  values(chosen = () => true) {
    const filled = this.shown.filter((each) => chosen(each) && !each.empty && !each.problem());
    return Object.fromEntries(filled.map((each) => [each.definition.name, each.value()]));
  }

  get files() {
    return Object.fromEntries(this.shown.filter((each) => each.file).map((each) => [each.definition.name, each.file]));
  }

  /** Send the command if every option is valid. */
  use() {
    for (const option of this.options.filter((each) => each.definition.required))
      if (!this.fields.contains(option.element)) this.reveal(option, false);
    const wrong = this.shown.filter((each) => each.check());
    if (wrong.length) return wrong[0].focus();
    const given = { name: this.definition.name, channel: store.open, values: this.values() };
    this.on.used(act("command", given, this.files));
    this.on.close();
  }
}

class Option {
  constructor(definition, command) {
    this.definition = definition;
    this.command = command;
    this.id = `option-${++serial}`;
    this.fault = h("p", { class: "fault", id: `${this.id}-fault`, role: "alert" });
    this.control = this.#control();
    this.control.id = this.id;
    this.control.setAttribute("aria-describedby", `${this.id}-about ${this.id}-fault`);
    const remove = h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": `Remove ${localName(definition)}`,
        onclick: () => command.conceal(this),
      },
      icon("close"),
    );
    this.element = h(
      "div",
      { class: "option-field" },
      h("label", { for: this.id }, localName(definition)),
      h("div", { class: "option-control" }, this.control, this.list?.element, this.preview),
      definition.required ? null : remove,
      h("p", { class: "description", id: `${this.id}-about` }, this.#about()),
      this.fault,
    );
    this.control.addEventListener("input", () => (this.fault.textContent = ""));
  }

  #about() {
    const { definition } = this;
    const range = [definition.min_value, definition.max_value];
    const words = localDescription(definition);
    if (range[0] == null && range[1] == null) return words;
    return `${words} (${range[0] ?? "…"} to ${range[1] ?? "…"})`;
  }

  #control() {
    const { definition } = this;
    if (definition.type === ATTACHMENT) return this.#fileControl();
    const listed = this.#items();
    if (listed || definition.autocomplete) return this.#combo(listed);
    if (definition.type === INTEGER || definition.type === NUMBER) {
      const step = definition.type === INTEGER ? 1 : "any";
      return this.#single(
        h("input", {
          type: "number",
          inputmode: "decimal",
          step,
          min: definition.min_value,
          max: definition.max_value,
        }),
      );
    }
    const area = h("textarea", { rows: 1, dir: "auto", spellcheck: "false", maxlength: definition.max_length ?? 6000 });
    area.addEventListener("input", () => grow(area));
    return this.#single(area);
  }

  #single(control) {
    control.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.command.use();
      }
      if (event.key === "Backspace" && !control.value && !this.definition.required) this.command.conceal(this);
    });
    return control;
  }

  #fileControl() {
    const control = h("input", { type: "file" });
    this.preview = h("div", { class: "file-preview" });
    control.addEventListener("change", () => (this.file = control.files[0] ?? null));
    return control;
  }

  /** Return a function that lists the choices, or null if they are not known in advance. */
  #items() {
    const { type, choices, channel_types: types } = this.definition;
    if (choices?.length) return () => choices.map((each) => ({ label: localName(each), value: each.value }));
    const users = () =>
      membersHere().map((each) => ({ label: each.display, description: each.name, value: { user: each.id } }));
    const roles = () =>
      rolesHere().map((each) => ({ label: `@${each.name.replace(/^@/, "")}`, value: { role: each.id } }));
    if (type === BOOLEAN)
      return () => [
        { label: "True", value: true },
        { label: "False", value: false },
      ];
    if (type === USER) return users;
    if (type === ROLE) return roles;
    if (type === MENTIONABLE) return () => [...users(), ...roles()];
    if (type === CHANNEL)
      return () => channelsHere(types).map((each) => ({ label: `#${each.name}`, value: { channel: each.id } }));
    return null;
  }

  #combo(listed) {
    const input = h("input", { type: "text", dir: "auto", autocomplete: "off", spellcheck: "false" });
    this.list = new Suggestions(input, localName(this.definition), (item) => this.#pick(item));
    let timer = 0;
    const suggest = () => {
      this.picked = null;
      if (listed)
        return this.list.show(
          listed().filter((each) => each.label.toLowerCase().includes(input.value.toLowerCase())),
          "",
        );
      clearTimeout(timer);
      timer = setTimeout(() => this.#complete(input.value), COMPLETION_DELAY_MS);
    };
    input.addEventListener("input", suggest);
    input.addEventListener("focus", suggest);
    input.addEventListener("keydown", (event) => this.list.take(event));
    return this.#single(input);
  }

  #pick(item) {
    this.picked = item;
    this.control.value = item.label;
    this.fault.textContent = "";
    this.list.hide();
  }

  async #complete(typed) {
    if (!this.list.shown) this.list.show([], "…");
    const asked = (this.asked = {
      name: this.command.definition.name,
      channel: store.open,
      option: this.definition.name,
      typed,
      values: this.command.values((each) => each !== this && !each.file), // files are sent with the command only
    });
    let answer;
    try {
      answer = await act("complete", asked);
    } catch (error) {
      answer = { choices: [], note: error.message };
    }
    if (asked !== this.asked || document.activeElement !== this.control) return;
    if (answer.failed) this.list.show([], "Loading options failed");
    else
      this.list.show(
        answer.choices.map((each) => ({ label: localName(each), value: each.value })),
        answer.note ?? (answer.choices.length ? "" : "No suggestions"),
      );
  }

  set file(file) {
    this.chosen = file;
    this.fault.textContent = "";
    this.preview.replaceChildren();
    if (!file) return;
    if (file.type.startsWith("image/")) this.preview.append(h("img", { src: URL.createObjectURL(file), alt: "" }));
    this.preview.append(h("span", {}, h("bdi", {}, file.name), h("small", {}, bytes(file.size))));
  }

  get file() {
    return this.chosen ?? null;
  }

  get empty() {
    return this.definition.type === ATTACHMENT ? !this.file : this.control.value === "";
  }

  /** Set the text. */
  write(text) {
    this.control.value = text;
    requestAnimationFrame(() => this.control.matches("textarea") && grow(this.control));
  }

  clear() {
    if (this.definition.type === ATTACHMENT) this.file = null;
    this.control.value = "";
    this.picked = null;
  }

  focus() {
    this.control.focus();
    if (this.control.matches("textarea"))
      this.control.setSelectionRange(this.control.value.length, this.control.value.length);
  }

  value() {
    const { type, name } = this.definition;
    if (type === ATTACHMENT) return { file: name };
    if (this.picked) return this.picked.value;
    const text = this.control.value;
    return type === INTEGER || type === NUMBER ? Number(text) : text;
  }

  /** Return the error in the value, or null. */
  problem() {
    const { definition } = this;
    if (this.empty) return definition.required ? "This option is required." : null;
    if (definition.type === ATTACHMENT) return this.#tooLarge();
    if (this.list && !definition.autocomplete && !this.picked) return "Choose one from the list.";
    if (definition.type === INTEGER || definition.type === NUMBER) return this.#outOfRange();
    const length = [...this.control.value].length;
    if (length < (definition.min_length ?? 0)) return `At least ${definition.min_length} characters are required.`;
    return null;
  }

  #tooLarge() {
    const limit = here()?.fileLimit ?? Infinity;
    return this.file.size > limit ? `This file is too large: ${Math.floor(limit / 1048576)} MiB at most.` : null;
  }

  #outOfRange() {
    const { type, min_value: min = -Infinity, max_value: max = Infinity } = this.definition;
    const number = this.value();
    if (!Number.isFinite(number) || (type === INTEGER && !Number.isInteger(number)))
      return type === INTEGER ? "Enter a whole number." : "Enter a number.";
    return number < min || number > max ? `It must be between ${min} and ${max}.` : null;
  }

  /** Show the error, if any; returns whether there is one. */
  check() {
    const wrong = this.problem();
    this.fault.textContent = wrong ?? "";
    return Boolean(wrong);
  }
}
