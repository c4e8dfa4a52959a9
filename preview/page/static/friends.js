/** A panel that lets the other simulated users press a message's buttons, for somebody who tries the bot alone. */

import { h } from "./dom.js";
import { openForm } from "./form.js";
import { act } from "./link.js";
import { removeWhenClosed, showPopup } from "./picker.js";
import { people, store } from "./store.js";

const BUTTON = 2,
  STRING_SELECT = 3,
  LINK = 5,
  PREMIUM = 6;

/** Return the friends who may use the buttons of a message: none for a private message or without buttons. */
export function friendsAt(message) {
  const guild = store.guilds.get(store.channels.get(message.channel_id)?.guild);
  if (!guild || message.flags & 64 || !choicesOf(message).length) return [];
  return people().filter((each) => each.id !== store.me && guild.members.includes(each.id));
}

/** List what can be used in a message: its buttons, and each option of its selects. */
function choicesOf(message) {
  const walk = (parts) =>
    (parts ?? []).flatMap((each) => [each, ...walk(each.components), ...walk([each.accessory].filter(Boolean))]);
  return walk(message.components)
    .filter((each) => !each.disabled)
    .flatMap((each) => {
      if (each.type === BUTTON && each.style !== LINK && each.style !== PREMIUM)
        return [{ name: nameOf(each), custom_id: each.custom_id }];
      if (each.type !== STRING_SELECT) return [];
      return each.options.map((one) => ({
        name: `${each.placeholder ?? "Select"}: ${nameOf(one)}`,
        custom_id: each.custom_id,
        chosen: [one.value],
      }));
    });
}

const nameOf = ({ emoji, label }) => [emoji?.name, label].filter(Boolean).join(" ");

/** Open the panel for the message that `current()` returns: its buttons may change while the panel is open. */
export function openFriends(anchor, current) {
  const select = h("select", { class: "select", id: "friends-button" });
  const said = h("p", { class: "note", role: "status" });
  let choices = [];
  const fill = () => {
    const before = choices[select.value]?.name;
    choices = choicesOf(current());
    select.replaceChildren(...choices.map((each, index) => h("option", { value: index }, each.name)));
    select.value = Math.max(
      0,
      choices.findIndex((each) => each.name === before),
    );
  };
  const run = async (given, tell) => {
    try {
      said.textContent = tell(await act("friends", { message: current().id, ...given }));
    } catch (error) {
      said.textContent = error.message;
    }
    fill();
  };
  const press = (friend) => () => {
    const { custom_id, chosen } = choices[select.value] ?? {};
    run({ person: friend.name, custom_id, chosen }, (answer) => told(friend, answer));
  };
  const all = () =>
    run({}, ({ pressed }) => `${pressed.map((each) => displayOf(each.person)).join(" and ")} pressed something.`);
  const popup = panel(select, friendsAt(current()), press, all, said);
  removeWhenClosed(popup, anchor);
  fill();
  showPopup(popup, anchor);
  select.focus();
}

function panel(select, friends, press, all, said) {
  const button = (text, act) => h("button", { type: "button", class: "button secondary", onclick: act }, text);
  return h(
    "div",
    { popover: "auto", class: "popup friends", role: "dialog", "aria-label": "Let friends press" },
    h("label", { for: select.id, class: "menu-title" }, "Button"),
    select,
    h("div", { class: "menu-title" }, "Who presses it"),
    h(
      "div",
      { class: "row" },
      friends.map((each) => button(each.display, press(each))),
    ),
    button("All press something at random", all),
    said,
  );
}

const displayOf = (name) => people().find((each) => each.name === name)?.display ?? name;

/** Say what came of a press; a form opens here, to be filled in for the friend. */
function told(friend, { failed, modal, interaction }) {
  if (failed) return `${friend.display} pressed, but the application did not respond.`;
  if (modal) openForm(modal, interaction, friend);
  return modal ? `${friend.display} was asked to fill in a form.` : `${friend.display} pressed it.`;
}
