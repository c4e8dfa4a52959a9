/** The family of a picture: generations from the oldest to the youngest, as nested lists. */

import { get, t } from "./api.js";
import { h } from "./dom.js";
import { cells } from "./grid.js";

/** Build the page of a job's family. */
export async function treePage(job) {
  const { pictures, edges, hidden } = await get(`/api/tree/${job}`);
  const byJob = new Map(pictures.map((each) => [each.job, each]));
  const children = new Map();
  for (const [parent, child] of edges) children.set(parent, [...(children.get(parent) ?? []), child]);
  const hasParent = new Set(edges.map(([, child]) => child));
  const roots = [...new Set([...edges.flat(), job])].filter((each) => !hasParent.has(each));
  const seen = new Set();

  function branch(id) {
    if (seen.has(id)) return null;
    seen.add(id);
    const picture = byJob.get(id);
    const shown = picture ? cells({ ...picture, tiles: picture.tiles.slice(0, 1) }) : [h("li", { class: "cell locked" }, t("not_shown"))];
    const below = (children.get(id) ?? []).map(branch).filter(Boolean);
    return h(
      "li",
      { class: id === job ? "branch asked" : "branch" },
      h("ul", { class: "node" }, shown),
      below.length > 0 && h("ul", { class: "below" }, below),
    );
  }

  return [
    h("h1", {}, t("family_tree")),
    hidden > 0 && h("p", { class: "soft" }, t("hidden_family", { n: hidden })),
    h("ul", { class: "tree" }, roots.map(branch)),
  ];
}
