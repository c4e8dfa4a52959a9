/** A grid of pictures that goes on by itself, with a button for keyboards and screen readers. */

import { t } from "./api.js";
import { announce, h, showTrouble } from "./dom.js";

const PLACES = { 1: "🥇 1.", 2: "🥈 2.", 3: "🥉 3." };

/** Build the cells of one result. `more(tile, picture)` may return a node that stands over a cell. */
export function cells(picture, more = () => null) {
  return picture.tiles.map((tile) => cell(picture, tile, more(tile, picture)));
}

function cell(picture, tile, extra) {
  const number = picture.count > 1 ? ` (${t("number_of", { n: Number(tile.id.slice(-1)) + 1, all: picture.count })})` : "";
  const image = h("img", {
    src: `/thumbnails/${tile.id}.webp`,
    alt: `${picture.description}${number}`,
    width: picture.width,
    height: picture.height,
    loading: "lazy",
    decoding: "async",
  });
  image.addEventListener("error", () => item.classList.add("gone"), { once: true });
  const link = h("a", { href: picture.children ? `/tree/${picture.job}` : `/p/${tile.id}`, class: "picture", "data-tile": tile.id }, image);
  const caption = h("span", { class: "caption", "aria-hidden": "true" }, picture.prompt);
  const marks = [
    picture.private && h("span", { class: "mark" }, t("private")),
    tile.liked && h("span", { class: "mark heart" }, "♥"),
    picture.place && h("span", { class: "mark place" }, PLACES[picture.place] ?? `${picture.place}.`),
    picture.children && h("span", { class: "mark" }, `🌳 ${picture.children}`),
    picture.verdict === "same" && h("span", { class: "mark sure" }, t("it_is")),
  ];
  const item = h("li", { class: picture.blurred ? "cell blurred" : "cell" }, link, caption, ...marks, extra);
  if (picture.blurred) item.append(cover(item, link));
  return item;
}

/** Build the button that uncovers a sensitive picture. */
export function cover(item, focusNext) {
  const button = h("button", { type: "button", class: "uncover" }, t("uncover"));
  button.addEventListener("click", () => {
    item.classList.remove("blurred");
    button.remove();
    focusNext?.focus();
  });
  return button;
}

/** Build a grid whose pages come from `load(before)`, which returns `{pictures, next}`. */
export function endlessGrid(load, { empty, more } = {}) {
  const list = h("ul", { class: "grid" });
  const button = h("button", { type: "button", class: "button" }, t("more"));
  const nothing = h("p", { class: "empty", hidden: true }, empty ?? t("no_pictures"));
  const box = h("div", {}, list, nothing, h("p", { class: "onward" }, button));
  let before = null;
  let busy = false;

  async function next() {
    if (busy) return;
    busy = true;
    list.setAttribute("aria-busy", "true");
    try {
      const page = await load(before);
      list.append(...page.pictures.flatMap((picture) => cells(picture, more)));
      before = page.next;
      button.hidden = before === null;
      nothing.hidden = list.childElementCount > 0 || before !== null;
      announce(t("pictures_shown", { n: list.childElementCount }));
      if (before === null) observer.disconnect();
    } catch (error) {
      showTrouble(error.message);
      observer.disconnect();
    } finally {
      busy = false;
      list.setAttribute("aria-busy", "false");
    }
    if (before !== null && button.getBoundingClientRect().top < innerHeight + 600) setTimeout(next, 50);
  }

  const observer = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && next(), {
    rootMargin: "600px",
  });
  button.addEventListener("click", next);
  observer.observe(button);
  return box;
}
