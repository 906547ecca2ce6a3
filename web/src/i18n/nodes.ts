/** What nodes are called. */

import { said } from ".";
import { portsOf, type Scene } from "../graph";

/** The title that the user gave a node, else that of its type in the user's language; the id of one that is not there. */
export function nodeTitle({ scopes, graph, catalogue }: Pick<Scene, "scopes" | "graph" | "catalogue">, id: string): string {
  const node = graph.nodes[id];
  return node ? node.title || said(portsOf(scopes, id, node, catalogue).title) : id;
}
