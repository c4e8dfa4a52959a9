/** One message, updated in place: only the parts that an edit changes are rendered again. */

import { components } from "./components.js";
import { embed } from "./embeds.js";
import { openForm } from "./form.js";
import { friendsAt, openFriends } from "./friends.js";
import { h, icon } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { act } from "./link.js";
import { markdown } from "./markdown.js";
import { openEmoji, openMenu, whenReleased } from "./menu.js";
import { avatar } from "./people.js";
import { attachments } from "./pictures.js";
import { contentsOf, localName, people, store } from "./store.js";
import { clockOf, exactly, when } from "./time.js";

const LOADING = 1 << 7;
const V2 = 1 << 15;
const MANY_ROWS = 4; // of buttons: the picture above them is shown smaller, so that the message fits the window
const BLOCKS = "p, .heading, .subtext, li, blockquote, pre";
const SLOTS = ["origin", "head", "content", "attachments", "embeds", "components", "reactions", "private", "fault"];

/** Return the display name of an author. */
export const authorName = (author) => store.users.get(author.id)?.display ?? author.global_name ?? author.username;

/** Return the first words of a message, without markdown. */
export function snippet(message) {
  const probe = document.createElement("div");
  probe.append(markdown(message.content || textOf(message.components) || ""));
  for (const block of probe.querySelectorAll(BLOCKS)) block.append("\n");
  const rows = probe.textContent.split("\n").map((row) => row.replace(/\s+/g, " ").trim());
  const text = rows.filter(Boolean).join(" · ");
  return text ? [...text].slice(0, 140).join("") : message.attachments?.length ? "a picture" : "a message";
}

/** Return whether an embed shows the attachment, so that it is not shown by itself. */
function embedded(message, attachment) {
  const addresses = message.embeds.flatMap((each) => [
    each.image?.url,
    each.thumbnail?.url,
    each.author?.icon_url,
    each.footer?.icon_url,
  ]);
  return addresses.some((each) => each?.includes(`/${attachment.id}/`));
}

function textOf(parts) {
  for (const part of parts ?? []) {
    const found = part.type === 10 ? part.content : textOf(part.components);
    if (found) return found;
  }
  return "";
}

