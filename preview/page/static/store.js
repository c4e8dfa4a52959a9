/** The state of this tab. */

export const store = {
  me: "",
  run: "",
  application: { id: "", name: "" },
  users: new Map(),
  guilds: new Map(),
  channels: new Map(),
  about: { model: "", known: {}, examples: [] },
  bot: { alive: true, connected: false, words: "" },
  open: "",
  contents: new Map(),
  unread: new Set(),
};

const byId = (objects) => new Map(objects.map((each) => [each.id, each]));

/** Replace the users, servers and channels. */
export function setWorld(update) {
  store.me = update.me;
  store.application = update.application;
  store.users = byId(update.users);
  store.guilds = byId(update.guilds);
  store.channels = byId(update.channels);
}

/** Compare ids, which are numbers too long for a double. */
export function compareIds(a, b) {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** Return the known contents of a channel. */
export function contentsOf(channel) {
  if (!store.contents.has(channel)) {
    store.contents.set(channel, {
      messages: new Map(),
      more: false,
      fetched: false,
      commands: [],
      userMenu: [],
      messageMenu: [],
    });
  }
  return store.contents.get(channel);
}

/** Return a channel's messages, oldest first. */
export function messagesOf(channel) {
  return [...contentsOf(channel).messages.values()].sort((a, b) => compareIds(a.id, b.id));
}

export const me = () => store.users.get(store.me);
export const here = () => store.channels.get(store.open);
export const people = () => [...store.users.values()].filter((each) => !each.bot);

/** Return the display name of an account. */
export function nameOf(id, fallback = "someone") {
  return store.users.get(id)?.display ?? fallback;
}

/** Return a command's or option's name in the user's language, as Discord shows it. */
export function localName(item) {
  return item.name_localizations?.[me()?.locale] ?? item.name;
}

/** Return a command's or option's description in the user's language. */
export function localDescription(item) {
  return item.description_localizations?.[me()?.locale] ?? item.description ?? "";
}

const signed = new Map();

/** Return an attachment's first known address: each event has a new signature, which would refetch the picture. */
export function addressOf(id, url) {
  if (!id) return url;
  if (!signed.has(id)) signed.set(id, url);
  return signed.get(id);
}

/** Clear the data of an earlier run of the preview. */
export function forget() {
  store.contents.clear();
  store.unread.clear();
  signed.clear();
}
