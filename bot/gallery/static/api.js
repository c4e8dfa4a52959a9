/** Ask the gallery's server, also for its texts. */

export const me = { person: null, csrf: "", guilds: [], login: false, connected: true, language: "en", texts: {} };

/** Load who is logged in, which servers they see, and the texts in their language. */
export async function loadMe() {
  Object.assign(me, await get("/api/me"));
}

/** Return a text in the visitor's language, with its placeholders filled. */
export function t(name, values = {}) {
  return (me.texts[name] ?? "").replace(/\{(\w+)\}/g, (_, each) => String(values[each] ?? ""));
}

/** Return the JSON of an address; throw an Error with the server's words. */
export async function get(path, query = {}) {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== ""));
  return answer(await fetch(search.size ? `${path}?${search}` : path));
}

/** Send a body and return the answer's JSON. */
export async function post(path, body) {
  const isFile = body instanceof Blob;
  return answer(
    await fetch(path, {
      method: "POST",
      body: isFile ? body : JSON.stringify(body),
      headers: { "X-Atelier-CSRF": me.csrf, "Content-Type": isFile ? "application/octet-stream" : "application/json" },
    }),
  );
}

async function answer(response) {
  const data = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(data.error ?? (t("no_answer") || "The gallery does not answer.")), { status: response.status });
  return data;
}

/** Return the server that is looked at: as chosen before, or the first. */
export function currentGuild() {
  const wanted = new URLSearchParams(location.search).get("guild") ?? localStorage.getItem("guild");
  return me.guilds.find((guild) => guild.id === wanted) ?? me.guilds[0] ?? null;
}

/** Remember the server that is looked at. */
export function chooseGuild(id) {
  localStorage.setItem("guild", id);
}
