/** What was painted, as vectors: each mark can be undone, and drawn again on an image of any size. Pixels of the image. */

import type { Point } from "../graph";

/** A place that the brush passed, with the radius that it had there: a pen's pressure changes it. */
export interface Spot extends Point {
  r: number;
}

/** What paints or takes away. On a mask, which has one colour, none is said. */
interface Paint {
  erase: boolean;
  color?: string;
}

export type Mark =
  | (Paint & { kind: "stroke"; spots: Spot[] })
  | (Paint & { kind: "area"; points: Point[] })
  /** Whole pixels as runs, of a painting as large as the image: where one begins, counted row by row, and its length. */
  | (Paint & { kind: "region"; runs: number[] })
  | { kind: "fill"; erase: boolean; at: Point }
  | { kind: "invert" }
  | { kind: "clear" }
  | { kind: "all" };

export interface Marks {
  readonly done: readonly Mark[];
  readonly undone: readonly Mark[];
}

export const NO_MARKS: Marks = { done: [], undone: [] };

export function addMark({ done }: Marks, mark: Mark): Marks {
  return { done: [...done, mark], undone: [] };
}

export function undoMark({ done, undone }: Marks): Marks {
  const last = done.at(-1);
  return last ? { done: done.slice(0, -1), undone: [...undone, last] } : { done, undone };
}

export function redoMark({ done, undone }: Marks): Marks {
  const next = undone.at(-1);
  return next ? { done: [...done, next], undone: undone.slice(0, -1) } : { done, undone };
}

/** The radius of a brush of this size under this pressure (0 to 1); a mouse, which feels none, has the whole size. */
export function radius(size: number, pressure: number | null): number {
  return (size / 2) * (pressure === null ? 1 : 0.15 + 0.85 * Math.max(0, Math.min(1, pressure)));
}
