/** One's own pictures: history, private ones, favourites; a selection is downloaded or deleted. */

import { get, me, post } from "./api.js";
import { announce, h, showTrouble } from "./dom.js";
import { endlessGrid } from "./grid.js";

const KINDS = { history: "History", favourites: "Favourites", private: "Private" };
const MAX_SELECTED = 500;

/** Build the page. */
export function minePage(go) {
  if (!me.person) return h("p", { class: "empty" }, me.login ? logIn() : "Your own pictures need a login, which this gallery has only with a public address.");
  const query = new URLSearchParams(location.search);
  const kind = KINDS[query.get("kind")] ? query.get("kind") : "history";
  const words = query.get("q") ?? "";
  const selection = new Selection();
  const load = (before) => get("/api/mine", { kind, q: kind === "history" ? words : "", before });
  return [
    h("h1", { class: "unseen" }, "My pictures"),
    tabs(kind),
    kind === "history" && searchForm(words, go),
    selection.bar,
    endlessGrid(load, { more: (tile, picture) => selection.box(tile, picture) }),
  ];
}

function logIn() {
  return h("a", { class: "button primary", href: `/login?next=${encodeURIComponent(location.pathname)}`, "data-plain": true }, "Log in with Discord");
}

function tabs(kind) {
  const links = Object.entries(KINDS).map(([name, label]) =>
    h("a", { href: `/mine?kind=${name}`, "aria-current": name === kind ? "page" : null }, label),
  );
  return h("nav", { class: "tabs", "aria-label": "Which of my pictures" }, links);
}

function searchForm(words, go) {
  const box = h("input", { type: "search", value: words, "aria-label": "Search my pictures", placeholder: "Words of the prompt" });
  const form = h("form", { class: "search", role: "search" }, box, h("button", { class: "button" }, "Search"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(`/mine?${new URLSearchParams({ q: box.value.trim() })}`);
  });
  return form;
}

/** The chosen pictures, and the bar with what can be done with them. */
class Selection {
  constructor() {
    this.tiles = new Map();
    this.count = h("span", { class: "soft" });
    this.field = h("input", { type: "hidden", name: "tiles" });
    this.zip = h("button", { class: "button primary" }, "Download as zip");
    this.remove = h("button", { type: "button", class: "button danger" }, "Delete");
    this.remove.addEventListener("click", () => this.confirm());
    const token = h("input", { type: "hidden", name: "csrf", value: me.csrf });
    const form = h("form", { method: "post", action: "/zip" }, this.field, token, this.zip);
    this.bar = h("div", { class: "bar", role: "group", "aria-label": "Selected pictures" }, this.count, form, this.remove);
    this.update();
  }

  /** Build the checkbox over a picture. */
  box(tile, picture) {
    const box = h("input", { type: "checkbox", class: "choose", "aria-label": `Select: ${picture.description}` });
    box.addEventListener("change", () => {
      if (box.checked) this.tiles.set(tile.id, { box, picture });
      else this.tiles.delete(tile.id);
      this.update();
    });
    return box;
  }

  update() {
    const number = this.tiles.size;
    this.count.textContent = number ? `${number} selected` : "Select pictures to download or delete them";
    this.field.value = [...this.tiles.keys()].join(" ");
    this.zip.disabled = number === 0 || number > MAX_SELECTED;
    this.remove.disabled = ![...this.tiles.values()].some(({ picture }) => picture.own);
  }

  confirm() {
    const jobs = new Set([...this.tiles.values()].filter(({ picture }) => picture.own).map(({ picture }) => picture.job));
    const dialog = h("dialog", { "aria-labelledby": "delete-title" });
    const no = h("button", { type: "button", class: "button" }, "Keep them");
    const yes = h("button", { type: "button", class: "button danger" }, "Delete");
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", async () => {
      dialog.close();
      await this.deleteJobs([...jobs]);
    });
    dialog.append(
      h("h2", { id: "delete-title" }, jobs.size === 1 ? "Delete this result?" : `Delete ${jobs.size} results?`),
      h("p", {}, "All pictures of a result are permanently deleted, and its message in Discord. Pictures made from it stay."),
      h("p", { class: "row" }, no, yes),
    );
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  async deleteJobs(jobs) {
    try {
      const { deleted } = await post("/api/delete", { jobs });
      for (const cell of document.querySelectorAll(".cell")) {
        const tile = cell.querySelector("[data-tile]").dataset.tile;
        if (deleted.includes(tile.slice(0, 12))) cell.remove();
      }
      for (const tile of [...this.tiles.keys()]) if (deleted.includes(tile.slice(0, 12))) this.tiles.delete(tile);
      announce(deleted.length === 1 ? "1 result is deleted" : `${deleted.length} results are deleted`);
    } catch (error) {
      showTrouble(error.message);
    }
    this.update();
  }
}
