/** Hands on the ports of a subgraph's border: chosen, put in another order, gone through by keyboard. */

import * as m from "../graph";
import { t } from "../i18n";
import { edit, select, toggleSelected } from "../state/edits";
import { activeGraph, activeScene, activeTab, toast } from "../state/store";
import { afterSlop, type Gesture, pointOf } from "./gesture";
import { panGesture } from "./pan";
import { stage } from "./stage";
import { view } from "./view";

/** The one port that is selected, if it is one alone. */
export function chosenPort(): { side: m.PortSide; name: string } | undefined {
  const { selection } = activeTab();
  return selection.length === 1 ? m.portOfKey(selection[0] ?? "") : undefined;
}

/** A press on a port: a click chooses it, a drag puts it elsewhere. A finger moves the view unless it is chosen. */
export function pressPort(event: PointerEvent, key: string): Gesture {
  const additive = event.shiftKey || event.ctrlKey || event.metaKey;
  const swipes = event.pointerType === "touch" && !activeTab().selection.includes(key);
  return afterSlop(
    event,
    () => (swipes ? panGesture(event) : orderGesture(key)),
    () => (additive ? toggleSelected(key) : select([key])),
  );
}

function orderGesture(key: string): Gesture {
  const port = m.portOfKey(key);
  const box = port && stage.geometry.nodes.get(m.borderOf(port.side));
  let index: number | undefined;
  const show = (guides: typeof stage.guides) => {
    stage.guides = guides;
    stage.invalidate();
  };
  return {
    move(event) {
      if (!port || !box) return;
      const names = namesOf(port.side);
      const top = box.rect.y + m.HEADER + m.PADDING;
      const at = (view.toGraph(pointOf(event)).y - top) / m.SOCKET_ROW;
      const from = names.indexOf(port.name);
      const gap = Math.max(0, Math.min(names.length, Math.round(at)));
      index = gap > from ? gap - 1 : gap;
      const y = top + gap * m.SOCKET_ROW;
      show([[{ x: box.rect.x, y }, { x: box.rect.x + box.rect.w, y }]]);
    },
    end() {
      show([]);
      const place = index;
      if (port && place !== undefined) edit("order", ({ graph }) => m.placePort(graph, port.side, port.name, place));
    },
    cancel: () => show([]),
  };
}

const namesOf = (side: m.PortSide) => m.shownPorts(activeGraph(), side).map(({ name }) => name);

/** One place up or down. */
export function shiftPort(by: -1 | 1): void {
  const port = chosenPort();
  if (port) edit("order", ({ graph }) => m.movePort(graph, port.side, port.name, by));
}

/** Chooses the port above or below; whether there was one chosen to begin with. */
export function stepPort(by: number): boolean {
  const port = chosenPort();
  if (!port) return false;
  const names = namesOf(port.side);
  const next = names[names.indexOf(port.name) + by];
  if (next !== undefined && by) select([m.portKey(port.side, next)]);
  return true;
}

/** The border node that is chosen, itself or by one of its ports. */
export function chosenBorder(): string | undefined {
  const port = chosenPort();
  if (port) return m.borderOf(port.side);
  const { selection } = activeTab();
  return selection.length === 1 ? selection.find(m.isBorder) : undefined;
}

/** From the border node that is chosen to its first port. */
export function enterPorts(): void {
  const border = chosenBorder();
  const side = border && m.sideOf(border);
  const first = side && namesOf(side)[0];
  if (first !== undefined) select([m.portKey(side as m.PortSide, first)]);
}

export function renamePort({ side, name }: { side: m.PortSide; name: string }, wanted: string): void {
  const { graph } = activeScene();
  const clean = m.portName(wanted);
  if (!clean || clean === name) return;
  if (m.hasPort(graph, side, clean)) return toast(t("ports.taken", { name: clean }), "error");
  edit("rename", (scene) => void m.renamePort(scene.scopes[0] as m.Graph, scene.graph, side, name, clean), { select: [m.portKey(side, clean)] });
}
