/** Modals. */

import { choicesOf, valueReference } from "./components.js";
import { h, icon } from "./dom.js";
import { act } from "./link.js";
import { markdown } from "./markdown.js";
import { openList } from "./picker.js";

let serial = 0;

/**
 * Open the modal that answered an interaction of this user, or of `friend`. The response to its submission cannot be
 * another modal.
 */
export function openForm(modal, interaction, friend = null) {
  const fields = [];
  const body = h(
    "div",
    { class: "form-body" },
    modal.components.map((part) => row(part, fields)),
  );
  const fault = h("p", { class: "fault", role: "alert" });
  const send = h("button", { class: "button primary" }, "Submit");
  const form = h(
    "form",
    { method: "dialog", novalidate: true },
    h(
      "header",
      {},
      h("h2", { id: "form-title" }, friend ? `${modal.title} (as ${friend.display})` : modal.title),
      h(
        "button",
        { type: "button", class: "quiet", "aria-label": "Close", onclick: () => dialog.close() },
        icon("close"),
      ),
    ),
    body,
    fault,
    h(
      "footer",
      {},
      h("button", { type: "button", class: "button secondary", onclick: () => dialog.close() }, "Cancel"),
      send,
    ),
  );
  const dialog = h("dialog", { class: "form", "aria-labelledby": "form-title", onclose: () => dialog.remove() }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wrong = fields.find((each) => each.check());
    fields.forEach((each) => each.showError(each.check()));
    if (wrong) return wrong.focus();
    send.disabled = true;
    fault.textContent = "";
    try {
      const files = Object.assign({}, ...fields.map((each) => each.files?.() ?? {}));
      const values = Object.fromEntries(fields.map((each) => [each.name, each.value()]));
      const answer = await act("submit", { interaction, values, ...(friend && { as: friend.name }) }, files);
      if (answer.failed) throw new Error("Something went wrong. Try again.");
      dialog.close();
    } catch (error) {
      fault.textContent = error.message;
      send.disabled = false;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  fields[0]?.focus();
}

function row(part, fields) {
  if (part.type === 10) return h("div", { class: "text", dir: "auto" }, markdown(part.content));
  const inner = part.component ?? part.components[0];
  const label = part.label ?? inner.label ?? "";
  const field = (FIELDS[inner.type] ?? unknown)(inner, label);
  const id = `field-${++serial}`;
  const problem = h("p", { class: "fault", id: `${id}-fault` });
  const required = inner.required !== false;
  field.control.setAttribute("aria-describedby", problem.id);
  field.name = inner.custom_id;
  field.focus = () =>
    (field.control.matches("input,textarea,button")
      ? field.control
      : field.control.querySelector("input,button")
    )?.focus();
  field.showError = (text) => (problem.textContent = text ?? "");
  fields.push(field);
  field.control.id = id;
  if (field.control.matches("button")) field.control.setAttribute("aria-labelledby", `${id}-label ${id}`);
  else if (field.control.matches("div")) field.control.setAttribute("aria-labelledby", `${id}-label`);
  return h(
    "div",
    { class: "field" },
    h(
      "label",
      { for: id, id: `${id}-label` },
      h("bdi", {}, label),
      required && h("span", { class: "required", title: "required" }, " *"),
    ),
    part.description && h("p", { class: "description" }, part.description),
    field.control,
    field.extra,
    problem,
  );
}

function unknown(part) {
  const control = h("p", { class: "note" }, `(field type ${part.type} is not supported by this preview)`);
  return { control, value: () => null, check: () => null };
}

function text(part) {
  const attributes = {
    maxlength: part.max_length ?? 4000,
    placeholder: part.placeholder ?? "",
    dir: "auto",
    spellcheck: "false",
  };
  const control =
    part.style === 2 ? h("textarea", { ...attributes, rows: 4 }) : h("input", { type: "text", ...attributes });
  control.value = part.value ?? "";
  const least = Math.max(part.min_length ?? 0, part.required === false ? 0 : 1);
  const most = part.max_length ?? 4000;
  const counter = h("small", { class: "counter" });
  const count = () => (counter.textContent = `${control.value.length} / ${most}`);
  control.addEventListener("input", count);
  count();
  const tooShort = () => control.value.length < least && !(part.required === false && !control.value);
  return {
    control,
    extra: counter,
    value: () => control.value,
    check: () => (tooShort() ? `At least ${least} characters are required.` : null),
  };
}

function select(part, label) {
  const items = choicesOf(part);
  let chosen = items.filter((each) => each.chosen).map((each) => each.value);
  const shown = h("span");
  const control = h("button", { type: "button", class: "select", "aria-haspopup": "listbox" }, shown, icon("down"));
  const write = () => {
    const names = items.filter((each) => chosen.includes(each.value)).map((each) => each.label);
    shown.textContent = names.join(", ") || (part.placeholder ?? "Make a selection");
    shown.className = names.length ? "" : "placeholder";
  };
  const min = part.required === false ? 0 : (part.min_values ?? 1);
  const open = () =>
    openList(
      control,
      items.map((each) => ({ ...each, chosen: chosen.includes(each.value) })),
      {
        label,
        min,
        max: part.max_values ?? 1,
        onPick: (values) => {
          chosen = values;
          write();
        },
      },
    );
  control.addEventListener("click", open);
  write();
  const few = () => chosen.length < min;
  return {
    control,
    value: () => chosen.map((each) => valueReference(part, each)),
    check: () => (few() ? "Choose an option." : null),
  };
}

function upload(part) {
  const most = part.max_values ?? 1;
  const control = h("input", { type: "file", multiple: most > 1 });
  const least = part.required === false ? 0 : (part.min_values ?? 1);
  const names = () => [...control.files].map((_, index) => `${part.custom_id}/${index}`);
  const wrong = () => control.files.length < least || control.files.length > most;
  return {
    control,
    value: () => names().map((name) => ({ file: name })),
    files: () => Object.fromEntries(names().map((name, index) => [name, control.files[index]])),
    check: () => (wrong() ? `Choose between ${least} and ${most} files.` : null),
  };
}

function ticks(part) {
  const kind = part.type === 21 ? "radio" : "checkbox";
  const name = `group-${++serial}`;
  const boxes = part.options.map((each) =>
    h("input", { type: kind, name, value: each.value, checked: Boolean(each.default) }),
  );
  const rows = part.options.map((each, index) =>
    h(
      "label",
      { class: "tick" },
      boxes[index],
      h("span", {}, h("bdi", {}, each.label), each.description && h("small", {}, each.description)),
    ),
  );
  const chosen = () => boxes.filter((each) => each.checked).map((each) => each.value);
  const control = h("div", { role: kind === "radio" ? "radiogroup" : "group" }, rows);
  const missing = () => part.required !== false && !chosen().length;
  return { control, value: chosen, check: () => (missing() ? "Choose an option." : null) };
}

function tick(part) {
  const control = h("input", { type: "checkbox", checked: Boolean(part.default) });
  return { control, value: () => control.checked, check: () => null };
}

const FIELDS = {
  3: select,
  4: text,
  5: select,
  6: select,
  7: select,
  8: select,
  19: upload,
  21: ticks,
  22: ticks,
  23: tick,
};
