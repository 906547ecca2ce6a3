/** What is different between two documents, in words that a user can check. */

import type { Document, Graph } from "./document";
import { linkId } from "./document";
import { sameJson } from "./json";

export interface Difference {
  kind: "added" | "removed" | "changed" | "links" | "moved";
  /** The node, behind the name of its subgraph where it is inside one; empty for what concerns the whole document. */
  node: string;
  field: string;
  before?: unknown;
  after?: unknown;
}

/** What leads from `before` to `after`. Places count once for all, whatever was moved. */
export function compareDocuments(before: Document, after: Document): Difference[] {
  const found: Difference[] = [];
  compareGraphs(before, after, "", found);
  const names = new Set([...Object.keys(before.subgraphs ?? {}), ...Object.keys(after.subgraphs ?? {})]);
  for (const name of names) {
    const old = before.subgraphs?.[name];
    const now = after.subgraphs?.[name];
    if (old && now) compareGraphs(old, now, `${name}/`, found);
    else found.push({ kind: now ? "added" : "removed", node: name, field: "" });
  }
  if (!found.length && !sameJson(before.ui, after.ui)) found.push({ kind: "moved", node: "", field: "" });
  return found;
}

function compareGraphs(before: Graph, after: Graph, prefix: string, found: Difference[]): void {
  for (const id of Object.keys(before.nodes)) {
    if (!(id in after.nodes)) found.push({ kind: "removed", node: prefix + id, field: "" });
  }
  for (const [id, node] of Object.entries(after.nodes)) {
    const old = before.nodes[id];
    if (!old) {
      found.push({ kind: "added", node: prefix + id, field: "" });
      continue;
    }
    if (old === node) continue;
    for (const port of new Set([...Object.keys(old.values ?? {}), ...Object.keys(node.values ?? {})])) {
      const [a, b] = [old.values?.[port], node.values?.[port]];
      if (!sameJson(a, b)) found.push({ kind: "changed", node: prefix + id, field: port, before: a, after: b });
    }
    for (const field of ["type", "title", "mode", "version"] as const) {
      if (!sameJson(old[field], node[field])) found.push({ kind: "changed", node: prefix + id, field, before: old[field], after: node[field] });
    }
  }
  const links = new Set(before.links.map(linkId));
  const added = after.links.filter((link) => !links.delete(linkId(link))).length;
  if (added || links.size) found.push({ kind: "links", node: prefix.replace(/\/$/, ""), field: "", before: links.size, after: added });
  for (const field of ["name", "description", "inputs", "outputs"] as const) {
    if (!sameJson(before[field], after[field])) {
      const [a, b] = [before[field], after[field]].map((value) => (Array.isArray(value) ? value.map((entry) => entry.name).join(", ") : value));
      found.push({ kind: "changed", node: prefix.replace(/\/$/, ""), field, before: a, after: b });
    }
  }
}
