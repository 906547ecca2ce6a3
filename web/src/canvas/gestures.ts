/** What the pointer does on the canvas. Each gesture is an object that lives from press to release. */

import * as m from "../graph";
import { activeTab, useApp } from "../state/store";
import { edit, seal, select, toggleSelected } from "../state/edits";
import { bendAt, boxes, crosses, frameAt, nodeAt, wireAt } from "./geometry";
import { connectGesture } from "./connect";
import { clickFlag, flagAt, hoverFlag } from "./flags";
import { afterSlop, type Gesture, pointOf } from "./gesture";
import { moveGesture } from "./move";
import { panGesture } from "./pan";
import { pressPort } from "./ports";
import { stage } from "./stage";
import { view } from "./view";

/** The gesture that a press begins; undefined leaves the press to the page (typing, buttons). */
export function gestureFor(event: PointerEvent, spaceHeld: boolean): Gesture | undefined {
  const target = event.target as HTMLElement;
  if (event.button === 1 || (event.button === 0 && spaceHeld)) return panGesture(event);
  if (event.button === 2) {
    return event.ctrlKey ? cutGesture(event) : undefined;
  }
  if (event.button !== 0) return undefined;
  const port = target.closest<HTMLElement>("[data-port]");
  if (port) return connectGesture(event, port.dataset.port ?? "", port.dataset.side as "input" | "output");
  const row = target.closest(".nodrag, input") ? undefined : target.closest<HTMLElement>('[data-key^="/port/"]');
  if (row) return pressPort(event, row.dataset.key ?? "");
  if (event.pointerType === "touch" && swipes(target)) return afterSlop(event, () => panGesture(event), () => undefined);
  if (target.closest(".nodrag, input, textarea, select, button, a, [contenteditable]")) return undefined;
  const grip = target.closest<HTMLElement>("[data-resize]");
  if (grip) return resizeNode(grip.dataset.resize ?? "");
  const key = target.closest<HTMLElement>("[data-key]")?.dataset.key;
  if (key !== undefined) return pressItem(event, key);
  return onCanvas(event);
}

/** A finger on a node moves the view, and the node only by its title or where it is chosen: it never changes a field. */
function swipes(target: HTMLElement): boolean {
  const node = target.closest<HTMLElement>("[data-key]");
  if (!node || target.closest("[data-resize]")) return false;
  if (target.closest(".nodrag, input, textarea, select, button, a")) return document.activeElement !== target;
  return !target.closest("header") && !activeTab().selection.includes(node.dataset.key ?? "");
}

function onCanvas(event: PointerEvent): Gesture {
  const at = view.toGraph(pointOf(event));
  const { geometry } = stage;
  if (view.far) {
    const box = nodeAt(geometry, at);
    if (box) return pressItem(event, box.id);
  }
  const flag = flagAt(geometry, at);
  if (flag) return afterSlop(event, () => (event.pointerType === "touch" ? panGesture(event) : boxGesture(event)), () => clickFlag(event, flag));
  const bend = bendAt(geometry, at, 9 / view.zoom);
  if (bend) return bendGesture(event, bend.wire.id, bend.index);
  const wire = wireAt(geometry, at, 7 / view.zoom);
  if (wire) {
    return afterSlop(
      event,
      () => boxGesture(event),
      () => pick(event, m.linkKey(wire.wire.id)),
    );
  }
  const frame = frameAt(geometry, at, view.zoom);
  if (frame?.part === "corner") return resizeFrame(frame.frame);
  if (frame) return pressItem(event, m.frameKey(frame.frame.id));
  const pans = event.pointerType === "touch" || useApp.getState().preferences.leftDrag === "pan";
  const additive = event.shiftKey || event.ctrlKey || event.metaKey;
  return afterSlop(
    event,
    () => (pans && !event.shiftKey ? panGesture(event) : boxGesture(event)),
    () => {
      if (!additive) select([]);
    },
  );
}

function pick(event: PointerEvent, key: string): void {
  if (event.shiftKey || event.ctrlKey || event.metaKey) toggleSelected(key);
  else select([key]);
}

function pressItem(event: PointerEvent, key: string): Gesture {
  const additive = event.shiftKey || event.ctrlKey || event.metaKey;
  const { selection } = activeTab();
  const was = selection.includes(key);
  if (!was && !additive) select([key]);
  return afterSlop(
    event,
    () => {
      // Ctrl in a drag means "without guides": only Shift brings along what was selected before.
      if (!was && additive) {
        if (event.shiftKey) toggleSelected(key);
        else select([key]);
      }
      return moveGesture(event, activeTab().selection);
    },
    () => pick(event, key),
  );
}

