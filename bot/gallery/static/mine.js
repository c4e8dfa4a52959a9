/** One's own pictures: history, private ones, favourites; a selection is downloaded or deleted. */

import { get, me, post, t } from "./api.js";
import { announce, h, showTrouble } from "./dom.js";
import { endlessGrid } from "./grid.js";

const KINDS = ["history", "favourites", "private"];
const MAX_SELECTED = 500;

/** Build the page. */
export function minePage(go) {
  if (!me.person) return h("p", { class: "empty" }, me.login ? logIn() : t("mine_login"));
  const query = new URLSearchParams(location.search);
  const kind = KINDS.includes(query.get("kind")) ? query.get("kind") : "history";
  const words = query.get("q") ?? "";
  const selection = new Selection();
  const load = (before) => get("/api/mine", { kind, q: kind === "history" ? words : "", before });
  return [
    h("h1", { class: "unseen" }, t("mine_title")),
    tabs(kind),
    kind === "history" && searchForm(words, go),
    selection.bar,
    endlessGrid(load, { more: (tile, picture) => selection.box(tile, picture) }),
  ];
}

function logIn() {
  return h("a", { class: "button primary", href: `/login?next=${encodeURIComponent(location.pathname)}`, "data-plain": true }, t("log_in"));
}

function tabs(kind) {
  const links = KINDS.map((name) =>
    h("a", { href: `/mine?kind=${name}`, "aria-current": name === kind ? "page" : null }, t(`kind_${name}`)),
  );
  return h("nav", { class: "tabs", "aria-label": t("which_mine") }, links);
}

function searchForm(words, go) {
  const box = h("input", { type: "search", value: words, "aria-label": t("search_mine"), placeholder: t("words") });
  const form = h("form", { class: "search", role: "search" }, box, h("button", { class: "button" }, t("search")));
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
    this.zip = h("button", { class: "button primary" }, t("zip"));
    this.remove = h("button", { type: "button", class: "button danger" }, t("delete"));
    this.remove.addEventListener("click", () => this.confirm());
    const token = h("input", { type: "hidden", name: "csrf", value: me.csrf });
    const form = h("form", { method: "post", action: "/zip" }, this.field, token, this.zip);
    this.bar = h("div", { class: "bar", role: "group", "aria-label": t("selected_pictures") }, this.count, form, this.remove);
    this.update();
  }

  /** Build the checkbox over a picture. */
  box(tile, picture) {
    const box = h("input", { type: "checkbox", class: "choose", "aria-label": t("select", { what: picture.description }) });
    box.addEventListener("change", () => {
      if (box.checked) this.tiles.set(tile.id, { box, picture });
      else this.tiles.delete(tile.id);
      this.update();
    });
    return box;
  }

  update() {
    const number = this.tiles.size;
    this.count.textContent = number ? t("selected", { n: number }) : t("select_some");
    this.field.value = [...this.tiles.keys()].join(" ");
    this.zip.disabled = number === 0 || number > MAX_SELECTED;
    this.remove.disabled = ![...this.tiles.values()].some(({ picture }) => picture.own);
  }

  confirm() {
    const jobs = new Set([...this.tiles.values()].filter(({ picture }) => picture.own).map(({ picture }) => picture.job));
    const dialog = h("dialog", { "aria-labelledby": "delete-title" });
    const no = h("button", { type: "button", class: "button" }, t("keep"));
    const yes = h("button", { type: "button", class: "button danger" }, t("delete"));
    no.addEventListener("click", () => dialog.close());
    yes.addEventListener("click", async () => {
      dialog.close();
      await this.deleteJobs([...jobs]);
    });
    dialog.append(
      h("h2", { id: "delete-title" }, jobs.size === 1 ? t("delete_one") : t("delete_many", { n: jobs.size })),
      h("p", {}, t("delete_means")),
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
      announce(t("deleted", { n: deleted.length }));
    } catch (error) {
      showTrouble(error.message);
    }
    this.update();
  }
}
