/** The welcome text and the About dialog: the preview, the model's known words, and the next steps. */

import { externalLink, h, icon } from "./dom.js";
import { here, store } from "./store.js";

const WELCOME_EXAMPLES = 6;
const WHAT =
  "This is not Discord but a fake Discord on your own computer; nothing leaves it. The bot is the real one: the same " +
  "program, with the same protocol and the same limits.";
const WHO =
  "Switch users in the sidebar, or open a second tab as another user, to see queues, permissions and private replies " +
  "from both sides. “Let friends press” beside a message lets the others press its buttons for you.";
const SMALL =
  "is a small model trained by this project. It runs without a GPU or a download. It knows these words and little " +
  "else:";

/** Build the welcome text of a channel with example prompts; `tryPrompt(prompt)` opens /imagine with one. */
export function welcome(tryPrompt) {
  const channel = here();
  const place = channel.guild ? `#${channel.name}` : channel.name;
  const hasBot = !channel.guild || store.guilds.get(channel.guild)?.bot;
  const canDraw = hasBot && channel.writable;
  return h(
    "div",
    { class: "welcome" },
    h("p", { class: "eyebrow" }, store.guilds.get(channel.guild)?.name ?? "Direct messages"),
    h("h2", {}, `This is the beginning of ${place}`),
    h(
      "p",
      {},
      canDraw ? "Describe a picture and the bot draws it. Try one of these, or type " : `${channel.topic ?? ""}. `,
      canDraw && h("kbd", {}, "/imagine"),
      canDraw && ".",
      hasBot && !canDraw && "You may not write in this channel, so its commands are not available to you.",
    ),
    canDraw && examples(store.about.examples.slice(0, WELCOME_EXAMPLES), tryPrompt),
  );
}

function examples(prompts, tryPrompt) {
  const chips = prompts.map((prompt) =>
    h("button", { type: "button", class: "example", onclick: () => tryPrompt(prompt) }, prompt),
  );
  return h("div", { class: "examples", role: "group", "aria-label": "Prompts to try" }, chips);
}

/** Open the About dialog. */
export function openAbout(tryPrompt) {
  const { model, known, examples: prompts, others = [], gallery } = store.about;
  const use = (prompt) => {
    dialog.close();
    tryPrompt(prompt);
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
      gallery && h("p", {}, "All pictures are in the ", externalLink("web gallery", gallery), ": log in as one of the users."),
      h("h3", {}, "What the model knows"),
      knows(model, known),
      others.length > 0 && h("p", {}, `Other models are available with --model in the prompt: ${others.join(", ")}.`),
      prompts.length > 0 && h("h3", {}, "Prompts to try"),
      prompts.length > 0 && examples(prompts, use),
      h("h3", {}, "Moving to a real server"),
      h(
        "ol",
        {},
        h("li", {}, "Create an application with a bot at discord.com/developers and copy its token."),
        h(
          "li",
          {},
          "Copy ",
          h("code", {}, ".env.example"),
          " to ",
          h("code", {}, ".env"),
          ", then add the token and, if you have a GPU, a larger model.",
        ),
        h("li", {}, "Start the bot with ", h("code", {}, "python main.py"), "."),
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
  if (!kinds.length) return h("p", {}, `The model is ${model}; its folder does not list the words it knows.`);
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
