/** Show the page that the address names; links stay on this page. */

import { loadMe, me, post } from "./api.js";
import { contestsPage } from "./contests.js";
import { h, showTrouble } from "./dom.js";
import { findPage } from "./find.js";
import { minePage } from "./mine.js";
import { newestPage } from "./newest.js";
import { picturePage } from "./picture.js";
import { treePage } from "./tree.js";

const main = document.getElementById("main");
const TITLES = { newest: "Newest", mine: "My pictures", find: "Find", contests: "Contests", picture: "Picture", tree: "Family tree" };

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
  if (first === "contests") return ["contests", () => contestsPage(go)];
  if (first === "find") return ["find", () => findPage(go)];
  return ["newest", () => newestPage(go)];
}

async function show({ moved = false } = {}) {
  const [name, build] = route();
  showTrouble("");
  document.title = `${TITLES[name]} · Gallery`;
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
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
    h("h1", {}, "The gallery"),
    h("p", {}, "See the pictures of your servers: of each channel that you may view in Discord, and your own."),
    h("p", {}, h("a", { class: "button primary", href: `/login?next=${next}`, "data-plain": true }, "Log in with Discord")),
    h("p", { class: "soft" }, "Discord tells the gallery your name and your servers, nothing else."),
  );
}

function showWho() {
  const box = document.getElementById("who");
  const note = document.getElementById("note");
  note.hidden = me.login;
  note.textContent = "Only for this computer: pictures that every member of a server may see.";
  if (!me.person) return box.replaceChildren();
  const out = h("button", { type: "button", class: "button" }, "Log out");
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

try {
  await loadMe();
  showWho();
  await show();
} catch (error) {
  showTrouble(error.message);
}
