/** Where the two nodes stand that are the border of a subgraph, and what is chosen of them. */

import * as m from "../graph";
import type { NodeBox } from "./geometry";

const WIDTH = 180;

/** The boxes of both; those that nobody has moved stand beside the nodes that there are. */
export function borderBoxes(scene: m.Scene, nodes: ReadonlyMap<string, NodeBox>): NodeBox[] {
  if (!m.hasBorder(scene.scopes)) return [];
  const around = m.boundsOf([...nodes.values()].map(({ rect }) => rect));
  return [m.INPUTS, m.OUTPUTS].flatMap((id): NodeBox[] => {
    const ports = m.portsAt(scene.scopes, id, scene.catalogue);
    if (!ports) return [];
    const layout = m.layoutNode(ports, { x: 0, y: 0, w: WIDTH }, { sockets: new Set(), result: null });
    const place = scene.graph.ui?.nodes?.[id] ?? m.borderPlace(id, layout.w, around);
    return [{ id, rect: { x: place.x, y: place.y, w: layout.w, h: layout.h }, layout, ports }];
  });
}

/** What stands where it always stood stays there when nodes around it are moved: its place is kept from then on. */
export function keepBorder(graph: m.Graph, boxes: ReadonlyMap<string, NodeBox>): void {
  for (const id of [m.INPUTS, m.OUTPUTS]) {
    const box = boxes.get(id);
    if (box && !graph.ui?.nodes?.[id]) m.moveBorder(graph, id, box.rect);
  }
}
