/** The components of a message, as the bot sent them. */

import { media } from "./embeds.js";
import { externalLink, h, icon } from "./dom.js";
import { withEmoji } from "./emoji.js";
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

/** Render components; `actions` has `press(customId, button)` and `select(customId, chosen, button)`. */
export function components(list, actions, earlier = null) {
  return list.map((each) => component(each, actions, earlier));
}

function component(each, actions, earlier) {
  const inner = () => components(each.components ?? [], actions, earlier);
  switch (each.type) {
    case 1:
      return h("div", { class: "row" }, inner());
    case 2:
      return button(each, actions);
    case 3:
    case 5:
    case 6:
    case 7:
    case 8:
      return select(each, actions);
    case 9:
      return h(
        "div",
        { class: "section" },
        h("div", { class: "section-text" }, inner()),
        component(each.accessory, actions, null),
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
      return h("p", { class: "note" }, `(component type ${each.type} is not supported by this preview)`);
  }
}

function container(each, inner) {
  const box = h("div", { class: each.spoiler ? "container covered" : "container" }, inner);
  if (each.accent_color != null) box.style.setProperty("--mark", `#${each.accent_color.toString(16).padStart(6, "0")}`);
  if (each.spoiler) cover(box);
  return box;
}

function cover(box) {
  const inside = [...box.children];
  const reveal = () => {
    box.classList.remove("covered");
    button.remove();
    for (const each of inside) each.inert = false;
  };
  const button = h("button", { type: "button", class: "button secondary reveal", onclick: reveal }, "Show spoiler");
  for (const each of inside) each.inert = true;
  box.prepend(button);
}

function emoji(each) {
  if (!each) return null;
  return h("span", { class: "emoji" }, each.id ? `:${each.name}:` : withEmoji(each.name));
}

function button(each, actions) {
  const inside = [emoji(each.emoji), each.emoji && " ", each.label && h("bdi", {}, withEmoji(each.label))];
  if (each.style === 5) {
    const link = externalLink("", each.url, { class: "button link", "aria-disabled": each.disabled ? "true" : null });
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
      onclick: () => actions.press(each.custom_id, element),
    },
    inside,
  );
  return element;
}

function select(each, actions) {
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
    actions.select(
      each.custom_id,
      values.map((value) => valueReference(each, value)),
      element,
    );
  return element;
}

/** List the options of any kind of select in the open channel. */
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

/** Return the reference for a chosen value, such as `{user: ID}`. */
export function valueReference(each, value) {
  if (each.type === 3 || each.type > 8) return value;
  if (each.type === 8) return { channel: value };
  const role = each.type === 6 || (each.type === 7 && !store.users.has(value));
  return role ? { role: value } : { user: value };
}

const guildHere = () => store.guilds.get(here()?.guild);

/** List the users that can be chosen in the open channel. */
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
