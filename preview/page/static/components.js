/** The components below a message or that a message is made of, as the bot sent them. */

import { media } from "./embeds.js";
import { h, icon, outside } from "./dom.js";
import { markdown } from "./markdown.js";
import { fileCard, fromMedia, mosaic } from "./pictures.js";
import { openList } from "./picker.js";
import { here, people, store } from "./store.js";

const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger" };
const SELECT_WORDS = {
  3: "Make a selection",
  5: "Select a member",
  6: "Select a role",
  7: "Select a member or role",
  8: "Select a channel",
};

/** Render components; `deeds` has `press(customId, button)` and `select(customId, chosen, button)`. */
export function components(list, deeds, earlier = null) {
  return list.map((each) => component(each, deeds, earlier));
}

function component(each, deeds, earlier) {
  const inner = () => components(each.components ?? [], deeds, earlier);
  switch (each.type) {
    case 1:
      return h("div", { class: "row" }, inner());
    case 2:
      return button(each, deeds);
    case 3:
    case 5:
    case 6:
    case 7:
    case 8:
      return select(each, deeds);
    case 9:
      return h(
        "div",
        { class: "section" },
        h("div", { class: "section-text" }, inner()),
        component(each.accessory, deeds, null),
      );
    case 10:
      return h("div", { class: "text", dir: "auto" }, markdown(each.content));
    case 11:
      return h("div", { class: "thumbnail" }, media(each.media, each.description, each.spoiler));
    case 12:
      return mosaic(
        each.items.map((item) => fromMedia(item.media, item.description, item.spoiler)),
        earlier,
      );
    case 13:
      return fileCard(each.name ?? "file", each.size, each.file.url);
    case 14:
      return h("hr", { class: each.divider ? `space${each.spacing}` : `space${each.spacing} blank` });
    case 17:
      return container(each, inner());
    default:
      return h("p", { class: "note" }, `(a component of type ${each.type}, which this preview does not know)`);
  }
}

function container(each, inner) {
  const box = h("div", { class: each.spoiler ? "container covered" : "container" }, inner);
  if (each.accent_color != null) box.style.setProperty("--mark", `#${each.accent_color.toString(16).padStart(6, "0")}`);
  if (each.spoiler) box.addEventListener("click", () => box.classList.remove("covered"), { once: true });
  return box;
}

function emoji(each) {
  if (!each) return null;
  return h("span", { class: "emoji" }, each.id ? `:${each.name}:` : each.name);
}

function button(each, deeds) {
  const inside = [emoji(each.emoji), each.label && h("bdi", {}, each.label)];
  if (each.style === 5) {
    const link = outside("", each.url, { class: "button link", "aria-disabled": each.disabled ? "true" : null });
    link.append(...inside.filter(Boolean), " ↗");
    return link;
  }
  const label = each.label ? null : each.emoji?.name;
  const element = h(
    "button",
    {
      type: "button",
      class: `button ${STYLES[each.style] ?? "secondary"}`,
      disabled: each.disabled || each.style === 6,
      "data-key": each.custom_id,
      "aria-label": label,
      onclick: () => deeds.press(each.custom_id, element),
    },
    inside,
  );
  return element;
}

function select(each, deeds) {
  const items = choicesOf(each);
  const chosen = items.filter((item) => item.chosen).map((item) => item.label);
  const placeholder = each.placeholder ?? SELECT_WORDS[each.type];
  const element = h(
    "button",
    {
      type: "button",
      class: "select",
      disabled: each.disabled,
      "data-key": each.custom_id,
      "aria-haspopup": "listbox",
      "aria-label": placeholder,
      onclick: () =>
        openList(element, items, {
          label: placeholder,
          min: each.min_values ?? 1,
          max: each.max_values ?? 1,
          onPick: pick,
        }),
    },
    h("span", { class: chosen.length ? "" : "placeholder" }, chosen.join(", ") || placeholder),
    icon("down"),
  );
  const pick = (values) =>
    deeds.select(
      each.custom_id,
      values.map((value) => meaning(each, value)),
      element,
    );
  return element;
}

/** List what a select of any kind offers here. */
export function choicesOf(each) {
  const defaults = new Set((each.default_values ?? []).map((value) => value.id));
  const chosen = (id) => ({ value: id, chosen: defaults.has(id) });
  if (each.type === 3) {
    return each.options.map((one) => ({ ...one, emoji: one.emoji?.name, chosen: Boolean(one.default) }));
  }
  const users = () => membersHere().map((one) => ({ label: one.display, description: one.name, ...chosen(one.id) }));
  const roles = () => rolesHere().map((one) => ({ label: `@${one.name.replace(/^@/, "")}`, ...chosen(one.id) }));
  if (each.type === 5) return users();
  if (each.type === 6) return roles();
  if (each.type === 7) return [...users(), ...roles()];
  return channelsHere(each.channel_types).map((one) => ({ label: `#${one.name}`, ...chosen(one.id) }));
}

/** Say what a chosen value stands for. */
export function meaning(each, value) {
  if (each.type === 3 || each.type > 8) return value;
  if (each.type === 8) return { channel: value };
  const role = each.type === 6 || (each.type === 7 && !store.users.has(value));
  return role ? { role: value } : { user: value };
}

const guildHere = () => store.guilds.get(here()?.guild);

/** List who can be chosen in the open channel. */
export function membersHere() {
  const guild = guildHere();
  return guild
    ? guild.members.map((id) => store.users.get(id)).filter(Boolean)
    : [...people()].filter((one) => one.id === store.me);
}

export const rolesHere = () => guildHere()?.roles ?? [];

/** List the channels that can be chosen in the open channel. */
export function channelsHere(types = null) {
  const guild = here()?.guild;
  return [...store.channels.values()].filter(
    (one) => one.guild === guild && guild && (!types?.length || types.includes(one.type)),
  );
}
