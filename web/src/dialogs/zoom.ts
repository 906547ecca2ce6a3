/** Zoom and place of an image that is looked at; several that are shown beside each other share one. */

import { type PointerEvent, type RefObject, useEffect, useRef, useState } from "react";

export interface Place {
  zoom: number;
  x: number;
  y: number;
}

export const WHOLE: Place = { zoom: 1, x: 0, y: 0 };
const MAX_ZOOM = 16;

/** The wheel zooms at the pointer. `part` finds the element whose middle is that of the image. */
export function usePlace(stage: RefObject<HTMLElement | null>, part = ".frame"): [Place, (change: (before: Place) => Place) => void] {
  const [place, setPlace] = useState(WHOLE);
  useEffect(() => {
    // React listens to wheels passively.
    const element = stage.current;
    if (!element) return;
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const box = ((event.target as Element).closest(part) ?? element).getBoundingClientRect();
      const [px, py] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
      setPlace(({ zoom, x, y }) => {
        const next = Math.min(MAX_ZOOM, Math.max(1, zoom * Math.exp(-event.deltaY * 0.002)));
        return next === 1 ? WHOLE : { zoom: next, x: px - ((px - x) * next) / zoom, y: py - ((py - y) * next) / zoom };
      });
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, [stage, part]);
  return [place, setPlace];
}

/** Handlers of a stage: the left button moves the image; where `slide` is given, it takes each place of the pointer instead. */
export function useDrag(setPlace: (change: (before: Place) => Place) => void, slide?: ((clientX: number) => void) | null) {
  const last = useRef<{ x: number; y: number; slide: typeof slide } | null>(null);
  const end = () => (last.current = null);
  return {
    onDoubleClick: () => setPlace(toggled),
    onPointerDown: (event: PointerEvent) => {
      if (event.button !== 0) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      last.current = { x: event.clientX, y: event.clientY, slide };
      slide?.(event.clientX);
    },
    onPointerMove: (event: PointerEvent) => {
      const from = last.current;
      if (!from) return;
      if (from.slide) return from.slide(event.clientX);
      setPlace(moved({ x: event.clientX - from.x, y: event.clientY - from.y }));
      last.current = { ...from, x: event.clientX, y: event.clientY };
    },
    onPointerUp: end,
    onPointerCancel: end,
  };
}

export const transformOf = ({ zoom, x, y }: Place) => `translate(${x}px, ${y}px) scale(${zoom})`;
const moved = (by: { x: number; y: number }) => (before: Place) => (before.zoom > 1 ? { ...before, x: before.x + by.x, y: before.y + by.y } : before);
const toggled = (before: Place): Place => (before.zoom > 1 ? WHOLE : { ...WHOLE, zoom: 3 });
