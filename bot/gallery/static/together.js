/** What people made together: canvases, contests, jams, telephones and families, a tab each. */

import { currentGuild, get, t } from "./api.js";
import { announce, h, when } from "./dom.js";
import { cells, endlessGrid } from "./grid.js";
import { guildSelect, noGuilds } from "./newest.js";

export const KINDS = ["canvas", "contest", "jam", "telephone"];
const TABS = [...KINDS, "families"];

/** Build the page. */
export async function togetherPage(go) {
  const guild = currentGuild();
  if (!guild) return h("p", { class: "empty" }, noGuilds());
  const asked = new URLSearchParams(location.search).get("kind");
  const kind = TABS.includes(asked) ? asked : TABS[0];
  const list = kind === "families" ? families(guild) : await sessions(guild, kind);
  return [h("h1", {}, t("title_together")), guildSelect(guild, go), tabs(kind), list].flat();
}

function tabs(kind) {
  const links = TABS.map((each) =>
    h("a", { href: `/together?kind=${each}`, "aria-current": each === kind ? "page" : null }, t(`tab_${each}`)),
  );
  return h("nav", { class: "tabs", "aria-label": t("which_together") }, links);
}

function families(guild) {
  const load = (before) => get("/api/families", { guild: guild.id, before });
  const one = ({ pictures, next }) => ({ next, pictures: pictures.map((each) => ({ ...each, tiles: each.tiles.slice(0, 1) })) });
  return endlessGrid(async (before) => one(await load(before)), { empty: t("no_families") });
}

async function sessions(guild, kind) {
  const box = h("div", {});
  const nothing = h("p", { class: "empty", hidden: true }, t("nothing_yet"));
  const more = h("button", { type: "button", class: "button" }, t("earlier"));
  let before = null;

  async function next() {
    const page = await get(`/api/sessions/${kind}`, { guild: guild.id, before });
    box.append(...page.sessions.map(entry));
    before = page.next;
    more.hidden = before === null;
    nothing.hidden = box.childElementCount > 0 || before !== null;
    announce(t("entries_shown", { n: box.childElementCount }));
  }

  more.addEventListener("click", next);
  await next();
  return [box, nothing, h("p", { class: "onward" }, more)];
}

function entry(session) {
  const pictures = h("ul", { class: "grid covers" }, session.pictures.flatMap((each) => cells(each)));
  const link = h("a", { href: `/${session.kind}/${session.id}` }, session.subject || t(`title_${session.kind}`));
  const state = session.going ? `${when(session.at)} · ${t("going")}` : when(session.at);
  return h("section", {}, h("h2", {}, link), h("p", { class: "soft" }, state), pictures);
}
