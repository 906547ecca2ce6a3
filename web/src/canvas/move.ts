/** Moving what is selected: frames carry what lies in them, Alt leaves a copy, a free node drops into a wire. */

import * as m from "../graph";
import { edit, seal, undo } from "../state/edits";
import { activeGraph, activeScene, activeTab, useApp } from "../state/store";
import { type Gesture, pointOf } from "./gesture";
import { keepBorder } from "./border";
import { boxes, wireDistance } from "./geometry";
import { stage } from "./stage";
import { view } from "./view";

const GUIDE_REACH = 5;

export function moveGesture(start: PointerEvent, selection: readonly string[]): Gesture {
  const from = view.toGraph(pointOf(start));
  const copying = start.altKey;
  if (copying) {
    let keys: string[] = [];
    edit(
      "duplicate",
      (scene) => {
        keys = m.duplicate(scene, selection, { x: 0, y: 0 }, start.ctrlKey || start.metaKey);
      },
      { group: "duplicate", select: () => keys },
    );
  }
  const carried = carriedBy(copying ? activeTab().selection : selection);
  const graph = activeGraph();
  const keys = new Set([...carried].filter((key) => !pinned(graph, key)));
  const own = copying ? {} : boxes(stage.geometry, [...keys]);
  const others = Object.entries(boxes(stage.geometry))
    .filter(([key]) => !keys.has(key) && m.keyKind(key) === "node")
    .map(([, rect]) => rect);
  const bounds = m.boundsOf(Object.values(own));
  const single = keys.size === 1 ? [...keys][0] : undefined;
  const candidates = single && single in graph.nodes ? insertable(single) : [];

  const done = () => {
    stage.dropWire = null;
    stage.guides = [];
    stage.setDrag(null);
  };
  return {
    move(event) {
      const at = view.toGraph(pointOf(event));
      let dx = at.x - from.x;
      let dy = at.y - from.y;
      if (event.shiftKey) {
        if (Math.abs(dx) > Math.abs(dy)) dy = 0;
        else dx = 0;
      }
      stage.guides = [];
      if (bounds && !event.ctrlKey) {
        if (useApp.getState().preferences.snap) {
          const snapped = m.snap({ x: bounds.x + dx, y: bounds.y + dy });
          dx = snapped.x - bounds.x;
          dy = snapped.y - bounds.y;
        } else ({ dx, dy } = guided(bounds, others, dx, dy));
      }
      stage.dropWire = event.ctrlKey ? null : (wireBelow(candidates, at) ?? null);
      stage.setDrag({ keys, dx, dy });
    },
    end() {
      const { drag, dropWire } = stage;
      const after = activeGraph();
      done();
      if (!drag) return;
      commit(after, drag, single !== undefined ? dropWire : null, copying);
      if (copying) seal();
    },
    cancel() {
      done();
      if (copying) undo();
    },
  };
}

function commit(graph: m.Graph, drag: NonNullable<typeof stage.drag>, wire: string | null, copying: boolean): void {
  const places: Record<string, m.Point> = {};
  for (const key of drag.keys) {
    const from = key in graph.nodes ? m.lookOf(graph, key) : m.isBorder(key) ? stage.geometry.nodes.get(key)?.rect : undefined;
    if (from) places[key] = { x: from.x + drag.dx, y: from.y + drag.dy };
  }
  edit(
    "move",
    (scene) => {
      if (drag.dx || drag.dy) keepBorder(scene.graph, stage.geometry.nodes);
      m.moveNodes(scene.graph, places);
      moveItems(scene.graph, drag.keys, drag.dx, drag.dy);
      moveBends(scene.graph, drag.keys, drag.dx, drag.dy);
      const [id] = Object.keys(places);
      if (wire && id) m.insertOnLink(scene, id, wire);
    },
    copying ? { group: "duplicate", join: true } : {},
  );
}

