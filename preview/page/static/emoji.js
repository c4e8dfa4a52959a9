/** The emoji that the bot and the page use, drawn by the page itself: many Linux desktops have no font with emoji. */

import { h } from "./dom.js";

export const DRAWN = "❤🔄❌✉⬇⬆⬅➡😮😂🔥👍👎👀🎨🎉⭐✅⚠🏆🎲⏳🔍💡🖼🙂💬🗑✨";
// Not in a sequence: a zero width joiner, a skin tone, or the selector that asks for plain text.
const PATTERN = new RegExp(`(?<!\u200d)[${DRAWN}]\ufe0f?(?![\u200d\ufe0e\u{1f3fb}-\u{1f3ff}])`, "gu");
const SVG = "http://www.w3.org/2000/svg";
const DRAWINGS = new URL("emoji.svg", import.meta.url).pathname;

/** Return a text as nodes, with its known emoji drawn. The emoji stay in the text, for copying and screen readers. */
export function withEmoji(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(PATTERN)) {
    if (match.index > end) nodes.push(text.slice(end, match.index));
    nodes.push(drawn(match[0]));
    end = match.index + match[0].length;
  }
  if (end < text.length) nodes.push(text.slice(end));
  return nodes;
}

function drawn(emoji) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${DRAWINGS}#u${emoji.codePointAt(0).toString(16)}`);
  svg.append(use);
  return h("span", { class: "drawn" }, svg, h("span", { class: "drawn-text" }, emoji));
}
