import { stage } from "./stage";
import { said, saidName } from "../i18n";
import { typeLabel } from "../i18n/types";
import * as m from "../graph";
import type { Option } from "../ui/SearchList";

/** Nodes with their titles, types and values, for searching. */
export function nodeOptions(graph: m.Graph, catalogue?: m.Catalogue): Option[] {
  return Object.entries(graph.nodes).map(([id, node]): Option => {
    const shown = catalogue ? catalogue.get(node.type)?.title : stage.geometry.nodes.get(id)?.ports.title;
    const title = node.title || said(shown ?? "") || id;
    const values = Object.values(node.values ?? {}).filter((value) => ["string", "number"].includes(typeof value));
    return { id, title, also: `${id} ${node.type} ${values.join(" ").slice(0, 2000)}`, detail: `${id} · ${node.type}` };
  });
}

/** How many nodes are looked through; subgraphs inside subgraphs multiply. */
const MOST = 5000;

/** Those of the whole document, by their flat ids: what is on screen first, subgraphs with the way into them. */
export function allNodeOptions(document: m.Document, catalogue: m.Catalogue, path: readonly string[]): Option[] {
  const found: Option[] = [];
  const look = (scopes: readonly m.Graph[], ids: readonly string[], titles: readonly string[]) => {
    const graph = scopes[scopes.length - 1] as m.Graph;
    for (const option of nodeOptions(graph, catalogue)) {
      if (found.length >= MOST) return;
      const type = graph.nodes[option.id]?.type ?? "";
      const inside = type.startsWith(m.SUBGRAPH) ? m.definitionOf(scopes, type) : undefined;
      const title = inside ? graph.nodes[option.id]?.title || inside.name || option.id : option.title;
      found.push({ ...option, id: [...ids, option.id].join("/"), title, detail: [...titles, option.detail].join(" › ") });
      if (inside && ids.length < 20) look([...scopes, inside], [...ids, option.id], [...titles, title]);
    }
  };
  look([document], [], []);
  const here = (option: Option) => Number(option.id.split("/").slice(0, -1).join("/") !== path.join("/"));
  return found.sort((a, b) => here(a) - here(b));
}

/** A node type as it is offered: found by its title, by its names in other programs, and by what it says of itself. */
export function specOption(spec: m.NodeSpec): Option {
  const help = said(spec.help);
  return {
    id: spec.id,
    title: said(spec.title),
    tags: [...spec.tags, ...spec.aliases],
    also: `${spec.id} ${spec.title} ${saidName(spec.category)} ${help} ${help === spec.help ? "" : spec.help} ${spec.outputs.map((port) => `${port.type} ${typeLabel(port.type)}`).join(" ")}`,
    group: saidName(spec.category),
    detail: help.split(/\n|(?<=[.。])\s?/)[0],
  };
}