export function moveItems(graph: m.Graph, keys: ReadonlySet<string>, dx: number, dy: number): void {
  for (const frame of graph.ui?.frames ?? []) {
    if (!keys.has(m.frameKey(frame.id))) continue;
    frame.x = Math.round(frame.x + dx);
    frame.y = Math.round(frame.y + dy);
  }
  for (const note of graph.ui?.notes ?? []) {
    if (!keys.has(m.noteKey(note.id))) continue;
    note.x = Math.round(note.x + dx);
    note.y = Math.round(note.y + dy);
  }
}

/** Reroute points go along when both ends of their wire do. */
export function moveBends(graph: m.Graph, keys: ReadonlySet<string>, dx: number, dy: number): void {
  for (const link of [...graph.links, ...m.borderLinks(graph)]) {
    const keeper = link.bend && m.endsOf(link).every((id) => keys.has(id)) ? m.keeperOf(graph, m.linkId(link)) : undefined;
    if (keeper?.bend) keeper.bend = keeper.bend.map(([x, y]) => [Math.round(x + dx), Math.round(y + dy)]);
  }
}

function carriedBy(selection: readonly string[]): Set<string> {
  const keys = new Set(selection.filter((key) => m.keyKind(key) !== "link"));
  const all = boxes(stage.geometry);
  for (const frame of stage.geometry.frames) {
    if (!keys.has(m.frameKey(frame.id))) continue;
    for (const key of m.membersOf(frame, all)) if (key !== m.frameKey(frame.id)) keys.add(key);
  }
  return keys;
}

function pinned(graph: m.Graph, key: string): boolean {
  return key in graph.nodes && (m.lookOf(graph, key).pinned ?? false);
}

function insertable(id: string) {
  const scene = activeScene();
  const touched = m.linksOf(scene).some((link) => [link.from, link.to].some((port) => m.splitPort(port).node === id));
  if (touched) return [];
  return stage.geometry.wires.filter((wire) => m.fitsOnLink(scene, id, wire.link));
}

function wireBelow(wires: typeof stage.geometry.wires, at: m.Point): string | undefined {
  let best: string | undefined;
  let least = 24 / view.zoom;
  for (const wire of wires) {
    const { distance } = wireDistance(wire, at);
    if (distance < least) {
      least = distance;
      best = wire.id;
    }
  }
  return best;
}

/** Pulls the moving box to the edges and centres of others within a few pixels, and shows why. */
function guided(bounds: m.Rect, others: readonly m.Rect[], dx: number, dy: number): { dx: number; dy: number } {
  const reach = GUIDE_REACH / view.zoom;
  const box = { ...bounds, x: bounds.x + dx, y: bounds.y + dy };
  const seen = view.visible();
  let bestX = { shift: reach, at: 0, other: null as m.Rect | null };
  let bestY = { shift: reach, at: 0, other: null as m.Rect | null };
  for (const other of others) {
    if (other.x > seen.x + seen.w || other.x + other.w < seen.x || other.y > seen.y + seen.h || other.y + other.h < seen.y) continue;
    for (const [mine, theirs] of [
      [box.x, other.x],
      [box.x + box.w, other.x + other.w],
      [box.x + box.w / 2, other.x + other.w / 2],
    ] as const) {
      if (Math.abs(theirs - mine) < Math.abs(bestX.shift)) bestX = { shift: theirs - mine, at: theirs, other };
    }
    for (const [mine, theirs] of [
      [box.y, other.y],
      [box.y + box.h, other.y + other.h],
    ] as const) {
      if (Math.abs(theirs - mine) < Math.abs(bestY.shift)) bestY = { shift: theirs - mine, at: theirs, other };
    }
  }
  if (bestX.other) {
    const top = Math.min(box.y, bestX.other.y);
    const bottom = Math.max(box.y + box.h, bestX.other.y + bestX.other.h);
    stage.guides.push([{ x: bestX.at, y: top }, { x: bestX.at, y: bottom }]);
  }
  if (bestY.other) {
    const left = Math.min(box.x, bestY.other.x);
    const right = Math.max(box.x + box.w, bestY.other.x + bestY.other.w);
    stage.guides.push([{ x: left, y: bestY.at }, { x: right, y: bestY.at }]);
  }
  return { dx: dx + (bestX.other ? bestX.shift : 0), dy: dy + (bestY.other ? bestY.shift : 0) };
}
