/** Going through the graph by keyboard: to the nearest node in a direction, and into the fields of one. */

import { chosenBorder } from "./ports";
import { stage } from "./stage";
import { view } from "./view";
import type { Point, Rect } from "../graph";
import { select, selectedNodes } from "../state/edits";

const middle = (rect: Rect): Point => ({ x: rect.x + rect.w / 2, y: rect.y + rect.h / 2 });

/** Selects the node that lies nearest in a direction; what lies aside counts as twice as far. */
export function walk(dx: number, dy: number): void {
  const { nodes } = stage.geometry;
  const start = nodes.get(chosenBorder() ?? selectedNodes()[0] ?? "");
  const from = start ? middle(start.rect) : view.toGraph(view.center);
  let best: { id: string; rect: Rect } | undefined;
  let least = Infinity;
  for (const { id, rect } of nodes.values()) {
    if (id === start?.id) continue;
    const to = middle(rect);
    const along = (to.x - from.x) * dx + (to.y - from.y) * dy;
    const aside = Math.abs((to.x - from.x) * dy) + Math.abs((to.y - from.y) * dx);
    if (start && along <= 0) continue;
    const distance = Math.abs(along) + 2 * aside;
    if (distance >= least) continue;
    least = distance;
    best = { id, rect };
  }
  if (!best) return;
  select([best.id]);
  bringIntoSight(best.rect);
}

function bringIntoSight(rect: Rect): void {
  const seen = view.visible(-24);
  const inside = rect.x >= seen.x && rect.y >= seen.y && rect.x + rect.w <= seen.x + seen.w && rect.y + rect.h <= seen.y + seen.h;
  if (!inside) view.centerOn(middle(rect));
}

/** Puts the focus on the first field of the selected node; Tab goes on from there, Escape comes back. */
export function enterFields(): void {
  const box = stage.geometry.nodes.get(selectedNodes()[0] ?? "");
  if (!box) return;
  if (view.far) view.fit(box.rect, { max: 1, animate: false });
  else bringIntoSight(box.rect);
  let tries = 30;
  const focus = () => {
    const element = stage.elements.get(box.id);
    const field = element?.querySelector<HTMLElement>(".row.widget :is(input, textarea, button, [tabindex='0'])");
    if (field) field.focus({ preventScroll: true });
    else if (!element && tries-- > 0) requestAnimationFrame(focus);
  };
  focus();
}
