/** Discord's markdown as DOM nodes: only text nodes and a fixed set of elements. */

import { externalLink, h } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { nameOf, store } from "./store.js";
import { stamp } from "./time.js";

const MAX_DEPTH = 8;
const HEADING_LEVEL = 3; // of all headings: a message may begin with any
const FENCE = "```";

/** Render a message's text. */
export function markdown(text) {
  const into = document.createDocumentFragment();
  fences(text, into, 0);
  return into;
}

/** Render text of one line, such as a title or a label. */
export function inlineMarkdown(text) {
  const into = document.createDocumentFragment();
  inline(text, into, 0);
  return into;
}

function fences(text, into, depth) {
  const open = text.indexOf(FENCE);
  const close = open < 0 ? -1 : text.indexOf(FENCE, open + 3);
  const inside = close < 0 ? "" : text.slice(open + 3, close);
  if (!inside.trim()) return lines(text, into, depth);
  if (open > 0) lines(text.slice(0, open).replace(/\n$/, ""), into, depth);
  into.append(h("pre", { class: "code", tabindex: "0" }, h("code", {}, withoutLanguage(inside))));
  const rest = text.slice(close + 3).replace(/^\n/, "");
  if (rest) fences(rest, into, depth);
}

function withoutLanguage(code) {
  return code.replace(/^[\w+.#-]*\n(?=[\s\S]*\S)/, "").replace(/^\n|\n$/g, "");
}

// --- lines

const HEADING = /^(#{1,3}) +(\S.*)$/;
const SUBTEXT = /^-# +(\S.*)$/;
const ITEM = /^( *)([-*]|\d{1,9}\.) +(\S.*)$/;
const QUOTE = /^> ?/;

function lines(text, into, depth) {
  const rows = text.split("\n");
  let plain = [];
  const flush = () => {
    if (plain.length) inline(plain.join("\n"), into.appendChild(h("p")), 0);
    plain = [];
  };
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    let match;
    if (depth < 2 && row.startsWith(">>> ")) {
      flush();
      const rest = rows.slice(i).join("\n").slice(4);
      return void fences(rest, into.appendChild(h("blockquote")), depth + 1);
    } else if (depth < 2 && row.startsWith("> ")) {
      flush();
      const quoted = [];
      while (i < rows.length && (rows[i].startsWith("> ") || rows[i] === ">"))
        quoted.push(rows[i++].replace(QUOTE, ""));
      i--;
      fences(quoted.join("\n"), into.appendChild(h("blockquote")), depth + 1);
    } else if ((match = HEADING.exec(row))) {
      flush();
      inline(
        match[2],
        into.appendChild(
          h("div", { class: `heading level${match[1].length}`, role: "heading", "aria-level": HEADING_LEVEL }),
        ),
        0,
      );
    } else if ((match = SUBTEXT.exec(row))) {
      flush();
      inline(match[1], into.appendChild(h("small", { class: "subtext" })), 0);
    } else if (ITEM.test(row)) {
      flush();
      const items = [];
      while (i < rows.length && (match = ITEM.exec(rows[i]))) (items.push(match), i++);
      i--;
      list(items, into);
    } else plain.push(row);
  }
  flush();
}

function list(items, into) {
  const stack = [];
  for (const [, indent, mark, text] of items) {
    const level = Math.min(Math.floor(indent.length / 2), stack.length, MAX_DEPTH);
    stack.length = Math.min(stack.length, level + 1);
    const ordered = /\d/.test(mark);
    if (stack[level]?.tagName !== (ordered ? "OL" : "UL")) {
      const fresh = ordered ? h("ol", { start: parseInt(mark, 10) }) : h("ul");
      (level ? stack[level - 1].lastElementChild : into).append(fresh);
      stack[level] = fresh;
    }
    inline(text, stack[level].appendChild(h("li")), 0);
  }
}

// --- inside a line

/**
 * A rule gets the line, a position and the depth, and returns the node and its end, or null. `line.missing` has, for
 * each mark, the position after which no closing mark follows. Without it, text full of opening marks would be searched
 * to its end at each of them.
 */
function inline(text, into, depth) {
  const line = { text, missing: {} };
  let plain = "";
  for (let i = 0; i < text.length;) {
    const found = depth < MAX_DEPTH ? RULES[text[i]]?.(line, i, depth) : null;
    if (!found) {
      plain += text[i++];
      continue;
    }
    if (plain) into.append(...withEmoji(plain));
    plain = "";
    into.append(found.node);
    i = found.end;
  }
  if (plain) into.append(...withEmoji(plain));
}

/** Return the first position from `from` on that `search` finds, or -1, which is remembered for the rest of the line. */
function search(line, key, from, find) {
  if (from >= (line.missing[key] ?? Infinity)) return -1;
  const at = find(line.text, from);
  if (at < 0) line.missing[key] = from;
  return at;
}

/** Find the closing mark after `from`: it is not escaped, and the last one of a longer run. */
function closing(line, mark, from) {
  return search(line, mark, from, (text) => {
    for (let at = text.indexOf(mark, from); at >= 0; at = text.indexOf(mark, at + 1)) {
      if (text[at - 1] === "\\" || at === from) continue;
      while (text[at + mark.length] === mark[0]) at++;
      return at;
    }
    return -1;
  });
}

function span(line, i, mark, tag, depth) {
  if (!line.text.startsWith(mark, i)) return null;
  const close = closing(line, mark, i + mark.length);
  if (close < 0) return null;
  const element = h(...tag);
  inline(line.text.slice(i + mark.length, close), element, depth + 1);
  return { node: element, end: close + mark.length };
}

function single(line, i, mark, depth) {
  const { text } = line;
  if (i + 1 >= text.length || /\s/.test(text[i + 1])) return null;
  if (text[i + 1] === mark && text[i + 2] !== mark) return null;
  const inRun = text[i + 1] === mark;
  const close = inRun
    ? singleClose(text, mark, i + 1)
    : search(line, `1${mark}`, i + 1, () => singleClose(text, mark, i + 1));
  if (close < 0) return null;
  const element = h("em");
  inline(text.slice(i + 1, close), element, depth + 1);
  return { node: element, end: close + 1 };
}

/** Find a closing `*` or `_`: not doubled, not escaped, not after a space, and `_` not inside a word. */
function singleClose(text, mark, from) {
  for (let at = text.indexOf(mark, from); at >= 0; at = text.indexOf(mark, at + 1)) {
    if (text[at + 1] === mark) {
      at++;
      continue;
    }
    if (text[at - 1] === "\\" || /\s/.test(text[at - 1])) continue;
    if (mark === "_" && /\w/.test(text[at + 1] ?? "")) continue;
    return at;
  }
  return -1;
}

function spoiler(line, i, depth) {
  const found = span(line, i, "||", ["span", { class: "spoiled" }], depth);
  if (!found) return null;
  const cover = h(
    "span",
    { class: "spoiler", role: "button", tabindex: "0", "aria-label": "Spoiler, activate to show" },
    found.node,
  );
  const reveal = (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    if (!cover.classList.contains("shown")) event.preventDefault();
    cover.classList.add("shown");
    for (const name of ["aria-label", "role"]) cover.removeAttribute(name);
  };
  cover.addEventListener("click", reveal);
  cover.addEventListener("keydown", reveal);
  return { node: cover, end: found.end };
}

function code({ text }, i) {
  const mark = text.startsWith("``", i) ? "``" : "`";
  const close = text.indexOf(mark, i + mark.length);
  if (close <= i + mark.length) return null;
  const content = text.slice(i + mark.length, close);
  return { node: h("code", { class: "inline" }, content), end: close + mark.length };
}

const escapable = /[^\sA-Za-z0-9]/u;

function escaped({ text }, i) {
  const next = text[i + 1];
  return next && escapable.test(next) && next < "\u0080" ? { node: next, end: i + 2 } : null;
}

const LINK = /\[([^[\]\n]+)\]\((?:<([^<>\s]+)>|([^\s()]+(?:\([^\s()]*\)[^\s()]*)*))(?: +["'][^"'\n]*["'])?\)/y;

function link({ text }, i, depth) {
  LINK.lastIndex = i;
  const match = LINK.exec(text);
  const address = match && (match[2] ?? match[3]);
  if (!address || !/^https?:\/\//i.test(address)) return null;
  const element = externalLink("", address);
  inline(match[1], element, Math.max(depth + 1, MAX_DEPTH - 2));
  return { node: element, end: LINK.lastIndex };
}

const BARE = /https?:\/\/[^\s<]+/iy;
const NOT_AT_THE_END = `.,:;!?"'])`;

function bare({ text }, i) {
  if (i && /\w/.test(text[i - 1])) return null;
  BARE.lastIndex = i;
  const match = BARE.exec(text);
  if (!match) return null;
  const address = withoutPunctuation(match[0]);
  return { node: externalLink(address, address), end: i + address.length };
}

/** Drop the punctuation after an address; a bracket that closes one inside the address stays. */
function withoutPunctuation(address) {
  let end = address.length;
  while (NOT_AT_THE_END.includes(address[end - 1])) end--;
  return address.slice(0, end) + (address[end] === ")" && address.includes("(") ? ")" : "");
}

const ANGLES = [
  [/<@!?(\d{1,20})>/y, (id) => mention(`@${nameOf(id, "unknown-user")}`, id === store.me)],
  [/<@&(\d{1,20})>/y, (id) => mention(`@${roleName(id)}`)],
  [/<#(\d{1,20})>/y, (id) => channelMention(id)],
  [/<\/([^:>\n]{1,100}):\d{1,20}>/y, (name) => mention(`/${name}`)],
  [/<a?:(\w{2,32}):\d{1,20}>/y, (name) => h("span", { class: "custom-emoji" }, `:${name}:`)],
  [/<t:(-?\d{1,13})(?::([tTdDfFR]))?>/y, (seconds, style) => timestamp(Number(seconds), style)],
  [/<(https?:\/\/[^\s<>]+)>/iy, (address) => externalLink(address, address)],
];

function angle({ text }, i) {
  for (const [pattern, build] of ANGLES) {
    pattern.lastIndex = i;
    const match = pattern.exec(text);
    if (match) return { node: build(...match.slice(1)), end: pattern.lastIndex };
  }
  return null;
}

function at({ text }, i) {
  const name = ["@everyone", "@here"].find((each) => text.startsWith(each, i));
  return name ? { node: mention(name), end: i + name.length } : null;
}

function mention(text, mine = false) {
  return h("span", { class: mine ? "mention mine" : "mention", dir: "auto" }, text);
}

function channelMention(id) {
  const channel = store.channels.get(id);
  if (!channel) return mention("#unknown");
  const open = () => document.dispatchEvent(new CustomEvent("open-channel", { detail: id }));
  return h("button", { type: "button", class: "mention", onclick: open }, `#${channel.name}`);
}

function roleName(id) {
  for (const guild of store.guilds.values()) {
    const role = guild.roles.find((each) => each.id === id);
    if (role) return role.name.replace(/^@/, "");
  }
  return "unknown-role";
}

function timestamp(seconds, style) {
  return h("time", { class: "stamp", title: stamp(seconds, "F") }, stamp(seconds, style));
}

const RULES = {
  "\\": escaped,
  "`": code,
  "*": (line, i, depth) => span(line, i, "**", ["strong"], depth) ?? single(line, i, "*", depth),
  _: (line, i, depth) => span(line, i, "__", ["u"], depth) ?? single(line, i, "_", depth),
  "~": (line, i, depth) => span(line, i, "~~", ["s"], depth),
  "|": spoiler,
  "[": link,
  "<": angle,
  "@": at,
  h: bare,
  H: bare,
};
