/** Where everything of the graph on screen lies: boxes and sockets of nodes, curves of wires, and what is under a point. */

import * as m from "../graph";
import { borderBoxes } from "./border";

export interface Wire {
  id: string;
  link: m.Link;
  type: string;
  from: string;
  to: string;
  /** Points that it runs through, from the output to the input. */
  points: m.Point[];
  style: m.WireStyle;
  /** Where it runs beside others between the same nodes. */
  via?: readonly [m.Point, m.Point];
  /** Kept by `wireLines`, which alone reads it. */
  lines?: readonly m.WireLine[];
}

export interface NodeBox {
  id: string;
  rect: m.Rect;
  layout: m.NodeLayout;
  ports: m.NodePorts;
}

export interface Geometry {
  nodes: Map<string, NodeBox>;
  /** In the order of drawing. */
  order: string[];
  wires: Wire[];
  /** Those of links that are shown as names. */
  flagged: Wire[];
  frames: readonly m.Frame[];
  notes: readonly m.Note[];
  linked: Map<string, Set<string>>;
}

interface Cached {
  node: m.NodeData;
  look: m.NodeLook;
  sockets: string;
  exposed: string;
  result: m.ResultKind | null;
  ports: m.NodePorts;
  box: NodeBox;
}

const EMPTY: ReadonlySet<string> = new Set();

/** Computes the geometry of a graph; nodes that did not change are taken from the call before. */
export class Geometer {
  #cache = new Map<string, Cached>();

  compute(scene: m.Scene, results: ReadonlyMap<string, m.ResultKind>, style: m.WireStyle = "curved", bundles = false): Geometry {
    const { graph } = scene;
    const linked = new Map<string, Set<string>>();
    for (const link of graph.links) {
      const { node, port } = m.splitPort(link.to);
      const set = linked.get(node);
      if (set) set.add(port);
      else linked.set(node, new Set([port]));
    }
    const nodes = new Map<string, NodeBox>();
    const exposed = new Map<string, Set<string>>();
    for (const { to } of graph.inputs ?? []) {
      const { node, port } = m.splitPort(to);
      exposed.set(node, (exposed.get(node) ?? new Set()).add(port));
    }
    const cache = new Map<string, Cached>();
    for (const [id, node] of Object.entries(graph.nodes)) {
      const entry = this.#node(scene, id, node, linked.get(id) ?? EMPTY, exposed.get(id) ?? EMPTY, results.get(id) ?? null);
      cache.set(id, entry);
      nodes.set(id, entry.box);
    }
    this.#cache = cache;
    for (const box of borderBoxes(scene, nodes)) nodes.set(box.id, box);
    const wires: Wire[] = [];
    const flagged: Wire[] = [];
    for (const link of m.linksOf(scene)) {
      const wire = wireOf(link, nodes, scene, style);
      if (wire) (m.flagOf(link) ? flagged : wires).push(wire);
    }
    if (bundles) m.bundle(wires);
    return {
      nodes,
      order: [...nodes.keys()],
      wires,
      flagged,
      frames: graph.ui?.frames ?? [],
      notes: graph.ui?.notes ?? [],
      linked,
    };
  }

  #node(
    scene: m.Scene,
    id: string,
    node: m.NodeData,
    linked: ReadonlySet<string>,
    exposed: ReadonlySet<string>,
    own: m.ResultKind | null,
  ): Cached {
    const look = m.lookOf(scene.graph, id);
    const ports = m.portsOf(scene.scopes, id, node, scene.catalogue);
    const sockets = [...linked, "", ...(look.sockets ?? [])].join("\n");
    const form = [...exposed].join("\n");
    // Nodes that end in images keep the place for them free; those that begin with one show it.
    const images = ports.output || m.pickedImages(ports, node, linked).length > 0;
    const result = (look.preview ?? true) ? (own ?? (images ? "image" : null)) : null;
    const known = this.#cache.get(id);
    const same =
      known?.node === node &&
      known.look === look &&
      known.ports === ports &&
      known.sockets === sockets &&
      known.exposed === form &&
      known.result === result;
    if (known && same) return known;
    const layout = m.layoutNode(ports, look, {
      sockets: new Set([...linked, ...(look.sockets ?? [])]),
      result,
      values: node.values,
      linked,
      exposed,
    });
    const box = { id, rect: { x: look.x, y: look.y, w: layout.w, h: layout.h }, layout, ports };
    return { node, look, sockets, exposed: form, result, ports, box };
  }
}

