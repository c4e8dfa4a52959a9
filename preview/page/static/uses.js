/** How often each user of this browser has used a command: the slash menu lists frequent ones first. */

import { store } from "./store.js";

const FIRST = "imagine";

const keyOf = () => `uses/${store.me}`;

function read() {
  try {
    return JSON.parse(localStorage.getItem(keyOf())) ?? {};
  } catch {
    return {};
  }
}

/** Count a use of a command. */
export function countUse(name) {
  const uses = read();
  uses[name] = (uses[name] ?? 0) + 1;
  try {
    localStorage.setItem(keyOf(), JSON.stringify(uses));
  } catch {
    // Without storage the order stays alphabetical.
  }
}

/** Sort commands: /imagine, then those used most, then the others by name. */
export function sortByUse(commands) {
  const uses = read();
  const rank = ({ name }) => (name === FIRST ? Infinity : (uses[name] ?? 0));
  return [...commands].sort((a, b) => {
    const [one, other] = [rank(a), rank(b)];
    return one === other ? a.name.localeCompare(b.name) : other - one;
  });
}
