/** Pictures and other files of a message, and the lightbox. */

import { h, icon } from "./dom.js";
import { addressOf } from "./store.js";

/** Render attachments: pictures first, in a mosaic, then everything else as cards. */
export function attachments(list, earlier) {
  const pictures = list.filter(isPicture).map(fromAttachment);
  const others = list.filter((each) => !isPicture(each));
  return [pictures.length ? mosaic(pictures, earlier) : null, ...others.map(file)].filter(Boolean);
}

const isPicture = (each) => each.width && (each.content_type ?? "").startsWith("image/");

function fromAttachment(each) {
  return {
    address: addressOf(each.id, each.url),
    width: each.width,
    height: each.height,
    name: each.filename,
    alt: each.description || "Picture without a description",
    described: Boolean(each.description),
    spoiler: each.filename.startsWith("SPOILER_"),
  };
}

/** Turn a resolved media item of a component or embed into a picture. */
export function fromMedia(media, description = "", hidden = false) {
  return {
    address: addressOf(media.attachment_id, media.url),
    width: media.width,
    height: media.height,
    name: decodeURIComponent(media.url.split("?")[0].split("/").at(-1) ?? "picture"),
    alt: description || "Picture without a description",
    described: Boolean(description),
    spoiler: hidden,
  };
}

/**
 * Lay out pictures in a mosaic. `earlier` is the element shown before an edit: its images are reused, so that a
 * preview stays until the next one has arrived, without a flicker.
 */
export function mosaic(pictures, earlier = null) {
  const old = [...(earlier?.querySelectorAll("img.shown") ?? [])];
  const tiles = pictures.map((each, index) => tile(each, old[index], () => openLightbox(pictures, index)));
  return h("div", { class: `mosaic of${Math.min(pictures.length, 5)}` }, tiles);
}

function tile(picture, old, open) {
  const image = old ?? h("img", { class: "shown", loading: "lazy", decoding: "async" });
  if (!picture.width)
    image.addEventListener("load", () => setSize(button, image.naturalWidth, image.naturalHeight), { once: true });
  image.alt = picture.alt;
  if (picture.width) {
    image.width = picture.width;
    image.height = picture.height;
  }
  if (image.getAttribute("src") !== picture.address) image.src = picture.address;
  const button = h(
    "button",
    {
      type: "button",
      class: "picture",
      "aria-label": `Open picture: ${picture.alt}`,
      onclick: () => (button.classList.contains("covered") ? uncover(button, picture) : open()),
    },
    image,
  );
  if (picture.width) setSize(button, picture.width, picture.height);
  if (picture.spoiler) {
    button.classList.add("covered");
    button.setAttribute("aria-label", "Spoiler, activate to show the picture");
  }
  return button;
}

/** Tell the style sheet the size of a picture: it limits large ones and enlarges small ones. */
function setSize(element, width, height) {
  element.style.setProperty("--width", width);
  element.style.setProperty("--height", height);
}

function uncover(button, picture) {
  button.classList.remove("covered");
  button.setAttribute("aria-label", `Open picture: ${picture.alt}`);
}

function file(each) {
  const address = addressOf(each.id, each.url);
  const kind = each.content_type ?? "";
  if (kind.startsWith("video/"))
    return h("video", {
      class: "media",
      "aria-label": each.filename,
      src: address,
      controls: true,
      preload: "metadata",
    });
  if (kind.startsWith("audio/"))
    return h("audio", {
      class: "media",
      "aria-label": each.filename,
      src: address,
      controls: true,
      preload: "metadata",
    });
  return fileCard(each.filename, each.size, address);
}

/** Offer a file for download. */
export function fileCard(name, size, address) {
  return h(
    "a",
    { class: "file", href: address, download: name },
    icon("file"),
    h("span", {}, h("bdi", { class: "file-name" }, name), h("small", {}, bytes(size))),
    icon("save"),
  );
}

/** Format a size in bytes. */
export function bytes(size) {
  if (!(size >= 0)) return "";
  if (size < 1000) return `${size} bytes`;
  return size < 1e6 ? `${Math.round(size / 1000)} kB` : `${(size / 1048576).toFixed(1)} MiB`;
}

// --- the lightbox

/** Open pictures large, one at a time. Arrow keys step through them; a click toggles the full size. */
export function openLightbox(pictures, start) {
  let index = start;
  const zoom = (full) => {
    stage.classList.toggle("full", full);
    magnify.setAttribute("aria-pressed", String(stage.classList.contains("full")));
  };
  const magnify = h(
    "button",
    { type: "button", class: "quiet", "aria-label": "Zoom in", "aria-pressed": "false", onclick: () => zoom() },
    icon("zoom"),
  );
  const image = h("img", {
    class: "large",
    onclick: () => zoom(),
    onload: () => setSize(image, image.naturalWidth, image.naturalHeight),
  });
  const caption = h("bdi", { class: "caption" });
  const save = h("a", { class: "quiet", "aria-label": "Save picture" }, icon("save"));
  const stage = h("div", { class: "stage", onclick: (event) => event.target === stage && dialog.close() }, image);
  const step = (by) => {
    index = (index + by + pictures.length) % pictures.length;
    show();
  };
  const several = pictures.length > 1;
  const dialog = h(
    "dialog",
    { class: "lightbox", "aria-label": "Picture", onclose: () => dialog.remove() },
    stage,
    several &&
      h(
        "button",
        { type: "button", class: "step back", "aria-label": "Previous picture", onclick: () => step(-1) },
        icon("left"),
      ),
    several &&
      h(
        "button",
        { type: "button", class: "step on", "aria-label": "Next picture", onclick: () => step(1) },
        icon("right"),
      ),
    h(
      "div",
      { class: "lightbox-bar" },
      caption,
      magnify,
      save,
      h(
        "button",
        { type: "button", class: "quiet", "aria-label": "Close", onclick: () => dialog.close() },
        icon("close"),
      ),
    ),
  );
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  function show() {
    const picture = pictures[index];
    zoom(false);
    if (picture.width) setSize(image, picture.width, picture.height);
    image.src = picture.address;
    image.alt = picture.alt;
    const name = picture.described ? picture.alt : picture.name;
    caption.textContent = several ? `${name} · ${index + 1} of ${pictures.length}` : name;
    save.href = picture.address;
    save.download = picture.name;
  }
  show();
  document.body.append(dialog);
  dialog.showModal();
}