export class MessageView {
  /** `page` has the callbacks: jump, reply, mention, show an error, switch the user. */
  constructor(message, page) {
    this.page = page;
    this.signatures = {};
    this.slots = Object.fromEntries(SLOTS.map((name) => [name, h("div", { class: `slot ${name}` })]));
    this.more = h(
      "button",
      {
        type: "button",
        class: "quiet more",
        "aria-label": "More for this message",
        "aria-haspopup": "menu",
        onclick: () => this.openMenu(this.more),
      },
      icon("more"),
    );
    this.smile = h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": "Add a reaction",
        onclick: () => openEmoji(this.smile, (emoji) => this.react(emoji, true)),
      },
      icon("smile"),
    );
    this.friends = h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": "Let friends press",
        title: "Let friends press",
        onclick: () => openFriends(this.friends, () => this.message),
      },
      icon("friends"),
    );
    this.face = h("div", { class: "face" });
    this.element = h(
      "li",
      { class: "message", id: `message-${message.id}`, tabindex: "-1" },
      this.slots.origin,
      this.face,
      h(
        "div",
        { class: "body" },
        SLOTS.slice(1).map((name) => this.slots[name]),
      ),
      h("div", { class: "tools" }, this.friends, this.smile, this.more),
    );
    this.element.addEventListener("contextmenu", (event) => this.#onContextMenu(event));
    this.update(message);
  }

  /** Show a newer state of the message. */
  update(message) {
    this.message = message;
    const { flags, author } = message;
    const ephemeral = Boolean(message.flags & 64);
    this.element.classList.toggle("ephemeral", ephemeral);
    this.element.classList.toggle(
      "mentions-me",
      message.mention_everyone || message.mentions.some((each) => each.id === store.me),
    );
    this.element.classList.toggle("many-rows", message.components.length >= MANY_ROWS);
    this.element.classList.toggle("thinking", Boolean(flags & LOADING));
    this.smile.hidden = ephemeral;
    this.friends.hidden = !friendsAt(message).length;
    this.#slot(
      "origin",
      [
        message.interaction,
        message.interaction_metadata?.user.id,
        message.message_reference,
        message.referenced_message,
      ],
      () => this.#origin(),
    );
    this.#slot("head", [author, message.timestamp], () => this.#head());
    this.#slot("content", [message.content, flags & LOADING, message.edited_timestamp && !(flags & LOADING)], () =>
      this.#content(),
    );
    const apart = flags & V2 ? [] : message.attachments.filter((each) => !embedded(message, each));
    this.#slot(
      "attachments",
      apart.map((each) => [each.id, each.description]),
      (earlier) => attachments(apart, earlier),
    );
    this.#slot("embeds", message.embeds, () => message.embeds.map(embed));
    this.#slot("components", message.components, (earlier) => components(message.components, this, earlier));
    this.#slot("reactions", message.reactions, () => message.reactions.map((each) => this.#reaction(each)));
    this.#slot("private", [ephemeral], () => (ephemeral ? [this.#private()] : []));
    this.element.setAttribute("aria-label", `${authorName(author)}, ${when(message.timestamp)}: ${snippet(message)}`);
  }

  #slot(name, sign, build) {
    const signature =
      JSON.stringify(sign, (key, value) => (key.endsWith("url") && value ? String(value).split("?")[0] : value)) ?? "";
    if (this.signatures[name] === signature) return;
    this.signatures[name] = signature;
    const slot = this.slots[name];
    const focused = slot.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    slot.replaceChildren(...build(slot));
    if (focused) slot.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  #origin() {
    const { message } = this;
    if (message.type === 20 || message.type === 23) {
      const user = message.interaction_metadata?.user;
      const name = message.interaction?.name;
      if (!user) return [];
      return [
        h(
          "div",
          { class: "origin-line" },
          avatar(user.id, authorName(user), true),
          h("bdi", { class: "name" }, authorName(user)),
          " ",
          h("span", {}, "used"),
          " ",
          h("span", { class: "mention" }, name ? (message.type === 20 ? `/${name}` : name) : "a form"),
        ),
      ];
    }
    if (!message.message_reference) return [];
    const parent = message.referenced_message;
    if (!parent) return [h("div", { class: "origin-line gone" }, icon("reply"), "The original message was deleted")];
    const jump = () => this.page.jump(parent.id);
    return [
      h(
        "button",
        { type: "button", class: "origin-line", onclick: jump },
        icon("reply"),
        h("span", { class: "unseen" }, "Go to the message this replies to, by "),
        h("bdi", { class: "name" }, authorName(parent.author)),
        " ",
        h("bdi", { class: "snippet" }, withEmoji(snippet(parent))),
      ),
    ];
  }

  #head() {
    const { author, timestamp } = this.message;
    const name = authorName(author);
    this.face.replaceChildren(
      avatar(author.id, name),
      h("time", { class: "short-time", datetime: timestamp, "aria-hidden": "true" }, clockOf(timestamp)),
    );
    this.name = h(
      "button",
      { type: "button", class: "name", "aria-haspopup": "menu", onclick: () => this.#openUserMenu(this.name) },
      h("bdi", {}, name),
    );
    return [
      this.name,
      " ",
      author.bot && h("span", { class: "badge" }, "app"),
      " ",
      h("time", { datetime: timestamp, title: exactly(timestamp) }, when(timestamp)),
    ].filter(Boolean);
  }

  #content() {
    const { message } = this;
    if (message.flags & LOADING) {
      const dots = h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
      return [h("p", { class: "is-thinking" }, dots, `${authorName(message.author)} is thinking…`)];
    }
    if (!message.content) return [];
    const text = h("div", { class: "text", dir: "auto" }, markdown(message.content));
    if (message.edited_timestamp) {
      const mark = h("small", { class: "edited", title: exactly(message.edited_timestamp) }, "(edited)");
      const last = text.lastElementChild;
      (last?.matches("p, .subtext") ? last : text).append(" ", mark);
    }
    return [text];
  }

  #reaction({ emoji, count, mine }) {
    const label = `${emoji}, ${count} ${count === 1 ? "reaction" : "reactions"}${mine ? ", including yours" : ""}`;
    return h(
      "button",
      {
        type: "button",
        class: mine ? "reaction mine" : "reaction",
        "aria-pressed": String(mine),
        "aria-label": label,
        "data-key": emoji,
        onclick: () => this.react(emoji, !mine),
      },
      h("span", { class: "emoji" }, emoji.includes(":") ? `:${emoji.split(":")[0]}:` : withEmoji(emoji)),
      ` ${count}`,
    );
  }

  #private() {
    const dismiss = h("button", { type: "button", class: "plain", onclick: () => this.#try("delete", {}) }, "Dismiss");
    return h("p", { class: "only-you" }, "Only you can see this · ", dismiss);
  }

  // --- actions

  /** Press a button of the message. */
  press(customId, button) {
    return this.#reach("press", { custom_id: customId }, button);
  }

  /** Choose in a select of the message. */
  select(customId, chosen, button) {
    return this.#reach("select", { custom_id: customId, chosen }, button);
  }

  /** Add or remove a reaction. */
  react(emoji, on) {
    return this.#try("react", { emoji, on });
  }

  async #reach(action, given, control) {
    this.#fault("");
    control.classList.add("busy");
    control.setAttribute("aria-busy", "true");
    const answer = await this.#try(action, given);
    control.classList.remove("busy");
    control.removeAttribute("aria-busy");
    if (answer?.failed) this.#fault("This interaction failed: the application did not respond.");
    if (answer?.modal) openForm(answer.modal, answer.interaction);
  }

  async #try(action, given) {
    try {
      return await act(action, { ...given, message: this.message.id, channel: this.message.channel_id });
    } catch (error) {
      this.#fault(error.message);
      return null;
    }
  }

  #fault(text) {
    this.slots.fault.replaceChildren(...(text ? [h("p", { class: "fault", role: "alert" }, text)] : []));
  }

  // --- menus

  #onContextMenu(event) {
    if (event.target.closest("a, .picture, input, textarea") || String(getSelection())) return;
    event.preventDefault();
    const point = event.clientX || event.clientY ? { x: event.clientX, y: event.clientY } : null;
    const ofUser = event.target.closest(".name, .face");
    whenReleased(event, () => (ofUser ? this.#openUserMenu(this.element, point) : this.openMenu(this.element, point)));
  }

  /** Open the message's menu. */
  openMenu(anchor, point = null) {
    const { message } = this;
    const offered = contentsOf(message.channel_id).messageMenu;
    const ephemeral = message.flags & 64;
    const writable = store.channels.get(message.channel_id)?.writable;
    const own = [
      !ephemeral && { label: "Add a reaction…", act: () => openEmoji(this.more, (emoji) => this.react(emoji, true)) },
      !ephemeral && writable && { label: "Reply", act: () => this.page.reply(message) },
      message.author.id === store.me &&
        message.content && { label: "Edit message", act: () => this.page.edit(message) },
      friendsAt(message).length > 0 && {
        label: "Let friends press…",
        act: () => openFriends(this.more, () => this.message),
      },
      message.content && { label: "Copy text", act: () => navigator.clipboard?.writeText(message.content) },
    ];
    const last = [
      ephemeral && { label: "Dismiss", act: () => this.#try("delete", {}) },
      message.deletable && { label: "Delete message", danger: true, act: () => this.#try("delete", {}) },
    ];
    const apps = offered.map((each) => ({
      label: localName(each),
      act: () => this.page.useMenu(each.name, { message: message.id }),
    }));
    openMenu(
      anchor,
      [
        { title: store.application.name, entries: apps },
        { entries: own.filter(Boolean) },
        { entries: last.filter(Boolean) },
      ],
      "Message",
      point,
    );
  }

  #openUserMenu(anchor, point = null) {
    const { author } = this.message;
    const offered = contentsOf(this.message.channel_id).userMenu;
    const apps = offered.map((each) => ({
      label: localName(each),
      act: () => this.page.useMenu(each.name, { user: author.id }),
    }));
    const person = people().find((each) => each.id === author.id && each.id !== store.me);
    const own = [
      { label: "Mention", act: () => this.page.mention(author.id) },
      person && { label: `Switch to ${person.display} in this tab`, act: () => this.page.switchUser(person.name) },
      person && {
        label: `Open a tab as ${person.display}`,
        act: () => open(`/?as=${encodeURIComponent(person.name)}`, "_blank", "noopener"),
      },
    ];
    openMenu(
      anchor,
      [{ title: store.application.name, entries: apps }, { entries: own.filter(Boolean) }],
      authorName(author),
      point,
    );
  }
}
