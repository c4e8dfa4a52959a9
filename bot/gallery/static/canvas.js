/** A finished canvas: the whole picture to zoom into, and who painted what. */

import { get, t } from "./api.js";
import { h } from "./dom.js";
import { cover } from "./grid.js";
import { heading } from "./session.js";

const ZOOMS = [1, 1.5, 2, 3, 4, 6];

/** Build the page. */
export async function canvasPage(id) {
  const canvas = await get(`/api/sessions/canvas/${id}`);
  const [picture] = canvas.pictures;
  const sheet = new Sheet(canvas, picture);
  return [
    ...heading(canvas),
    h("article", { class: "single" }, sheet.figure, h("section", { class: "about" }, h("h2", {}, t("who_painted")), sheet.list)),
    h("p", { class: "row" }, h("a", { class: "button", href: `/p/${picture.tiles[0].id}` }, t("as_picture"))),
  ];
}

/** The picture with its pieces: choosing one in the list or in the picture marks it in both. */
class Sheet {
  constructor(canvas, picture) {
    this.canvas = canvas;
    this.zoom = 0;
    this.marks = h("div", { class: "marks", "aria-hidden": "true" });
    const image = h("img", {
      src: `/pictures/${picture.tiles[0].id}.png`,
      alt: picture.description,
      width: picture.width,
      height: picture.height,
    });
    image.addEventListener("click", (event) => this.choose(this.pieceAt(image, event)));
    this.sheet = h("div", { class: "sheet" }, image, this.marks);
    this.buttons = canvas.pieces.map((piece, index) => this.button(piece, index));
    this.list = h("ol", { class: "pieces" }, this.buttons.map((each) => h("li", {}, each)));
    const view = h("div", { class: "zoom", tabindex: "0", role: "region", "aria-label": t("whole_canvas") }, this.sheet);
    this.figure = h("figure", { class: picture.blurred ? "large blurred" : "large" }, view, this.zoomButtons());
    if (picture.blurred) this.figure.append(cover(this.figure));
  }

  zoomButtons() {
    const out = h("button", { type: "button", class: "button", "aria-label": t("zoom_out") }, "−");
    const into = h("button", { type: "button", class: "button", "aria-label": t("zoom_in") }, "+");
    const change = (by) => {
      this.zoom = Math.min(ZOOMS.length - 1, Math.max(0, this.zoom + by));
      this.sheet.style.width = `${ZOOMS[this.zoom] * 100}%`;
      out.disabled = this.zoom === 0;
      into.disabled = this.zoom === ZOOMS.length - 1;
    };
    out.addEventListener("click", () => change(-1));
    into.addEventListener("click", () => change(1));
    change(0);
    return h("p", { class: "row", role: "group", "aria-label": t("zoom") }, out, into);
  }

  button(piece, index) {
    const author = piece.author ? h("span", { class: "soft" }, t("by", { name: piece.author })) : null;
    const button = h("button", { type: "button", class: "piece", "aria-pressed": "false" }, h("span", {}, piece.words || "…"), author);
    button.addEventListener("click", () => this.choose(button.getAttribute("aria-pressed") === "true" ? -1 : index));
    return button;
  }

  pieceAt(image, event) {
    const x = Math.floor((event.offsetX / image.clientWidth) * this.canvas.columns);
    const y = Math.floor((event.offsetY / image.clientHeight) * this.canvas.rows);
    return this.canvas.pieces.findIndex((piece) => piece.cells.some((cell) => cell[0] === x && cell[1] === y));
  }

  choose(chosen) {
    this.buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(index === chosen)));
    const cells = this.canvas.pieces[chosen]?.cells ?? [];
    this.marks.replaceChildren(...cells.map((cell) => this.mark(cell)));
    this.buttons[chosen]?.scrollIntoView({ block: "nearest" });
  }

  mark([x, y]) {
    const mark = h("div", {});
    const { columns, rows } = this.canvas;
    Object.assign(mark.style, {
      left: `${(100 * x) / columns}%`,
      top: `${(100 * y) / rows}%`,
      width: `${100 / columns}%`,
      height: `${100 / rows}%`,
    });
    return mark;
  }
}