function wireOf(link: m.Link, nodes: Map<string, NodeBox>, scene: m.Scene, style: m.WireStyle): Wire | undefined {
  const source = m.splitPort(link.from);
  const target = m.splitPort(link.to);
  const from = nodes.get(source.node);
  const to = nodes.get(target.node);
  if (!from || !to) return undefined;
  const start = from.layout.outputs[source.port] ?? { x: from.rect.w, y: m.HEADER / 2 };
  const end = to.layout.inputs[target.port] ?? { x: 0, y: m.HEADER / 2 };
  const output = from.ports.outputs.find((port) => port.name === source.port);
  return {
    id: m.linkId(link),
    link,
    type: scene.types?.[source.node]?.[source.port] ?? output?.type ?? "?",
    from: source.node,
    to: target.node,
    style,
    points: [
      { x: from.rect.x + start.x, y: from.rect.y + start.y },
      ...(link.bend ?? []).map(([x, y]) => ({ x, y })),
      { x: to.rect.x + end.x, y: to.rect.y + end.y },
    ],
  };
}

/** What a wire is drawn of. Made when first asked for: each move of the pointer asks it of every wire. */
export const wireLines = (wire: Wire): readonly m.WireLine[] => (wire.lines ??= wire.via ? m.linesVia(wire.points, wire.via, wire.style) : m.linesThrough(wire.points, wire.style));

/** How far a point is from a wire, and between which of its points. */
export function wireDistance(wire: Wire, at: m.Point): { distance: number; segment: number } {
  let best = { distance: Infinity, segment: 0 };
  for (const { line, segment } of wireLines(wire)) {
    const [a, b, c, d] = line;
    const out =
      Math.max(Math.min(a.x, b.x, c.x, d.x) - at.x, at.x - Math.max(a.x, b.x, c.x, d.x), 0) +
      Math.max(Math.min(a.y, b.y, c.y, d.y) - at.y, at.y - Math.max(a.y, b.y, c.y, d.y), 0);
    if (out > 60 || out >= best.distance) continue;
    let last = line[0];
    for (let step = 1; step <= m.SAMPLES; step++) {
      const next = m.pointOn(line, step / m.SAMPLES);
      const distance = segmentDistance(at, last, next);
      if (distance < best.distance) best = { distance, segment };
      last = next;
    }
  }
  return best;
}

