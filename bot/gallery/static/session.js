/** One contest with its places, one jam round by round, or one telephone with everybody's words. */

import { get, t } from "./api.js";
import { h, safeAddress, when } from "./dom.js";
import { cells } from "./grid.js";

/** Build the page. */
export async function sessionPage(kind, id) {
  const session = await get(`/api/sessions/${kind}/${id}`);
  return [...heading(session), h("ol", { class: "steps" }, session.pictures.map((each) => step(session, each)))];
}

/** Build the title of a session, when it was, and the ways on. */
export function heading(session) {
  const discord = session.link && safeAddress(session.link);
  const facts = [t(`title_${session.kind}`), when(session.at), session.going && t("going"), session.voters && t("voters", { n: session.voters })];
  return [
    h("h1", {}, session.subject || t(`title_${session.kind}`)),
    h("p", { class: "soft" }, facts.filter(Boolean).join(" · ")),
    h(
      "p",
      { class: "row" },
      discord && h("a", { class: "button", href: discord, target: "_blank", rel: "noopener noreferrer" }, t("open")),
      h("a", { class: "button", href: `/?q=${encodeURIComponent(`${session.kind}:${session.id}`)}` }, t("all_pictures")),
      h("a", { class: "button", href: `/together?kind=${session.kind}` }, t(`tab_${session.kind}`)),
    ),
  ];
}

function step(session, picture) {
  const words = picture.words || (session.kind === "telephone" ? picture.prompt : "");
  const author = picture.robot ? t("by_robot") : picture.author && t("by", { name: picture.author });
  return h(
    "li",
    {},
    h("ul", { class: "node" }, cells(picture)),
    h("div", {}, words && h("p", { class: "words" }, words), author && h("p", { class: "soft" }, author)),
  );
}
