/** What a workflow names that is not on this machine, and what to do about it. */

import type { ModelInfo } from "../api/types";
import * as m from "../graph";

export interface Missing {
  kind: "type" | "model";
  /** The node, with the subgraph that it is in. */
  node: string;
  name: string;
  /** The pack that brings the type, where its id names one. */
  pack: string;
}

/** `models` is null while the list is not known. */
export function missingThings(document: m.Document, catalogue: m.Catalogue, models: readonly ModelInfo[] | null): Missing[] {
  const found: Missing[] = [];
  const known = models && new Set(models.map((model) => model.name));
  const graphs: [string, m.Graph][] = [["", document], ...Object.entries(document.subgraphs ?? {}).map(([name, graph]): [string, m.Graph] => [`${name}/`, graph])];
  for (const [prefix, graph] of graphs) {
    for (const [id, node] of Object.entries(graph.nodes)) {
      if (node.type.startsWith(m.SUBGRAPH)) continue;
      const spec = catalogue.get(node.type);
      if (!spec) {
        const slash = node.type.indexOf("/");
        found.push({ kind: "type", node: prefix + id, name: node.type, pack: slash > 0 ? node.type.slice(0, slash) : "" });
        continue;
      }
      for (const input of spec.inputs) {
        const value = node.values?.[input.name];
        if (input.widget?.widget !== "model" || typeof value !== "string" || !value || !known || known.has(value)) continue;
        found.push({ kind: "model", node: prefix + id, name: value, pack: "" });
      }
    }
  }
  return found;
}
