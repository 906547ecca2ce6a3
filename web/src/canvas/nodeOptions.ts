import { stage } from "./stage";
import { said } from "../i18n";
import type { Graph } from "../graph";
import type { Option } from "../ui/SearchList";

/** Nodes with their titles, types and values, for searching. */
export function nodeOptions(graph: Graph): Option[] {
  return Object.entries(graph.nodes).map(([id, node]): Option => {
    const title = node.title || said(stage.geometry.nodes.get(id)?.ports.title ?? "") || id;
    const values = Object.values(node.values ?? {}).filter((value) => ["string", "number"].includes(typeof value));
    return { id, title, also: `${id} ${node.type} ${values.join(" ").slice(0, 2000)}`, detail: `${id} · ${node.type}` };
  });
}
