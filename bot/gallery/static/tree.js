/** The family of a picture: generations from the oldest to the youngest, as nested lists. */

import { get } from "./api.js";
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
    const shown = picture ? cells({ ...picture, tiles: picture.tiles.slice(0, 1) }) : [h("li", { class: "cell locked" }, "Not shown to you")];
    const below = (children.get(id) ?? []).map(branch).filter(Boolean);
    return h(
      "li",
      { class: id === job ? "branch asked" : "branch" },
      h("ul", { class: "node" }, shown),
      below.length > 0 && h("ul", { class: "below" }, below),
    );
  }

  return [
    h("h1", {}, "Family tree"),
    hidden > 0 && h("p", { class: "soft" }, hidden === 1 ? "One picture of this family is not shown to you." : `${hidden} pictures of this family are not shown to you.`),
    h("ul", { class: "tree" }, roots.map(branch)),
  ];
}
