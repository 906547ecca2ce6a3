/** The rectangle of the crop tool, in whole pixels of the image. */

import type { Point, Rect } from "../graph";

export type Grip = "nw" | "n" | "ne" | "e" | "se" | "s" | "sw" | "w" | "move" | "new";

/** Within the image, whole, and at least a pixel in size. */
export function settled(rect: Rect, width: number, height: number): Rect {
  const x = Math.max(0, Math.min(width - 1, Math.round(rect.x)));
  const y = Math.max(0, Math.min(height - 1, Math.round(rect.y)));
  return {
    x,
    y,
    w: Math.max(1, Math.min(width - x, Math.round(rect.w))),
    h: Math.max(1, Math.min(height - y, Math.round(rect.h))),
  };
}

/** Which part of the rectangle lies under the pointer; `near` is how close to an edge counts. */
export function gripAt(rect: Rect | null, at: Point, near: number): Grip {
  if (!rect) return "new";
  const dx = { w: at.x - rect.x, e: at.x - rect.x - rect.w };
  const dy = { n: at.y - rect.y, s: at.y - rect.y - rect.h };
  if (dx.w < -near || dx.e > near || dy.n < -near || dy.s > near) return "new";
  const across = Math.abs(dx.w) <= near ? "w" : Math.abs(dx.e) <= near ? "e" : "";
  const down = Math.abs(dy.n) <= near ? "n" : Math.abs(dy.s) <= near ? "s" : "";
  return ((down + across) as Grip) || "move";
}

/** The rectangle after the grip was dragged by (dx, dy); `ratio` is width to height, or 0 for any. */
export function dragged(rect: Rect, grip: Grip, dx: number, dy: number, ratio: number, width: number, height: number): Rect {
  if (grip === "move") {
    const x = Math.max(0, Math.min(width - rect.w, rect.x + dx));
    const y = Math.max(0, Math.min(height - rect.h, rect.y + dy));
    return settled({ ...rect, x, y }, width, height);
  }
  let left = grip.includes("w") ? rect.x + dx : rect.x;
  let right = grip.includes("e") ? rect.x + rect.w + dx : rect.x + rect.w;
  let top = grip.includes("n") ? rect.y + dy : rect.y;
  let bottom = grip.includes("s") ? rect.y + rect.h + dy : rect.y + rect.h;
  if (left > right) [left, right] = [right, left];
  if (top > bottom) [top, bottom] = [bottom, top];
  [left, right] = [Math.max(0, left), Math.min(width, right)];
  [top, bottom] = [Math.max(0, top), Math.min(height, bottom)];
  let made = { x: left, y: top, w: right - left, h: bottom - top };
  if (ratio) made = withRatio(made, ratio, grip);
  return settled(made, width, height);
}

/** Shrunk to a ratio of width to height, the corner opposite to the grip staying where it is. */
export function withRatio(rect: Rect, ratio: number, grip: Grip = "se"): Rect {
  const w = Math.min(rect.w, rect.h * ratio);
  const h = w / ratio;
  return {
    x: grip.includes("w") ? rect.x + rect.w - w : rect.x,
    y: grip.includes("n") ? rect.y + rect.h - h : rect.y,
    w,
    h,
  };
}
