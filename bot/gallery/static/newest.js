/** The newest pictures of a server, and the search by words. */

import { chooseGuild, currentGuild, get, me, t } from "./api.js";
import { h } from "./dom.js";
import { endlessGrid } from "./grid.js";

/** Build the page. */
export function newestPage(go) {
  const guild = currentGuild();
  if (!guild) return h("p", { class: "empty" }, noGuilds());
  const query = new URLSearchParams(location.search).get("q") ?? "";
  return [
    searchForm(guild, query, go),
    h("h1", { class: "unseen" }, query ? t("found_for", { words: query }) : t("newest_of", { server: guild.name })),
    endlessGrid((before) => get("/api/pictures", { guild: guild.id, q: query, before }), {
      empty: query ? t("no_words") : undefined,
    }),
  ];
}

/** Say why there is no server to look at. */
export function noGuilds() {
  if (!me.connected) return t("not_connected");
  return t("no_servers");
}

function searchForm(guild, query, go) {
  const box = h("input", {
    type: "search",
    name: "q",
    value: query,
    placeholder: "fox by:mira since:7d ♥",
    "aria-label": t("search_words"),
    autocomplete: "off",
    maxlength: 300,
  });
  const form = h("form", { class: "search", role: "search" }, guildSelect(guild, go), box, h("button", { class: "button" }, t("search")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(`/?${new URLSearchParams({ guild: guild.id, q: box.value.trim() })}`);
  });
  return form;
}

/** Build the choice of the server, if there are several. */
export function guildSelect(guild, go) {
  if (me.guilds.length < 2) return h("strong", { class: "guild" }, guild.name);
  const select = h("select", { "aria-label": t("server") });
  for (const each of me.guilds) select.append(h("option", { value: each.id, selected: each.id === guild.id }, each.name));
  select.addEventListener("change", () => {
    chooseGuild(select.value);
    const query = new URLSearchParams(location.search);
    query.set("guild", select.value);
    query.delete("q");
    go(`${location.pathname}?${query}`);
  });
  return select;
}
