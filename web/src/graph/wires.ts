/** The curves of wires, and what they run behind. */

import type { Point, Rect } from "./document";

export type WireStyle = "curved" | "straight" | "angled";

/** A Bézier curve of third degree: two ends, and two points that pull it. */
export type Line = readonly [Point, Point, Point, Point];

/** What is drawn between two points of a wire: it leaves to the right and arrives from the left. */
export function linesOf(a: Point, b: Point, style: WireStyle): readonly Line[] {
  if (style === "straight") return [straight(a, b)];
  if (style === "angled") return corners(a, b);
  const dx = b.x - a.x;
  const reach = dx > 0 ? Math.min(Math.max(dx * 0.5, 24), 220) : Math.min(60 + Math.abs(dx) * 0.35, 260);
  return [[a, { x: a.x + reach, y: a.y }, { x: b.x - reach, y: b.y }, b]];
}

const straight = (a: Point, b: Point): Line => [a, a, b, b];

/** How far a wire with corners goes out before it turns back. */
const STUB = 24;

function corners(a: Point, b: Point): readonly Line[] {
  const points: Point[] = [a];
  if (b.x - a.x >= 2 * STUB || a.y === b.y) {
    const x = (a.x + b.x) / 2;
    points.push({ x, y: a.y }, { x, y: b.y });
  } else {
    const [out, back, y] = [a.x + STUB, b.x - STUB, (a.y + b.y) / 2];
    points.push({ x: out, y: a.y }, { x: out, y }, { x: back, y }, { x: back, y: b.y });
  }
  points.push(b);
  return points.slice(1).map((point, index) => straight(points[index] as Point, point));
}

export function pointOn([a, b, c, d]: Line, t: number): Point {
  const s = 1 - t;
  const mix = (p: number, q: number, r: number, u: number) =>
    s * s * s * p + 3 * s * s * t * q + 3 * s * t * t * r + t * t * t * u;
  return { x: mix(a.x, b.x, c.x, d.x), y: mix(a.y, b.y, c.y, d.y) };
}

/** A line is looked at in so many places. */
export const SAMPLES = 20;

/** A line of a wire, with the number of the two points it is between. */
export interface WireLine {
  line: Line;
  segment: number;
}

/** All lines of a wire through these points. */
export function linesThrough(points: readonly Point[], style: WireStyle): readonly WireLine[] {
  return points.slice(1).flatMap((end, segment) => linesOf(points[segment] as Point, end, style).map((line) => ({ line, segment })));
}

/** The lines of a wire that runs through a ribbon: to those who bend it, it is still one way from end to end. */
export function linesVia(points: readonly Point[], [out, back]: readonly [Point, Point], style: WireStyle): readonly WireLine[] {
  const way = [points[0] as Point, out, back, points[points.length - 1] as Point];
  return linesThrough(way, style).map(({ line }) => ({ line, segment: 0 }));
}

/** The first of `boxes` that a wire through these points runs behind, its own ends left out. */
export function behind(
  points: readonly Point[],
  boxes: Readonly<Record<string, Rect>>,
  ends: readonly string[],
  style: WireStyle = "curved",
): string | undefined {
  for (const { line } of linesThrough(points, style)) {
    const near = Object.entries(boxes).filter(([id, box]) => !ends.includes(id) && meets(line, box));
    for (let step = 0; near.length && step <= 2 * SAMPLES; step++) {
      const { x, y } = pointOn(line, step / (2 * SAMPLES));
      const hit = near.find(([, box]) => x > box.x + 1 && x < box.x + box.w - 1 && y > box.y + 1 && y < box.y + box.h - 1);
      if (hit) return hit[0];
    }
  }
  return undefined;
}

function meets(line: readonly Point[], box: Rect): boolean {
  const xs = line.map(({ x }) => x);
  const ys = line.map(({ y }) => y);
  return Math.max(...xs) >= box.x && Math.min(...xs) <= box.x + box.w && Math.max(...ys) >= box.y && Math.min(...ys) <= box.y + box.h;
}
