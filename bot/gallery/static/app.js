/** Show the page that the address names; links stay on this page. */

import { loadMe, me, post, t } from "./api.js";
import { canvasPage } from "./canvas.js";
import { h, showTrouble } from "./dom.js";
import { findPage } from "./find.js";
import { minePage } from "./mine.js";
import { newestPage } from "./newest.js";
import { picturePage } from "./picture.js";
import { sessionPage } from "./session.js";
import { KINDS, togetherPage } from "./together.js";
import { treePage } from "./tree.js";

const main = document.getElementById("main");
const PAGE_OF = Object.fromEntries([...KINDS, "tree"].map((each) => [each, "together"])); // the link to mark as the present one

/** Go to an address of this site. */
function go(address) {
  history.pushState(null, "", address);
  show({ moved: true });
}

function route() {
  const [, first = "", second = ""] = location.pathname.split("/");
  if (first === "p") return ["picture", () => picturePage(second)];
  if (first === "tree") return ["tree", () => treePage(second)];
  if (first === "mine") return ["mine", () => minePage(go)];
  if (first === "together") return ["together", () => togetherPage(go)];
  if (first === "canvas") return ["canvas", () => canvasPage(second)];
  if (KINDS.includes(first)) return [first, () => sessionPage(first, second)];
  if (first === "find") return ["find", () => findPage(go)];
  return ["newest", () => newestPage(go)];
}

async function show({ moved = false } = {}) {
  const [name, build] = route();
  showTrouble("");
  document.title = `${t(`title_${name}`)} · ${t("gallery")}`;
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.dataset.page === (PAGE_OF[name] ?? name)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.setAttribute("aria-busy", "true");
  try {
    if (me.login && !me.person) main.replaceChildren(welcome());
    else main.replaceChildren(...[await build()].flat().filter(Boolean));
  } catch (error) {
    main.replaceChildren();
    showTrouble(error.message);
  }
  main.setAttribute("aria-busy", "false");
  if (moved) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
}

function welcome() {
  const next = encodeURIComponent(location.pathname + location.search);
  return h(
    "section",
    { class: "welcome" },
    h("h1", {}, t("the_gallery")),
    h("p", {}, t("welcome")),
    h("p", {}, h("a", { class: "button primary", href: `/login?next=${next}`, "data-plain": true }, t("log_in"))),
    h("p", { class: "soft" }, t("what_discord_tells")),
  );
}

function showWho() {
  const box = document.getElementById("who");
  const note = document.getElementById("note");
  note.hidden = me.login;
  note.textContent = t("only_here");
  if (!me.person) return box.replaceChildren();
  const out = h("button", { type: "button", class: "button" }, t("log_out"));
  out.addEventListener("click", async () => {
    await post("/logout", {}).catch(() => {});
    location.assign("/");
  });
  box.replaceChildren(h("span", {}, me.person.name), out);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  const plain = event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.defaultPrevented;
  if (!link || plain || link.target || "plain" in link.dataset) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("popstate", () => show({ moved: true }));

/** Put the texts of the frame around the pages into the visitor's language. */
function translateFrame() {
  document.documentElement.lang = me.language;
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = t(each.dataset.text);
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", t(each.dataset.label));
  document.body.classList.remove("loading");
}

try {
  await loadMe();
  translateFrame();
  showWho();
  await show();
} catch (error) {
  document.body.classList.remove("loading");
  showTrouble(error.message);
}
