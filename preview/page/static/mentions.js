/** Mentions in the composer: shown and typed as `@Name`, sent as `<@ID>`. */

import { membersHere } from "./components.js";
import { here, nameOf } from "./store.js";

const EVERYBODY = [
  { display: "everyone", name: "Notify everyone who can see this channel" },
  { display: "here", name: "Notify everyone who is online here" },
];

/** Return the mention that is being typed before the caret, `{from, typed}`, or null. */
export function mentionAt(text, caret) {
  const from = text.lastIndexOf("@", caret - 1);
  const typed = text.slice(from + 1, caret);
  if (from < 0 || caret < 1 || typed.length > 32 || /\s/.test(typed) || /\S/.test(text[from - 1] ?? "")) return null;
  return { from, typed };
}

/** List the people whose name fits, those that begin with it first. */
export function peopleLike(typed) {
  const wanted = typed.toLowerCase();
  const all = [...membersHere(), ...(here()?.guild ? EVERYBODY : [])];
  const fits = (text) => text.toLowerCase().includes(wanted);
  const first = ({ display, name }) => [display, name].some((each) => each.toLowerCase().startsWith(wanted));
  const found = all.filter((each) => fits(each.display) || (each.id && fits(each.name)));
  return found.sort((a, b) => Number(first(b)) - Number(first(a)));
}

/** Replace the names of members by mentions, as they are sent. */
export function encodeMentions(text) {
  const members = membersHere().sort((a, b) => b.display.length - a.display.length);
  return members.reduce((all, each) => all.replaceAll(`@${each.display}`, replacement(each)), text);
}

function replacement(member) {
  return (found, at, whole) => {
    const apart = /\w/.test(whole[at - 1] ?? "") || /[\p{L}\p{N}_]/u.test(whole[at + found.length] ?? "");
    return apart ? found : `<@${member.id}>`;
  };
}

/** Replace the mentions of a sent message by names. */
export function decodeMentions(text) {
  return text.replace(/<@!?(\d{1,20})>/g, (mention, id) => (nameOf(id, "") ? `@${nameOf(id)}` : mention));
}
