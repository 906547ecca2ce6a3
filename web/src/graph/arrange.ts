/** Placing nodes: aligning, distributing, snapping, and laying out a whole graph from left to right. */

import type { Graph, Point, Rect } from "./document";
import { splitPort } from "./document";
import { GRID } from "./layout";

export type Boxes = Readonly<Record<string, Rect>>;
export type Places = Record<string, Point>;
export type Side = "left" | "right" | "top" | "bottom" | "center" | "middle";

export function align(boxes: Boxes, side: Side): Places {
  const all = Object.values(boxes);
  if (!all.length) return {};
  const left = Math.min(...all.map((box) => box.x));
  const right = Math.max(...all.map((box) => box.x + box.w));
  const top = Math.min(...all.map((box) => box.y));
  const bottom = Math.max(...all.map((box) => box.y + box.h));
  const place = (box: Rect): Point => {
    if (side === "left") return { x: left, y: box.y };
    if (side === "right") return { x: right - box.w, y: box.y };
    if (side === "center") return { x: (left + right - box.w) / 2, y: box.y };
    if (side === "top") return { x: box.x, y: top };
    if (side === "bottom") return { x: box.x, y: bottom - box.h };
    return { x: box.x, y: (top + bottom - box.h) / 2 };
  };
  return Object.fromEntries(Object.entries(boxes).map(([id, box]) => [id, place(box)]));
}

/** Equal gaps between neighbours; the outermost stay where they are. */
export function distribute(boxes: Boxes, axis: "x" | "y"): Places {
  const size = axis === "x" ? "w" : "h";
  const sorted = Object.entries(boxes).sort(([, a], [, b]) => a[axis] - b[axis]);
  const first = sorted[0]?.[1];
  const last = sorted[sorted.length - 1]?.[1];
  if (!first || !last || sorted.length < 3) return {};
  const room = last[axis] + last[size] - first[axis];
  const filled = sorted.reduce((sum, [, box]) => sum + box[size], 0);
  const gap = (room - filled) / (sorted.length - 1);
  const places: Places = {};
  let at = first[axis];
  for (const [id, box] of sorted) {
    places[id] = axis === "x" ? { x: at, y: box.y } : { x: box.x, y: at };
    at += box[size] + gap;
  }
  return places;
}

export function snap(point: Point, grid = GRID): Point {
  return { x: Math.round(point.x / grid) * grid, y: Math.round(point.y / grid) * grid };
}

/**
 * Lays nodes out in layers from left to right, keeping their top left corner. Only links between `boxes` count.
 * The library that does it is loaded when it is first asked for.
 */
export async function autoLayout(graph: Graph, boxes: Boxes): Promise<Places> {
  const ids = Object.keys(boxes);
  if (ids.length < 2) return {};
  const dagre = await import("@dagrejs/dagre");
  const plan = new dagre.Graph({ multigraph: false });
  plan.setGraph({ rankdir: "LR", nodesep: 40, ranksep: 80, marginx: 0, marginy: 0 });
  plan.setDefaultEdgeLabel(() => ({}));
  for (const id of ids) plan.setNode(id, { width: boxes[id]?.w ?? 0, height: boxes[id]?.h ?? 0 });
  for (const link of graph.links) {
    const from = splitPort(link.from).node;
    const to = splitPort(link.to).node;
    if (from in boxes && to in boxes && from !== to) plan.setEdge(from, to);
  }
  dagre.layout(plan);
  const left = Math.min(...ids.map((id) => boxes[id]?.x ?? 0));
  const top = Math.min(...ids.map((id) => boxes[id]?.y ?? 0));
  const raw: Places = {};
  for (const id of ids) {
    const placed = plan.node(id) as { x: number; y: number; width: number; height: number };
    raw[id] = { x: placed.x - placed.width / 2, y: placed.y - placed.height / 2 };
  }
  const dx = left - Math.min(...Object.values(raw).map((place) => place.x));
  const dy = top - Math.min(...Object.values(raw).map((place) => place.y));
  return Object.fromEntries(
    Object.entries(raw).map(([id, place]) => [id, { x: Math.round(place.x + dx), y: Math.round(place.y + dy) }]),
  );
}
