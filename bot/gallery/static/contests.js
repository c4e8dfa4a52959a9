/** Past contests of a server: themes, and the best pictures with their places. */

import { currentGuild, get } from "./api.js";
import { announce, h, when } from "./dom.js";
import { cells } from "./grid.js";
import { guildSelect } from "./newest.js";

/** Build the page. */
export async function contestsPage(go) {
  const guild = currentGuild();
  if (!guild) return h("p", { class: "empty" }, "None of your servers has a gallery here.");
  const box = h("div", {});
  const more = h("button", { type: "button", class: "button" }, "Earlier contests");
  let before = null;

  async function next() {
    const page = await get("/api/contests", { guild: guild.id, before });
    box.append(...page.contests.map(show));
    before = page.next;
    more.hidden = before === null;
    announce(`${box.childElementCount} contests`);
    if (!box.childElementCount) box.append(h("p", { class: "empty" }, "No contest has been decided here yet."));
  }

  more.addEventListener("click", next);
  await next();
  return [h("h1", {}, "Contests"), guildSelect(guild, go), box, h("p", { class: "onward" }, more)];
}

function show(contest) {
  const pictures = h("ul", { class: "grid" }, contest.pictures.flatMap((each) => cells(each)));
  const none = h("p", { class: "soft" }, "Its pictures are not shown to you.");
  return h(
    "section",
    {},
    h("h2", {}, contest.theme || "Contest"),
    h("p", { class: "soft" }, when(contest.at)),
    contest.pictures.length ? pictures : none,
  );
}
