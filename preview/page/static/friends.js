/** A panel that lets the other simulated users press a message's buttons, for somebody who tries the bot alone. */

import { h } from "./dom.js";
import { act } from "./link.js";
import { showPopup } from "./picker.js";
import { people, store } from "./store.js";

const LINK = 5,
  PREMIUM = 6;

/** Return the friends who may press the buttons of a message: none for a private message or without buttons. */
export function friendsAt(message) {
  const guild = store.guilds.get(store.channels.get(message.channel_id)?.guild);
  if (!guild || message.flags & 64 || !buttonsOf(message).length) return [];
  return people().filter((each) => each.id !== store.me && guild.members.includes(each.id));
}

function buttonsOf(message) {
  const all = (parts) =>
    (parts ?? []).flatMap((each) => [each, ...all(each.components), ...all(each.accessory && [each.accessory])]);
  return all(message.components).filter(
    (each) => each.type === 2 && !each.disabled && each.style !== LINK && each.style !== PREMIUM,
  );
}

const nameOf = ({ emoji, label }) => [emoji?.name, label].filter(Boolean).join(" ");

/** Open the panel for the message that `current()` returns: its buttons may change while the panel is open. */
export function openFriends(anchor, current) {
  const select = h("select", { class: "select", id: "friends-button" });
  const said = h("p", { class: "note", role: "status" });
  const fill = () => {
    const chosen = select.value;
    select.replaceChildren(...buttonsOf(current()).map((each) => h("option", { value: each.custom_id }, nameOf(each))));
    if ([...select.options].some((each) => each.value === chosen)) select.value = chosen;
  };
  const run = async (given, tell) => {
    try {
      said.textContent = tell(await act("friends", { message: current().id, ...given }));
    } catch (error) {
      said.textContent = error.message;
    }
    fill();
  };
  const press = (friend) => () =>
    run({ person: friend.name, custom_id: select.value }, (answer) => told(friend, answer));
  const all = () =>
    run({}, ({ pressed }) => `${pressed.map((each) => displayOf(each.person)).join(" and ")} pressed something.`);
  const friends = friendsAt(current());
  const popup = h(
    "div",
    { popover: "auto", class: "popup friends", role: "dialog", "aria-label": "Let friends press" },
    h("label", { for: "friends-button", class: "menu-title" }, "Button"),
    select,
    h("div", { class: "menu-title" }, "Who presses it"),
    h(
      "div",
      { class: "row" },
      friends.map((each) =>
        h("button", { type: "button", class: "button secondary", onclick: press(each) }, each.display),
      ),
    ),
    h("button", { type: "button", class: "button secondary", onclick: all }, "All press something at random"),
    said,
  );
  popup.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    popup.remove();
    if (anchor.isConnected) anchor.focus();
  });
  fill();
  showPopup(popup, anchor);
  select.focus();
}

const displayOf = (name) => people().find((each) => each.name === name)?.display ?? name;

function told(friend, { failed, modal }) {
  if (failed) return `${friend.display} pressed, but the application did not respond.`;
  return modal ? `${friend.display} was asked to fill in a form.` : `${friend.display} pressed it.`;
}
