/** A gesture lives from the press of a button to its release. */

import type { Point } from "../graph";

export interface Gesture {
  move(event: PointerEvent): void;
  end(event: PointerEvent): void;
  cancel(): void;
}

const SLOP = 4;

/** Begins `make` once the pointer has moved a little; a press without movement is `click`. */
export function afterSlop(start: PointerEvent, make: () => Gesture, click?: () => void): Gesture {
  let inner: Gesture | undefined;
  const slop = start.pointerType === "touch" ? 10 : SLOP;
  return {
    move(event) {
      if (!inner && Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) < slop) return;
      inner ??= make();
      inner.move(event);
    },
    end(event) {
      if (inner) inner.end(event);
      else click?.();
    },
    cancel: () => inner?.cancel(),
  };
}

export const pointOf = (event: { clientX: number; clientY: number }): Point => ({ x: event.clientX, y: event.clientY });
