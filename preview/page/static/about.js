/** What this page is, what the model knows, and where to go from here. */

import { h, icon } from "./dom.js";
import { here, store } from "./store.js";

const AT_FIRST = 6;
const WHAT =
  "This is not Discord. It is a stand-in on your own computer, and everything stays here. The bot behind it is the " +
  "real one: the same program, talking the same protocol, under the same limits.";
const WHO =
  "Change who you are at the side, or open a second tab as somebody else, to see queues, permissions and private " +
  "answers from both ends.";
const SMALL =
  "is a small model that this project trained itself, so that the bot runs without a GPU or a download. " +
  "It knows these words, and little else:";

/** Greet in an empty channel, with prompts to begin with; `tryOut(prompt)` puts one into the command line. */
export function welcome(tryOut) {
  const channel = here();
  const place = channel.guild ? `#${channel.name}` : channel.name;
  const hasBot = !channel.guild || store.guilds.get(channel.guild)?.bot;
  return h(
    "div",
    { class: "welcome" },
    h("p", { class: "eyebrow" }, store.guilds.get(channel.guild)?.name ?? "Direct messages"),
    h("h2", {}, `This is the beginning of ${place}`),
    h(
      "p",
      {},
      hasBot ? "Describe a picture and the bot draws it. Try one of these, or type " : `${channel.topic ?? ""}. `,
      hasBot && h("kbd", {}, "/imagine"),
      hasBot && ".",
    ),
    hasBot && examples(store.about.examples.slice(0, AT_FIRST), tryOut),
  );
}

function examples(prompts, tryOut) {
  const chips = prompts.map((prompt) =>
    h("button", { type: "button", class: "example", onclick: () => tryOut(prompt) }, prompt),
  );
  return h("div", { class: "examples", role: "group", "aria-label": "Prompts to try" }, chips);
}

/** Open the panel with everything about the preview. */
export function openAbout(tryOut) {
  const { model, known, examples: prompts, others = [] } = store.about;
  const use = (prompt) => {
    dialog.close();
    tryOut(prompt);
  };
  const close = h(
    "button",
    { type: "button", class: "quiet", "aria-label": "Close", onclick: () => dialog.close() },
    icon("close"),
  );
  const dialog = h(
    "dialog",
    { class: "about", "aria-labelledby": "about-title", onclose: () => dialog.remove() },
    h("header", {}, h("h2", { id: "about-title" }, "About this preview"), close),
    h(
      "div",
      { class: "about-body" },
      h("p", {}, WHAT),
      h("p", {}, WHO),
      h("h3", {}, "What the model knows"),
      knows(model, known),
      others.length > 0 && h("p", {}, `Other models draw with --model in the prompt: ${others.join(", ")}.`),
      prompts.length > 0 && h("h3", {}, "Prompts to try"),
      prompts.length > 0 && examples(prompts, use),
      h("h3", {}, "Going on to a real server"),
      h(
        "ol",
        {},
        h("li", {}, "Make an application with a bot at discord.com/developers and copy its token."),
        h(
          "li",
          {},
          "Copy ",
          h("code", {}, ".env.example"),
          " to ",
          h("code", {}, ".env"),
          " and put the token there, and a larger model if you have a GPU.",
        ),
        h("li", {}, "Start it with ", h("code", {}, "python main.py"), "."),
      ),
      h("p", {}, "Each step is explained in ", h("code", {}, "docs/self-hosting.md"), "."),
    ),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}

function knows(model, known) {
  const kinds = Object.entries(known);
  if (!kinds.length) return h("p", {}, `The model is ${model}; its folder does not say what it knows.`);
  return h(
    "div",
    {},
    h("p", {}, `${model} ${SMALL}`),
    h(
      "dl",
      { class: "known" },
      kinds.flatMap(([kind, words]) => [h("dt", {}, kind), h("dd", {}, words.join(", "))]),
    ),
  );
}
