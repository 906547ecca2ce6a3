/** Placing nodes: aligning, distributing, snapping, and laying out a whole graph from left to right. */

import { endsOf, INPUTS, isBorder, OUTPUTS } from "./border";
import type { Graph, Link, Point, Rect } from "./document";
import { linkId, splitPort } from "./document";
import { GRID, HEADER } from "./layout";
import { behind, type WireStyle } from "./wires";

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

/** A node as it is laid out: its size, and where its sockets are in it. */
export interface Shape extends Rect {
  inputs: Readonly<Record<string, Point>>;
  outputs: Readonly<Record<string, Point>>;
}

export interface Arrangement {
  places: Places;
  /** By link, the points that its wire runs through so that it passes no node; none where it need not. */
  bends: Record<string, [number, number][]>;
}

/** Room between columns: a wire changes its height in it. */
const GAP = 80;

/**
 * Lays nodes out in columns from left to right, keeping their top left corner, and leads each wire that is longer than a
 * column through the places that are left free for it. Only links between `shapes` count.
 * `style` is how its wires are drawn.
 * The library that does it is loaded when it is first asked for.
 */
export async function autoLayout(graph: Graph, shapes: Readonly<Record<string, Shape>>, style: WireStyle = "curved"): Promise<Arrangement> {
  const ids = Object.keys(shapes);
  if (ids.length < 2) return { places: {}, bends: {} };
  const dagre = await import("@dagrejs/dagre");
  const plan = new dagre.Graph({ multigraph: true });
  plan.setGraph({ rankdir: "LR", nodesep: 40, edgesep: 20, ranksep: GAP, marginx: 0, marginy: 0 });
  plan.setDefaultEdgeLabel(() => ({}));
  for (const id of ids) plan.setNode(id, { width: shapes[id]?.w ?? 0, height: shapes[id]?.h ?? 0 });
  const links = graph.links.filter((link) => {
    const [from, to] = endsOf(link);
    return from in shapes && to in shapes && from !== to;
  });
  for (const link of links) plan.setEdge(...endsOf(link), {}, linkId(link));
  // The border of a subgraph stands outside: before what nothing leads to, behind what leads nowhere.
  const rest = ids.filter((id) => !isBorder(id));
  if (INPUTS in shapes) for (const id of rest) if (!links.some((link) => endsOf(link)[1] === id)) plan.setEdge(INPUTS, id, { weight: 0 });
  if (OUTPUTS in shapes) for (const id of rest) if (!links.some((link) => endsOf(link)[0] === id)) plan.setEdge(id, OUTPUTS, { weight: 0 });
  dagre.layout(plan);
  // The library knows nodes, not sockets: upside down its plan is as good, and one of the two has fewer wires crossed.
  const [plain, flipped] = [placedBy(plan, shapes, links, 1, style), placedBy(plan, shapes, links, -1, style)];
  return crossings(flipped.shapes, links) < crossings(plain.shapes, links) ? flipped.arrangement : plain.arrangement;
}

