/** What this tab knows of the world. */

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

const byId = (things) => new Map(things.map((each) => [each.id, each]));

/** Take over who and what there is. */
export function settle(news) {
  store.me = news.me;
  store.application = news.application;
  store.users = byId(news.users);
  store.guilds = byId(news.guilds);
  store.channels = byId(news.channels);
}

/** Order ids: they are numbers too long for a double. */
export function compareIds(a, b) {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** Return what is known of a channel's contents. */
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

/** Return the name of an account as it is shown. */
export function nameOf(id, fallback = "somebody") {
  return store.users.get(id)?.display ?? fallback;
}

/** Return a command's or option's name in the person's language, as Discord shows it. */
export function localName(thing) {
  return thing.name_localizations?.[me()?.locale] ?? thing.name;
}

/** Return a command's or option's description in the person's language. */
export function localDescription(thing) {
  return thing.description_localizations?.[me()?.locale] ?? thing.description ?? "";
}

const signed = new Map();

/** Return an attachment's first known address: each event signs it anew, and pictures should not be fetched again. */
export function addressOf(id, url) {
  if (!id) return url;
  if (!signed.has(id)) signed.set(id, url);
  return signed.get(id);
}

/** Forget everything that another run of the preview said. */
export function forget() {
  store.contents.clear();
  store.unread.clear();
  signed.clear();
}