function segmentDistance(p: m.Point, a: m.Point, b: m.Point): number {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  const length = dx * dx + dy * dy;
  const t = length ? Math.max(0, Math.min(1, ((p.x - a.x) * dx + (p.y - a.y) * dy) / length)) : 0;
  return Math.hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

export function wireAt(geometry: Geometry, at: m.Point, reach: number): { wire: Wire; segment: number } | undefined {
  let best: { wire: Wire; segment: number } | undefined;
  let least = reach;
  for (const wire of geometry.wires) {
    const { distance, segment } = wireDistance(wire, at);
    if (distance <= least) {
      least = distance;
      best = { wire, segment };
    }
  }
  return best;
}

export function bendAt(geometry: Geometry, at: m.Point, reach: number): { wire: Wire; index: number } | undefined {
  for (const wire of geometry.wires) {
    for (let i = 1; i + 1 < wire.points.length; i++) {
      const point = wire.points[i] as m.Point;
      if (Math.hypot(point.x - at.x, point.y - at.y) <= reach) return { wire, index: i - 1 };
    }
  }
  return undefined;
}

export function nodeAt(geometry: Geometry, at: m.Point): NodeBox | undefined {
  for (let i = geometry.order.length - 1; i >= 0; i--) {
    const box = geometry.nodes.get(geometry.order[i] ?? "");
    if (box && inside(box.rect, at)) return box;
  }
  return undefined;
}

/** The nearest socket within `reach`: `node.port`, and of which side. */
export function socketAt(
  geometry: Geometry,
  at: m.Point,
  reach: number,
  side?: "input" | "output",
): { port: string; side: "input" | "output"; point: m.Point } | undefined {
  let found: { port: string; side: "input" | "output"; point: m.Point } | undefined;
  let least = reach;
  for (const { id, rect, layout } of geometry.nodes.values()) {
    const near = { x: rect.x - reach, y: rect.y - reach, w: rect.w + 2 * reach, h: rect.h + 2 * reach };
    if (!inside(near, at)) continue;
    const look = (places: Record<string, m.Point>, which: "input" | "output") => {
      if (side && side !== which) return;
      for (const [name, place] of Object.entries(places)) {
        const point = { x: rect.x + place.x, y: rect.y + place.y };
        const distance = Math.hypot(point.x - at.x, point.y - at.y);
        if (distance > least) continue;
        least = distance;
        found = { port: `${id}.${name}`, side: which, point };
      }
    };
    look(layout.inputs, "input");
    look(layout.outputs, "output");
  }
  return found;
}

export function frameAt(geometry: Geometry, at: m.Point, zoom: number): { frame: m.Frame; part: "title" | "corner" } | undefined {
  for (let i = geometry.frames.length - 1; i >= 0; i--) {
    const frame = geometry.frames[i] as m.Frame;
    const corner = { x: frame.x + frame.w - 18 / zoom, y: frame.y + frame.h - 18 / zoom, w: 22 / zoom, h: 22 / zoom };
    if (inside(corner, at)) return { frame, part: "corner" };
    if (inside({ x: frame.x, y: frame.y, w: frame.w, h: FRAME_TITLE }, at)) return { frame, part: "title" };
  }
  return undefined;
}

export const FRAME_TITLE = 30;

export function inside(rect: m.Rect, at: m.Point): boolean {
  return at.x >= rect.x && at.x <= rect.x + rect.w && at.y >= rect.y && at.y <= rect.y + rect.h;
}

/** Whether the straight line from `a` to `b` crosses a wire. */
export function crosses(wire: Wire, a: m.Point, b: m.Point): boolean {
  for (const { line } of wireLines(wire)) {
    let last = line[0];
    for (let step = 1; step <= m.SAMPLES; step++) {
      const next = m.pointOn(line, step / m.SAMPLES);
      if (meet(a, b, last, next)) return true;
      last = next;
    }
  }
  return false;
}

function meet(a: m.Point, b: m.Point, c: m.Point, d: m.Point): boolean {
  const side = (p: m.Point, q: m.Point, r: m.Point) => Math.sign((q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x));
  return side(a, b, c) !== side(a, b, d) && side(c, d, a) !== side(c, d, b);
}

/** Boxes of the chosen keys (all by default), frames and notes included. */
export function boxes(geometry: Geometry, keys?: readonly string[]): Record<string, m.Rect> {
  const all: Record<string, m.Rect> = {};
  const wanted = keys && new Set(keys);
  for (const [id, box] of geometry.nodes) if (!wanted || wanted.has(id)) all[id] = box.rect;
  for (const frame of geometry.frames) {
    const key = m.frameKey(frame.id);
    if (!wanted || wanted.has(key)) all[key] = frame;
  }
  for (const note of geometry.notes) {
    const key = m.noteKey(note.id);
    if (!wanted || wanted.has(key)) all[key] = note;
  }
  return all;
}

/** Nodes as an arrangement takes them. */
export function shapesOf(geometry: Geometry, ids: readonly string[] = geometry.order): Record<string, m.Shape> {
  return Object.fromEntries(
    ids.flatMap((id): [string, m.Shape][] => {
      const box = geometry.nodes.get(id);
      return box ? [[id, { ...box.rect, inputs: box.layout.inputs, outputs: box.layout.outputs }]] : [];
    }),
  );
}