/** What the plan of the library gives; `way` -1 turns it upside down. */
function placedBy(plan: Plan, shapes: Readonly<Record<string, Shape>>, links: readonly Link[], way: 1 | -1, style: WireStyle): { arrangement: Arrangement; shapes: Record<string, Shape> } {
  const ids = Object.keys(shapes);
  const centers = ids.map((id) => [id, { x: (plan.node(id) as Point).x, y: way * (plan.node(id) as Point).y }] as const);
  const corner = (pick: (box: Rect) => number) => Math.min(...ids.map((id) => pick(shapes[id] as Rect)));
  const dx = corner(({ x }) => x) - Math.min(...centers.map(([id, at]) => at.x - (shapes[id]?.w ?? 0) / 2));
  const dy = corner(({ y }) => y) - Math.min(...centers.map(([id, at]) => at.y - (shapes[id]?.h ?? 0) / 2));
  const placed: Record<string, Shape> = {};
  const columns = new Map<number, { left: number; right: number }>();
  for (const [id, at] of centers) {
    const shape = shapes[id] as Shape;
    const box = { ...shape, x: Math.round(at.x - shape.w / 2 + dx), y: Math.round(at.y - shape.h / 2 + dy) };
    placed[id] = box;
    const column = columns.get(Math.round(at.x)) ?? { left: Infinity, right: -Infinity };
    columns.set(Math.round(at.x), { left: Math.min(column.left, box.x), right: Math.max(column.right, box.x + box.w) });
  }
  const bends: Arrangement["bends"] = {};
  for (const link of links) {
    const [from, to] = endsOf(link);
    const { points = [] } = plan.edge(from, to, linkId(link)) as { points?: Point[] };
    const middle = (id: string) => Math.round((plan.node(id) as Point).x);
    const passed = points.flatMap(({ x, y }) => {
      const column = x > middle(from) + 1 && x < middle(to) - 1 ? columns.get(Math.round(x)) : undefined;
      return column ? [{ ...column, y: Math.round(way * y + dy) }] : [];
    });
    const route = routeOf(socketOf(placed, link.from, "outputs"), socketOf(placed, link.to, "inputs"), passed, columns.get(middle(from)), columns.get(middle(to)));
    bends[linkId(link)] = fewest(route, placed, [from, to], style);
  }
  return { shapes: placed, arrangement: { places: Object.fromEntries(Object.entries(placed).map(([id, { x, y }]) => [id, { x, y }])), bends } };
}

/** Pairs of wires at one node that lie in another order at their other ends. */
function crossings(shapes: Readonly<Record<string, Shape>>, links: readonly Link[]): number {
  let count = 0;
  const ends = links.map((link) => ({ link, start: socketOf(shapes, link.from, "outputs"), end: socketOf(shapes, link.to, "inputs") }));
  for (const [at, one] of ends.entries()) {
    for (const other of ends.slice(at + 1)) {
      const shared = endsOf(one.link)[0] === endsOf(other.link)[0] || endsOf(one.link)[1] === endsOf(other.link)[1];
      if (shared && (one.start.y - other.start.y) * (one.end.y - other.end.y) < 0) count++;
    }
  }
  return count;
}

type Plan = { node: (id: string) => unknown; edge: (from: string, to: string, name: string) => unknown };

function socketOf(shapes: Readonly<Record<string, Shape>>, port: string, side: "inputs" | "outputs"): Point {
  const { node, port: name } = splitPort(port);
  const shape = shapes[node] as Shape;
  const at = shape[side][name] ?? { x: side === "inputs" ? 0 : shape.w, y: HEADER / 2 };
  return { x: shape.x + at.x, y: shape.y + at.y };
}

type Passed = { left: number; right: number };

/** Level through each column, so that the wire changes its height only between two. */
function routeOf(start: Point, end: Point, passed: readonly (Passed & { y: number })[], first?: Passed, last?: Passed): Point[] {
  const points = [start];
  if (first && first.right > start.x + 1) points.push({ x: first.right, y: start.y });
  for (const { left, right, y } of passed) points.push({ x: left, y }, { x: right, y });
  if (last && last.left < end.x - 1) points.push({ x: last.left, y: end.y });
  return [...points, end];
}

/** The points between the ends without which the wire would run behind a node. */
function fewest(route: readonly Point[], shapes: Readonly<Record<string, Shape>>, ends: readonly string[], style: WireStyle): [number, number][] {
  const free = (points: readonly Point[]) => behind(points, shapes, ends, style) === undefined;
  const plain = [route[0] as Point, route[route.length - 1] as Point];
  if (free(plain)) return [];
  let points = [...route];
  for (let at = points.length - 2; at > 0; at--) {
    const without = points.filter((_, index) => index !== at);
    if (free(without)) points = without;
  }
  return points.slice(1, -1).map(({ x, y }) => [Math.round(x), Math.round(y)]);
}
