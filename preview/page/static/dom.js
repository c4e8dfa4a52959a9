/** Build DOM nodes. Data only becomes text or attributes, never markup. */

/** Build an element: attributes by name, `on…` as listeners, `true` as bare attributes, children as nodes or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else element.setAttribute(name, value === true ? "" : String(value));
}

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  close: "M5 5l10 10M15 5L5 15",
  more: "M4.5 10h.01M10 10h.01M15.5 10h.01",
  send: "M3.5 10h12M10.5 4.5l5.5 5.5-5.5 5.5",
  plus: "M10 4v12M4 10h12",
  down: "M5 8l5 5 5-5",
  left: "M12 4l-6 6 6 6",
  right: "M8 4l6 6-6 6",
  menu: "M3 6h14M3 10h14M3 14h14",
  reply: "M8 5L3.5 9.5 8 14M4 9.5h6.5c3.5 0 6 2 6 5.5",
  file: "M6 3h5.5L15 6.5V17H6zM11 3v4h4",
  hash: "M8 3L6.5 17M13.5 3L12 17M3.5 7.5h13.5M3 12.5h13.5",
  person: "M10 10a3.2 3.2 0 100-6.4 3.2 3.2 0 000 6.4zM4 17c.6-3.4 3-5 6-5s5.4 1.6 6 5",
  thread: "M4 4h12v8H9l-3.5 3.5V12H4z",
  friends:
    "M7.500 9.500a2.700 2.700 0 100-5.400 2.700 2.700 0 000 5.400zM2.500 16c.5-3 2.600-4.400 5-4.400s4.500 1.400 5 4.400M13 4.300a2.600 2.600 0 010 5M14.500 11.900c1.600.5 2.700 1.800 3 4.100",
  zoom: "M9 14.500a5.500 5.500 0 100-11 5.500 5.500 0 000 11zM13 13l4 4M9 6.800v4.400M6.800 9h4.400",
  edit: "M4 16l.8-3.500L13.500 3.800l2.700 2.700L7.500 15.200z",
  save: "M10 3v9M6 8.5l4 4 4-4M4 16.5h12",
  smile: "M10 17a7 7 0 100-14 7 7 0 000 14zM7.2 8.2h.01M12.800 8.2h.01M7 11.5c1.6 2.2 4.4 2.2 6 0",
  help: "M10 17a7 7 0 100-14 7 7 0 000 14zM8 8.2c0-2.6 4-2.6 4 0 0 1.6-2 1.5-2 3.2M10 13.700h.01",
};

/** Build one of the page's icons; it is decoration, so its control needs a label. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Return an http or https address, or null for any other. */
export function safeAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

/** Build a link to an external address in a new tab; without a safe address only the text is shown. */
export function externalLink(text, address, more = {}) {
  const href = safeAddress(address);
  if (!href) return h("span", {}, text);
  return h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow", title: href, ...more }, text);
}

/** Announce a text to screen readers. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** Make a textarea as high as its text. */
export function grow(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}
