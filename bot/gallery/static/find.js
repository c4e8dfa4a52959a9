/** Find the job of a picture that is dropped, pasted or chosen. */

import { currentGuild, me, post, t } from "./api.js";
import { announce, h, showTrouble } from "./dom.js";
import { cells } from "./grid.js";
import { guildSelect } from "./newest.js";

/** Build the page. */
export function findPage(go) {
  if (me.login && !me.person) return h("p", { class: "empty" }, t("find_login"));
  const guild = currentGuild();
  const file = h("input", { type: "file", id: "file", accept: "image/*", class: "unseen" });
  const results = h("div", { class: "results" });
  const drop = h(
    "label",
    { class: "drop", for: "file" },
    h("strong", {}, t("drop")),
    h("span", {}, t("drop_more")),
    h("span", { class: "button" }, t("choose_picture")),
  );
  const search = (chosen) => chosen && show(chosen, guild, results);
  file.addEventListener("change", () => search(file.files[0]));
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    search(event.dataTransfer.files[0]);
  });
  onPaste = (event) => search(event.clipboardData.files[0]);
  return [h("h1", {}, t("which_picture")), guild && guildSelect(guild, go), file, drop, results];
}

let onPaste = () => {};
document.addEventListener("paste", (event) => location.pathname === "/find" && onPaste(event));

async function show(file, guild, results) {
  showTrouble("");
  results.replaceChildren(h("p", { class: "soft" }, t("searching")));
  try {
    const path = `/api/find?${new URLSearchParams({ guild: guild?.id ?? "0", name: file.name.slice(0, 200) })}`;
    const { pictures } = await post(path, file);
    const sure = pictures[0]?.verdict === "same";
    const title = t(!pictures.length ? "none_alike" : sure ? "this_is_it" : "alike");
    results.replaceChildren(h("h2", {}, title), h("ul", { class: "grid" }, pictures.flatMap((each) => cells(each))));
    announce(title);
  } catch (error) {
    results.replaceChildren();
    showTrouble(error.message);
  }
}
