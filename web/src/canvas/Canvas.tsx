/**
 * The canvas: nodes near enough to be worked with are elements of the page, wires and everything seen from afar are
 * painted. Only what is in sight is mounted. Panning, zooming and dragging change styles and paint; React renders when
 * the set of mounted nodes or the document changes.
 */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { said, t, useT, useWords } from "../i18n";
import { useShallow } from "zustand/react/shallow";
import { boundsOf, isBorder, joinPort, labelOf, noteKey, overlaps, type Rect, type ResultKind, scopesAt, sideOf } from "../graph";
import { wireStyle } from "../state/preferences";
import { flatId, nodeStatus, type Result, resultKind, useResults } from "../state/status";
import { activeTab, graphOf, patchTab, tabOf, useApp } from "../state/store";
import { boxes, Geometer } from "./geometry";
import type { Gesture } from "./gesture";
import { doubleClick, gestureFor, hover } from "./gestures";
import { NodeView } from "./NodeView";
import { FlagField } from "./FlagField";
import { FrameTitle, NoteView } from "./items";
import { PortsView } from "./PortsView";
import { paintAbove, paintBelow, Palette, prepare, somethingAbove } from "./paint";
import { Sheet } from "./sheet";
import { stage } from "./stage";
import { FarList } from "./FarList";
import { Reason } from "./Reason";
import { freeParts } from "./free";
import { openMenu } from "./menu";
import { receiveDrop } from "../state/files";
import { useReveal } from "./reveal";
import { view } from "./view";

/** New nodes that are mounted in one frame: more would make the frame late. */
const SLICE = 10;
const MARGIN = 200;
/** What is mounted stays so until it is this far out of sight: going back and forth mounts nothing again. */
const KEEP = 900;
/** Milliseconds without a change after which a zoom is over. */
const ZOOM_RESTS = 200;

