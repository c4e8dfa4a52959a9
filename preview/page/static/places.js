/** The sidebar: the users and the channels. */

import { h, icon } from "./dom.js";
import { avatar } from "./people.js";
import { moveFocus } from "./picker.js";
import { people, store } from "./store.js";

const DIRECT = 1;

/** Render the sidebar; `go(channel)` opens a channel, `switchUser(name)` switches the user. */
export function renderPlaces(side, { go, switchUser }) {
  side.replaceChildren(who(switchUser), ...groups().map((group) => place(group, go)));
}

function who(switchUser) {
  const rows = people().map((each) => {
    const mine = each.id === store.me;
    return h(
      "div",
      { class: "person-row" },
      h(
        "button",
        {
          type: "button",
          role: "radio",
          "aria-checked": String(mine),
          tabindex: mine ? "0" : "-1",
          class: "person",
          "data-person": each.name,
          title: each.note,
          onclick: () => switchUser(each.name),
        },
        avatar(each.id, each.display, true),
        h("span", {}, h("bdi", {}, each.display), h("small", {}, each.note)),
      ),
      h(
        "a",
        {
          class: "quiet tab",
          href: `/?as=${encodeURIComponent(each.name)}`,
          target: "_blank",
          rel: "noopener",
          title: `Open a tab as ${each.display}`,
          "aria-label": `Open a tab as ${each.display}`,
        },
        "↗",
      ),
    );
  });
  const group = h("div", { role: "radiogroup", "aria-labelledby": "who-title", class: "persons" }, rows);
  group.addEventListener("keydown", (event) => moveFocus(event, [...group.querySelectorAll("[role=radio]")]));
  return h("section", { class: "who" }, h("h2", { id: "who-title" }, "You are"), group);
}

function groups() {
  const channels = [...store.channels.values()];
  const guilds = [...store.guilds.values()].map((guild) => ({
    name: guild.name,
    note: guild.bot ? "" : "without the bot",
    channels: withThreads(channels.filter((each) => each.guild === guild.id)),
  }));
  const direct = { name: "Direct messages", note: "", channels: channels.filter((each) => !each.guild) };
  return [...guilds, direct].filter((group) => group.channels.length);
}

function withThreads(channels) {
  const tops = channels.filter((each) => !each.parent);
  return tops.flatMap((top) => [top, ...channels.filter((each) => each.parent === top.id)]);
}

function place(group, go) {
  const rows = group.channels.map((each) => {
    const unread = store.unread.has(each.id);
    return h(
      "button",
      {
        type: "button",
        class: `channel${each.parent ? " inner" : ""}${unread ? " unread" : ""}`,
        "aria-current": each.id === store.open ? "page" : null,
        "data-channel": each.name,
        onclick: () => go(each.id),
      },
      icon(each.parent ? "thread" : each.type === DIRECT ? "person" : "hash"),
      h("bdi", {}, each.name),
      unread && h("span", { class: "unread-dot" }, h("span", { class: "unseen" }, "new messages")),
    );
  });
  return h(
    "section",
    { class: "place" },
    h("h2", {}, h("bdi", {}, group.name), group.note && h("small", {}, group.note)),
    rows,
  );
}
