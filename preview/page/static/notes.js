/** The page's own notes below the messages: pending commands and errors. */

import { h } from "./dom.js";
import { openForm } from "./form.js";
import { scrollToEnd } from "./scroll.js";
import { localName, store } from "./store.js";

const list = document.getElementById("pending");

/** Show a command as pending until the bot responds, and an error if it does not. */
export async function pending(command, answering) {
  const name = localName(command);
  const dots = h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
  const row = h("li", { class: "pending" }, dots, ` Sending /${name} to ${store.application.name}…`);
  list.append(row);
  scrollToEnd();
  try {
    const answer = await answering;
    if (answer.failed) showError(`/${name}: the application did not respond.`);
    if (answer.modal) openForm(answer.modal, answer.interaction);
  } catch (error) {
    showError(error.message);
  } finally {
    row.remove();
  }
}

/** Show an error in the channel, only to this user; one that is still shown is not repeated. */
export function showError(text) {
  for (const shown of list.querySelectorAll(".problem")) {
    if (shown.querySelector(".fault").textContent === text) shown.remove();
  }
  const dismiss = h("button", { type: "button", class: "plain", onclick: () => note.remove() }, "Dismiss");
  const foot = h("p", { class: "only-you" }, "Only you can see this · ", dismiss);
  const note = h("li", { class: "problem" }, h("div", { role: "alert" }, h("p", { class: "fault" }, text), foot));
  list.append(note);
  scrollToEnd();
}