export function Canvas() {
  useT();
  const root = useRef<HTMLDivElement>(null);
  const below = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const layer = useRef<HTMLDivElement>(null);
  const geometer = useRef(new Geometer());
  const sheet = useRef(new Sheet());
  const graph = useApp(graphOf);
  const document_ = useApp((state) => tabOf(state).document);
  const path = useApp((state) => tabOf(state).path);
  const types = useApp((state) => tabOf(state).types);
  const catalogue = useApp((state) => state.catalogue);
  const selection = useApp((state) => tabOf(state).selection);
  const tab = useApp((state) => state.active);
  const wires = useApp((state) => state.preferences.wires);
  const bundles = useApp((state) => state.preferences.bundles);
  const farView = useApp((state) => state.preferences.farView);
  const words = useWords();
  const prefix = path.length ? `${path.join("/")}/` : "";
  const results = useResults(
    useShallow((state) =>
      Object.keys(state.results)
        .filter((key) => key.startsWith(`${tab}:${prefix}`))
        .map((key) => `${key.slice(tab.length + 1 + prefix.length)}\n${resultKind(state.results[key] as Result) ?? ""}`),
    ),
  );
  const [mounted, setMounted] = useState<readonly string[]>([]);
  const [far, setFar] = useState(view.far);

  const geometry = useMemo(
    () => geometer.current.compute({ scopes: scopesAt(document_, path), graph, catalogue, types: path.length ? {} : types }, kindsOf(results), wireStyle(wires), bundles),
    [document_, path, graph, catalogue, types, results, wires, bundles],
  );
  const exposed = useMemo(() => new Set(graph.inputs?.map((entry) => entry.to)), [graph.inputs]);
  stage.geometry = geometry;
  const selected = useMemo(() => new Set(selection), [selection]);

  // What is painted, always by the newest state.
  useLayoutEffect(() => {
    const palette = new Palette(document.documentElement);
    const paint = () => {
      const state = useApp.getState();
      const now = graphOf(state);
      const tabNow = tabOf(state);
      const look = {
        selection: new Set(tabNow.selection),
        titleOf: (id: string) => (isBorder(id) ? t(`subgraph.${sideOf(id)}`) : now.nodes[id]?.title || said(stage.geometry.nodes.get(id)?.ports.title ?? "") || labelOf(id)),
        colorOf: (id: string) => now.ui?.nodes?.[id]?.color,
        statusOf: (id: string) => nodeStatus(state, flatId(tabNow.path, id)).kind,
        modeOf: (id: string) => now.nodes[id]?.mode ?? "on",
        hideWires: state.preferences.wires === "hidden",
        running: tabNow.run !== null && state.runs[tabNow.run]?.status === "running",
      };
      const changing = stage.drag || stage.bend || stage.resize || stage.connecting || (look.running && !view.far);
      const shown = changing ? null : [stage.geometry, state.tabs, state.runNodes, state.runs, stage.hoverWire, stage.hoverFlag, stage.dropWire, stage.found];
      if (below.current) sheet.current.show(below.current, view, shown, (context, sight) => paintBelow(context, stage, sight, palette, look));
      // An empty sheet over everything would be cleared, carried over and blended in every frame of a pan.
      const anything = somethingAbove(stage);
      if (above.current) above.current.style.display = anything ? "" : "none";
      const upper = anything && above.current && prepare(above.current, view);
      if (upper) paintAbove(upper, stage, view, palette);
      if (look.running && !document.hidden && !view.far) stage.invalidate();
    };
    const stop = stage.onPaint(paint);
    stage.invalidate();
    // The theme may be the system's, and is set on the page after this: what counts is when the page has it.
    const observer = new MutationObserver(() => {
      palette.forget();
      sheet.current.forget();
      stage.invalidate();
    });
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      stop();
      observer.disconnect();
    };
  }, []);
  useEffect(() => {
    sheet.current.forget();
    stage.invalidate();
  }, [geometry, selection, far, words]);
  useEffect(
    () =>
      useApp.subscribe((state, before) => {
        if (state.runNodes !== before.runNodes || state.tabs !== before.tabs || state.runs !== before.runs) stage.invalidate();
      }),
    [],
  );

  // Where the layer of the nodes is.
  useLayoutEffect(() => {
    let zoom = NaN;
    let rest = 0;
    const follow = () => {
      const element = layer.current;
      if (element) {
        element.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.zoom})`;
        // A layer of its own is moved by a pan instead of drawn again, but stretched by a zoom: so only while that rests.
        if (view.zoom !== zoom) {
          zoom = view.zoom;
          element.style.willChange = "";
          clearTimeout(rest);
          rest = window.setTimeout(() => (element.style.willChange = "transform"), ZOOM_RESTS);
        }
      }
      root.current?.classList.toggle("far", view.far);
      stage.invalidate();
    };
    follow();
    const stop = view.subscribe(follow);
    return () => {
      stop();
      clearTimeout(rest);
    };
  }, []);

  // What is mounted: what is in sight, a few at a time.
  useLayoutEffect(() => {
    view.allowFar = farView;
    let frame = 0;
    const choose = () => {
      frame = 0;
      setFar(view.far);
      if (view.far) {
        setMounted((before) => (before.length ? [] : before));
        return;
      }
      const seen = view.visible(MARGIN);
      const kept = view.visible(KEEP);
      setMounted((before) => {
        const there = new Set(before);
        const wanted: string[] = [];
        let fresh = 0;
        let more = false;
        for (const [id, { rect }] of geometry.nodes) {
          if (!overlaps(rect, there.has(id) ? kept : seen)) continue;
          if (!there.has(id) && ++fresh > SLICE) more = true;
          else wanted.push(id);
        }
        if (more) frame = requestAnimationFrame(choose);
        return wanted.length === before.length && wanted.every((id, index) => id === before[index]) ? before : wanted;
      });
    };
    choose();
    const stop = view.subscribe(() => {
      if (!frame) frame = requestAnimationFrame(choose);
    });
    return () => {
      stop();
      cancelAnimationFrame(frame);
    };
  }, [geometry, farView]);

  // Each graph is looked at where it was left; a new one is shown whole.
  const key = `${tab}:${path.join("/")}`;
  useLayoutEffect(() => {
    const element = root.current;
    if (!element) return;
    view.free = () => freeParts(element);
    const measure = () => view.resize(element.getBoundingClientRect());
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  const ready = useApp((state) => state.ready);
  useLayoutEffect(() => {
    if (!ready) return;
    const known = activeTab().viewports[path.join("/")];
    const everything = boundsOf(Object.values(boxes(stage.geometry)));
    if (known) view.set(known.x, known.y, known.zoom);
    else if (everything) view.fit(everything, { animate: false, max: 1 });
    else view.set(view.width / 2, view.height / 3, 1);
    let timer = 0;
    const stop = view.subscribe(() => {
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        if (view.moving) return;
        const now = useApp.getState().tabs.find((candidate) => candidate.id === tab);
        if (now) patchTab(tab, { viewports: { ...now.viewports, [path.join("/")]: view.viewport } });
      }, 300);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- once for each graph that is shown
  }, [key, ready]);

  useReveal();
  usePointer(root);
  const linkedOf = (id: string) => [...(geometry.linked.get(id) ?? [])].join("\n");
  const exposedOf = (id: string) =>
    geometry.nodes
      .get(id)
      ?.ports.inputs.filter((input) => exposed.has(joinPort(id, input.name)))
      .map((input) => input.name)
      .join("\n") ?? "";
  const chosenPorts = selection.filter((key) => key.startsWith("/port/")).join("\n");
  const inSight = (rect: Rect) => overlaps(rect, view.visible(MARGIN));

  return (
    <div ref={root} id="canvas" className="canvas" tabIndex={0} role="application" aria-label={t("canvas")} data-far={far || undefined}>
      <canvas ref={below} className="below" aria-hidden="true" />
      <div ref={layer} className="layer">
        {!far && <FlagField />}
        {!far && (graph.ui?.frames ?? []).map((frame) => <FrameTitle key={frame.id} frame={frame} />)}
        {!far &&
          (graph.ui?.notes ?? []).map((note) =>
            inSight(note) || stage.drag ? <NoteView key={note.id} note={note} selected={selected.has(noteKey(note.id))} /> : null,
          )}
        {!far &&
          mounted.map((id) => {
            const box = geometry.nodes.get(id);
            if (box && isBorder(id)) return <PortsView key={id} box={box} selected={selected.has(id)} chosen={chosenPorts} />;
            return box ? <NodeView key={id} box={box} selected={selected.has(id)} linked={linkedOf(id)} exposed={exposedOf(id)} /> : null;
          })}
      </div>
      <canvas ref={above} className="above" aria-hidden="true" />
      <Reason />
      {far && <FarList />}
    </div>
  );
}

/** What each node shows, from `id, line break, kind`: text, so that equal lists are seen to be equal. */
function kindsOf(results: readonly string[]): Map<string, ResultKind> {
  return new Map(
    results.flatMap((text) => {
      const [id = "", kind = ""] = text.split("\n");
      return kind ? [[id, kind as ResultKind]] : [];
    }),
  );
}

function usePointer(root: React.RefObject<HTMLDivElement | null>): void {
  useEffect(() => {
    const element = root.current;
    if (!element) return;
    let gesture: Gesture | undefined;
    let space = false;
    let pressed = { x: 0, y: 0 };
    const touches = new Map<number, PointerEvent>();

    const down = (event: PointerEvent) => {
      if (event.pointerType === "touch") {
        touches.set(event.pointerId, event);
        if (touches.size === 2) {
          gesture?.cancel();
          gesture = undefined;
          return;
        }
      }
      if (gesture) return;
      gesture = gestureFor(event, space);
      if (!gesture) return;
      if (!(event.target as HTMLElement).closest(".nodrag")) element.focus({ preventScroll: true });
      // A tap on a field must still reach it.
      const field = (event.target as HTMLElement).closest(".nodrag, input, textarea, button");
      if (event.button !== 0 || (event.pointerType !== "mouse" && !field)) event.preventDefault();
      pressed = { x: event.clientX, y: event.clientY };
    };
    const move = (event: PointerEvent) => {
      if (event.pointerType === "touch" && touches.size === 2) {
        pinch(event);
        return;
      }
      if (gesture) {
        // Only once it moves: a captured press would send the clicks, too, to the canvas instead of what was clicked.
        const far = Math.abs(event.clientX - pressed.x) + Math.abs(event.clientY - pressed.y) > 3;
        if (far && !element.hasPointerCapture(event.pointerId)) element.setPointerCapture(event.pointerId);
        gesture.move(event);
      } else hover(event);
    };
    const pinch = (event: PointerEvent) => {
      const before = touches.get(event.pointerId);
      const other = [...touches.values()].find((touch) => touch.pointerId !== event.pointerId);
      if (!before || !other) return;
      const distance = (a: PointerEvent) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
      const middle = (a: PointerEvent) => ({ x: (a.clientX + other.clientX) / 2, y: (a.clientY + other.clientY) / 2 });
      view.pan(middle(event).x - middle(before).x, middle(event).y - middle(before).y);
      view.zoomAt(middle(event), distance(event) / Math.max(1, distance(before)));
      touches.set(event.pointerId, event);
    };
    const up = (event: PointerEvent) => {
      touches.delete(event.pointerId);
      const ended = gesture;
      gesture = undefined;
      ended?.end(event);
    };
    const lost = (event: PointerEvent) => {
      touches.delete(event.pointerId);
      gesture?.cancel();
      gesture = undefined;
    };
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      // A touchpad sends small or sideways steps: two fingers move the view, a pinch (which comes with Ctrl) zooms.
      const pad = event.deltaMode === 0 && (event.deltaX !== 0 || !Number.isInteger(event.deltaY) || Math.abs(event.deltaY) < 30);
      if (event.shiftKey && !event.ctrlKey) view.pan(-event.deltaY || -event.deltaX, 0);
      else if (event.ctrlKey || event.metaKey || !pad) {
        const scale = event.deltaMode === 1 ? 30 : 1;
        view.zoomAt({ x: event.clientX, y: event.clientY }, Math.exp(-event.deltaY * scale * (event.ctrlKey ? 0.008 : 0.0015)));
      } else view.pan(-event.deltaX, -event.deltaY);
    };
    const key = (event: KeyboardEvent) => {
      if (event.code === "Space" && !(event.target as HTMLElement).closest("input, textarea, select, button, [role=slider], [role=spinbutton], dialog")) {
        space = event.type === "keydown";
        element.classList.toggle("panning", space);
        if (space) event.preventDefault();
      }
      if (event.type === "keydown" && event.key === "Escape" && gesture) {
        gesture.cancel();
        gesture = undefined;
        event.stopImmediatePropagation();
      }
    };
    const double = (event: MouseEvent) => {
      if ((event.target as HTMLElement).closest(".node, .note, button, input")) return;
      doubleClick(event);
    };
    const menu = (event: MouseEvent) => {
      if ((event.target as HTMLElement).closest("input, textarea")) return;
      event.preventDefault();
      if (!event.ctrlKey) openMenu(event);
    };
    const over = (event: DragEvent) => event.preventDefault();
    const drop = (event: DragEvent) => {
      event.preventDefault();
      void receiveDrop(event, view.toGraph({ x: event.clientX, y: event.clientY }));
    };
    element.addEventListener("pointerdown", down);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerup", up);
    element.addEventListener("pointercancel", lost);
    element.addEventListener("wheel", wheel, { passive: false });
    element.addEventListener("dblclick", double);
    element.addEventListener("contextmenu", menu);
    element.addEventListener("dragover", over);
    element.addEventListener("drop", drop);
    window.addEventListener("keydown", key, true);
    window.addEventListener("keyup", key, true);
    return () => {
      element.removeEventListener("pointerdown", down);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerup", up);
      element.removeEventListener("pointercancel", lost);
      element.removeEventListener("wheel", wheel);
      element.removeEventListener("dblclick", double);
      element.removeEventListener("contextmenu", menu);
      element.removeEventListener("dragover", over);
      element.removeEventListener("drop", drop);
      window.removeEventListener("keydown", key, true);
      window.removeEventListener("keyup", key, true);
    };
  }, [root]);
}

