/** What nodes are called. */

import { said, t } from ".";
import { isBorder, portsOf, sideOf, type Scene } from "../graph";

/** The title that the user gave a node, else that of its type in the user's language; the id of one that is not there. Those of
 * a subgraph's border have titles of the editor. */
export function nodeTitle({ scopes, graph, catalogue }: Pick<Scene, "scopes" | "graph" | "catalogue">, id: string): string {
  if (isBorder(id)) return t(`subgraph.${sideOf(id)}`);
  const node = graph.nodes[id];
  return node ? node.title || said(portsOf(scopes, id, node, catalogue).title) : id;
}
