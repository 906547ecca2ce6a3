/** What of the canvas nothing lies over: panels, the minimap and the tools stand above it. */

import type { Rect } from "../graph";

/** Rectangles in pixels of the canvas: beside the minimap, and above it. */
export function freeParts(canvas: Element): Rect[] {
  const own = canvas.getBoundingClientRect();
  const boxOf = (selector: string) => document.querySelector(selector)?.getBoundingClientRect();
  const panel = boxOf(".breadcrumb-box .ports") ?? boxOf(".side-panel");
  const map = boxOf(".minimap");
  const tools = boxOf(".canvas-tools");
  // A panel as wide as a phone leaves nothing; what is looked at then is what lies below it.
  const left = panel && panel.width < own.width * 0.6 ? Math.max(0, panel.right - own.left) : 0;
  const bottom = tools ? own.bottom - tools.top : 0;
  const whole = { x: left, y: 0, w: own.width - left, h: own.height - bottom };
  if (!map) return [whole];
  return [
    { ...whole, w: map.left - own.left - left },
    { ...whole, h: Math.min(whole.h, map.top - own.top) },
  ];
}
