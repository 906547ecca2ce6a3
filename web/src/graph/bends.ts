/** Reroute points of wires, and the arrangement that leads wires through them. */

import type { Arrangement } from "./arrange";
import { keeperOf } from "./border";
import type { Graph, Point } from "./document";
import { moveNodes } from "./edit";

/** Puts nodes where an arrangement has them, and leads the wires between them as it says. */
export function takeArrangement(graph: Graph, { places, bends }: Arrangement): void {
  moveNodes(graph, places);
  for (const [wire, bend] of Object.entries(bends)) {
    const keeper = keeperOf(graph, wire);
    if (!keeper) continue;
    if (bend.length) keeper.bend = bend;
    else delete keeper.bend;
  }
}

export function addBend(graph: Graph, wire: string, at: Point, index: number): void {
  const keeper = keeperOf(graph, wire);
  if (!keeper) return;
  const bend = [...(keeper.bend ?? [])];
  bend.splice(index, 0, [Math.round(at.x), Math.round(at.y)]);
  keeper.bend = bend;
}

export function moveBend(graph: Graph, wire: string, index: number, at: Point): void {
  const bend = keeperOf(graph, wire)?.bend;
  if (bend?.[index]) bend[index] = [Math.round(at.x), Math.round(at.y)];
}

export function removeBend(graph: Graph, wire: string, index: number): void {
  const keeper = keeperOf(graph, wire);
  if (!keeper?.bend) return;
  keeper.bend.splice(index, 1);
  if (!keeper.bend.length) delete keeper.bend;
}
