/** Links between the same two nodes, laid side by side like the wires of a ribbon. */

import type { Point } from "./document";

/** The wires of a ribbon lie so far from each other. */
const PITCH = 4;
/** So far from the nodes they have come together. */
const LEAD = 48;
/** A ribbon that is shorter than this is not worth the turns. */
const LEAST = 24;

/** What is needed of a wire: its nodes, its way from the output to the input, and where it runs through in a ribbon. */
export interface Bundled {
  from: string;
  to: string;
  points: readonly Point[];
  via?: readonly [Point, Point];
}

/**
 * Gives wires between the same two nodes their place in a ribbon. Those that somebody has bent stay as they are, and so
 * do those between nodes that are too near to each other or lie the wrong way round.
 */
export function bundle(wires: readonly Bundled[]): void {
  const groups = new Map<string, Bundled[]>();
  for (const wire of wires) {
    if (wire.points.length !== 2) continue;
    const key = `${wire.from}\n${wire.to}`;
    const group = groups.get(key);
    if (group) group.push(wire);
    else groups.set(key, [wire]);
  }
  for (const group of groups.values()) {
    if (group.length < 2) continue;
    const starts = group.map(({ points }) => points[0] as Point);
    const ends = group.map(({ points }) => points[1] as Point);
    const [left, right] = [Math.max(...starts.map(({ x }) => x)) + LEAD, Math.min(...ends.map(({ x }) => x)) - LEAD];
    if (right - left < LEAST) continue;
    const [from, to] = [middle(starts), middle(ends)];
    // In the order of the outputs: no wire crosses another where they come together.
    const order = [...group].sort((one, other) => (one.points[0] as Point).y - (other.points[0] as Point).y);
    order.forEach((wire, index) => {
      const aside = (index - (group.length - 1) / 2) * PITCH;
      wire.via = [
        { x: left, y: from + aside },
        { x: right, y: to + aside },
      ];
    });
  }
}

const middle = (points: readonly Point[]): number => points.reduce((sum, { y }) => sum + y, 0) / points.length;
