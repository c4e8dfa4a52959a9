/** Embeds. */

import { externalLink, h } from "./dom.js";
import { inlineMarkdown, markdown } from "./markdown.js";
import { fromMedia, mosaic } from "./pictures.js";
import { when } from "./time.js";

/** Render one embed. External pictures are linked, not fetched. */
export function embed(each) {
  const box = h("article", { class: "embed" });
  if (each.color) box.style.setProperty("--mark", `#${each.color.toString(16).padStart(6, "0")}`);
  const main = h("div", { class: "embed-text" });
  if (each.author?.name)
    main.append(h("div", { class: "embed-author" }, externalLink(each.author.name, each.author.url)));
  if (each.title) main.append(h("div", { class: "embed-title" }, externalLink("", each.url ?? "")));
  if (each.title) main.lastChild.firstChild.append(inlineMarkdown(each.title));
  if (each.description) main.append(h("div", { class: "text", dir: "auto" }, markdown(each.description)));
  if (each.fields?.length) main.append(h("div", { class: "embed-fields" }, each.fields.map(field)));
  box.append(main);
  if (each.thumbnail) box.append(h("div", { class: "embed-thumbnail" }, media(each.thumbnail)));
  if (each.image) box.append(h("div", { class: "embed-image" }, media(each.image)));
  const foot = [each.footer?.text, each.timestamp && when(each.timestamp)].filter(Boolean).join(" · ");
  if (foot) box.append(h("footer", { class: "embed-footer" }, foot));
  return box;
}

function field(each) {
  return h(
    "div",
    { class: each.inline ? "embed-field inline" : "embed-field" },
    h("div", { class: "embed-name" }, inlineMarkdown(each.name)),
    h("div", { class: "text", dir: "auto" }, markdown(each.value)),
  );
}

/** Show a picture of this preview, or link to an external one. */
export function media(each, description = "", hidden = false) {
  const own = new URL(each.url, location.href).origin === location.origin;
  return own ? mosaic([fromMedia(each, description, hidden)]) : externalLink(description || each.url, each.url);
}