function boxGesture(start: PointerEvent): Gesture {
  const from = view.toGraph(pointOf(start));
  const additive = start.shiftKey || start.ctrlKey || start.metaKey;
  const before = additive ? activeTab().selection : [];
  const all = boxes(stage.geometry);
  const done = () => {
    stage.box = null;
    stage.invalidate();
  };
  return {
    move(event) {
      const to = view.toGraph(pointOf(event));
      const box = { x: Math.min(from.x, to.x), y: Math.min(from.y, to.y), w: Math.abs(to.x - from.x), h: Math.abs(to.y - from.y) };
      stage.box = box;
      const hit = Object.entries(all)
        // A frame is chosen when it is wholly inside: dragging a box within one is for what it holds.
        .filter(([key, rect]) => (m.keyKind(key) === "frame" ? holds(box, rect) : m.overlaps(box, rect)))
        .map(([key]) => key);
      select([...before, ...hit.filter((key) => !before.includes(key))]);
      stage.invalidate();
    },
    end: done,
    cancel() {
      select(before);
      done();
    },
  };
}

function holds(outer: m.Rect, rect: m.Rect): boolean {
  return rect.x >= outer.x && rect.y >= outer.y && rect.x + rect.w <= outer.x + outer.w && rect.y + rect.h <= outer.y + outer.h;
}

function cutGesture(start: PointerEvent): Gesture {
  const from = view.toGraph(pointOf(start));
  const done = () => {
    stage.cut = null;
    stage.invalidate();
  };
  return {
    move(event) {
      stage.cut = [from, view.toGraph(pointOf(event))];
      stage.invalidate();
    },
    end() {
      const line = stage.cut;
      if (line) {
        const cut = new Set(stage.geometry.wires.filter((wire) => crosses(wire, ...line)).map((wire) => wire.id));
        if (cut.size) edit("cut", (scene) => m.unlink(scene, (link) => cut.has(m.linkId(link))));
      }
      done();
    },
    cancel: done,
  };
}

function bendGesture(event: PointerEvent, wire: string, index: number): Gesture {
  const done = () => {
    stage.bend = null;
    stage.invalidate();
  };
  return afterSlop(
    event,
    () => ({
      move(now) {
        stage.bend = { wire, index, at: view.toGraph(pointOf(now)) };
        stage.invalidate();
      },
      end() {
        const at = stage.bend?.at;
        if (at) edit("reroute", ({ graph }) => m.moveBend(graph, wire, index, at));
        done();
      },
      cancel: done,
    }),
    () => pick(event, m.linkKey(wire)),
  );
}

function resizeNode(id: string): Gesture {
  const box = stage.geometry.nodes.get(id);
  seal();
  return {
    move(event) {
      const at = view.toGraph(pointOf(event));
      if (!box) return;
      const w = Math.round(Math.max(m.MIN_WIDTH, at.x - box.rect.x));
      const h = Math.round(Math.max(m.HEADER, at.y - box.rect.y));
      edit("resize", ({ graph }) => m.setLook(graph, [id], { w, h }), { group: `resize:${id}` });
    },
    end: seal,
    cancel: seal,
  };
}

function resizeFrame(frame: m.Frame): Gesture {
  const key = m.frameKey(frame.id);
  const done = () => {
    stage.resize = null;
    stage.invalidate();
  };
  return {
    move(event) {
      const at = view.toGraph(pointOf(event));
      stage.resize = { key, rect: { x: frame.x, y: frame.y, w: Math.max(80, at.x - frame.x), h: Math.max(60, at.y - frame.y) } };
      stage.invalidate();
    },
    end() {
      const rect = stage.resize?.rect;
      if (rect) {
        edit("resize", ({ graph }) => m.changeFrame(graph, frame.id, { w: Math.round(rect.w), h: Math.round(rect.h) }));
      }
      done();
    },
    cancel: done,
  };
}

/** What a double click on the canvas means: a bend in a wire, or a place for a new node. */
export function doubleClick(event: MouseEvent): void {
  const at = view.toGraph(pointOf(event));
  if (flagAt(stage.geometry, at)) return;
  const bend = bendAt(stage.geometry, at, 9 / view.zoom);
  if (bend) {
    edit("reroute", ({ graph }) => m.removeBend(graph, bend.wire.id, bend.index));
    return;
  }
  const wire = wireAt(stage.geometry, at, 7 / view.zoom);
  if (wire) {
    edit("reroute", ({ graph }) => m.addBend(graph, wire.wire.id, at, wire.segment));
    return;
  }
  const frame = frameAt(stage.geometry, at, view.zoom);
  if (frame?.part === "title") {
    window.dispatchEvent(new CustomEvent("safelight:rename", { detail: m.frameKey(frame.frame.id) }));
    return;
  }
  if (view.far) {
    const box = nodeAt(stage.geometry, at);
    if (box) {
      view.fit(box.rect, { max: 1 });
      return;
    }
  }
  useApp.setState({ overlay: { kind: "add", screen: pointOf(event) } });
}

/** The pointer moves without a button: the wire below lights up. */
export function hover(event: PointerEvent): void {
  const overItem = (event.target as HTMLElement).closest("[data-key]");
  hoverFlag(overItem ? undefined : view.toGraph(pointOf(event)));
  const wire = overItem ? undefined : wireAt(stage.geometry, view.toGraph(pointOf(event)), 7 / view.zoom);
  const id = wire?.wire.id ?? null;
  if (id === stage.hoverWire) return;
  stage.hoverWire = id;
  stage.invalidate();
}
