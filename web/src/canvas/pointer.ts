/** Where things go that are added by key or menu. */

import type { Point } from "../graph";
import { view } from "./view";

let pointer: Point | null = null;

export function trackPointer({ target, clientX, clientY }: PointerEvent): void {
  if (!(target instanceof Element) || target.closest('[role="menu"]')) return;
  pointer = target.closest("#canvas") ? { x: clientX, y: clientY } : null;
}

/** Whether the pointer is over the canvas, or was when it opened a menu there. */
export const isPointed = (): boolean => pointer !== null;

/** Where the pointer is over the canvas, or was when it opened a menu there; else the canvas's middle. */
export const here = (): Point => pointer ?? view.center;
