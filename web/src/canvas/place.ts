/** Where a node goes that nobody put anywhere: near the middle of what is seen, beside all that stands there. */

import * as m from "../graph";
import { stage } from "./stage";
import { view } from "./view";

/** As large as all but a few nodes are; the real size is known once it is there. */
const SIZE = { w: m.WIDE, h: 440 };
const APART = 40;

/** The middle of a title in a free place. */
export function freePlace(): m.Point {
  const middle = view.toGraph(view.center);
  const wanted = { x: middle.x - m.WIDTH / 2, y: middle.y - TITLE };
  const boxes = [...stage.geometry.nodes.values()].map(({ rect }) => rect);
  const isFree = (at: m.Point) => boxes.every((rect) => !m.overlaps({ x: rect.x - APART, y: rect.y - APART, w: rect.w + 2 * APART - 1, h: rect.h + 2 * APART - 1 }, { ...at, ...SIZE }));
  const beside = boxes.flatMap(({ x, y, w, h }) => [
    { x: x + w + APART, y },
    { x, y: y + h + APART },
    { x: x - SIZE.w - APART, y },
    { x, y: y - SIZE.h - APART },
  ]);
  const far = (at: m.Point) => Math.hypot(at.x - wanted.x, at.y - wanted.y);
  const corner = isFree(wanted) ? wanted : (beside.sort((a, b) => far(a) - far(b)).find(isFree) ?? wanted);
  return { x: corner.x + m.WIDTH / 2, y: corner.y + TITLE };
}

/** Brings a node into sight that was added elsewhere than under the pointer. */
export function showAdded(id: string): void {
  requestAnimationFrame(() => {
    const rect = stage.geometry.nodes.get(id)?.rect;
    const seen = view.visible();
    const isIn = rect && rect.x >= seen.x && rect.y >= seen.y && rect.x + rect.w <= seen.x + seen.w && rect.y + rect.h <= seen.y + seen.h;
    if (rect && !isIn) view.centerOn({ x: rect.x + rect.w / 2, y: rect.y + rect.h / 2 });
  });
}

const TITLE = 20;
