/** Ask the gallery's server. */

export const me = { person: null, csrf: "", guilds: [], login: false, connected: true };

/** Load who is logged in and which servers they see. */
export async function loadMe() {
  Object.assign(me, await get("/api/me"));
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
  if (!response.ok) throw Object.assign(new Error(data.error ?? "The gallery does not answer."), { status: response.status });
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
