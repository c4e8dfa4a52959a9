/** One picture with its prompt, how to make it again, and its family. */

import { get, me, post, t } from "./api.js";
import { copy, h, safeAddress, showTrouble, when } from "./dom.js";
import { cells, cover } from "./grid.js";

/** Build the page of a tile. */
export async function picturePage(tile) {
  const picture = await get(`/api/pictures/${tile}`);
  return [
    h("article", { class: "single" }, figure(picture, tile), about(picture, tile)),
    family(t("made_from"), picture.parents),
    family(t("made_from_it"), picture.children),
    await alike(tile),
  ];
}

function figure(picture, tile) {
  const image = h("img", {
    src: `/pictures/${tile}.png`,
    alt: picture.description,
    width: picture.width,
    height: picture.height,
  });
  const box = h("figure", { class: picture.blurred ? "large blurred" : "large" }, image, others(picture, tile));
  if (picture.blurred) box.append(cover(box));
  return box;
}

function others(picture, tile) {
  if (picture.count < 2) return null;
  const links = Array.from({ length: picture.count }, (_, index) => {
    const id = `${picture.job}-${index}`;
    const image = h("img", { src: `/thumbnails/${id}.webp`, alt: t("number_of", { n: index + 1, all: picture.count }) });
    return h("a", { href: `/p/${id}`, "aria-current": id === tile ? "page" : null }, image);
  });
  return h("nav", { class: "siblings", "aria-label": t("siblings") }, links);
}

function about(picture, tile) {
  const plain = copyButton(t("copy"), picture.prompt);
  const withSeed = copyButton(t("copy_seed"), picture.withSeed);
  const author = picture.author ? `${t("by", { name: picture.author })}, ` : "";
  return h(
    "section",
    { class: "about" },
    h("h1", {}, t("prompt")),
    h("p", { class: "prompt" }, picture.prompt || t("no_prompt")),
    h("p", { class: "row" }, plain, withSeed),
    h("p", { class: "soft" }, `${author}${when(picture.at)} ${picture.channel}`),
    actions(picture, tile),
    facts(picture.facts),
  );
}

function copyButton(label, text) {
  const button = h("button", { type: "button", class: "button" }, label);
  button.addEventListener("click", () => copy(button, text));
  return button;
}

function actions(picture, tile) {
  const discord = picture.link && safeAddress(picture.link);
  return h(
    "p",
    { class: "row" },
    me.person && heart(picture, tile),
    discord && h("a", { class: "button", href: discord, target: "_blank", rel: "noopener noreferrer" }, t("open")),
    h("a", { class: "button", href: `/pictures/${tile}.png`, target: "_blank", "data-plain": true }, t("full_size")),
    h("a", { class: "button", href: `/tree/${picture.job}` }, t("family_tree")),
    h("a", { class: "button", href: `/pictures/${tile}.png?download`, download: true, "data-plain": true }, t("download")),
  );
}

function heart(picture, tile) {
  let liked = picture.tiles.some((each) => each.id === tile && each.liked);
  const button = h("button", { type: "button", class: "button heart" });
  const show = () => {
    button.textContent = `${liked ? "♥" : "♡"} ${t("favourite")}`;
    button.setAttribute("aria-pressed", String(liked));
  };
  button.addEventListener("click", async () => {
    try {
      liked = (await post("/api/favourite", { tile, on: !liked })).liked;
    } catch (error) {
      showTrouble(error.message);
    }
    show();
  });
  show();
  return button;
}

function facts(values) {
  const rows = Object.entries(values).filter(([, value]) => value);
  return h("dl", { class: "facts" }, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function family(title, pictures) {
  if (!pictures.length) return null;
  return h("section", {}, h("h2", {}, title), h("ul", { class: "grid" }, pictures.flatMap((each) => cells(each))));
}

async function alike(tile) {
  const found = await get(`/api/like/${tile}`).catch(() => ({ pictures: [] }));
  return family(t("like_this"), found.pictures);
}
