/** What the page itself says below the messages: commands on their way, and what went wrong. */

import { h } from "./dom.js";
import { openForm } from "./form.js";
import { toEnd } from "./scroll.js";
import { localName, store } from "./store.js";

const place = document.getElementById("pending");

/** Show that a command is on its way until the bot answers, and say so if it does not. */
export async function pending(command, answering) {
  const name = localName(command);
  const dots = h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
  const row = h("li", { class: "pending" }, dots, ` Sending /${name} to ${store.application.name}…`);
  place.append(row);
  toEnd();
  try {
    const answer = await answering;
    if (answer.failed) complain(`/${name}: the application did not respond.`);
    if (answer.modal) openForm(answer.modal, answer.interaction);
  } catch (error) {
    complain(error.message);
  } finally {
    row.remove();
  }
}

/** Tell the person of something that went wrong, in the channel, for them alone. */
export function complain(text) {
  const dismiss = h("button", { type: "button", class: "plain", onclick: () => note.remove() }, "Dismiss");
  const foot = h("p", { class: "only-you" }, "Only you can see this · ", dismiss);
  const note = h("li", { class: "complaint", role: "alert" }, h("p", { class: "fault" }, text), foot);
  place.append(note);
  toEnd();
}
