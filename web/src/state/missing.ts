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

const WEIGHTS = /\.(safetensors|ckpt|pt|pth|bin|gguf|sft)$/i;

/** Whether a name may mean one of these models, as the server looks for it: whole, by the end of its path, a file of
 * weights by its own name, and behind the folder that other programs keep its kind in. */
export function isKnownModel(name: string, models: readonly ModelInfo[]): boolean {
  const wanted = name.replaceAll("\\", "/").toLowerCase();
  const [last, behind] = [wanted.split("/").pop() ?? "", wanted.slice(wanted.indexOf("/") + 1)];
  return models.some((model) => {
    const known = model.name.toLowerCase();
    return `/${known}`.endsWith(`/${wanted}`) || known === behind || (WEIGHTS.test(last) && known.split("/").pop() === last);
  });
}

/** `models` is null while the list is not known. */
export function missingThings(document: m.Document, catalogue: m.Catalogue, models: readonly ModelInfo[] | null): Missing[] {
  const found: Missing[] = [];
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
        if (input.widget?.widget !== "model" || typeof value !== "string" || !value || !models || isKnownModel(value, models)) continue;
        found.push({ kind: "model", node: prefix + id, name: value, pack: "" });
      }
    }
  }
  return found;
}
