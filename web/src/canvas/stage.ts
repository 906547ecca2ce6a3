/** What the canvas shows beside the document: geometry, and what a gesture is doing right now. Nothing here is undone. */

import { create } from "zustand";
import type { Point, Rect } from "../graph";
import type { Geometry } from "./geometry";

/** A wire being drawn: from an output looking for an input, or the other way round. */
export interface Connecting {
  /** The fixed end, `node.port`. */
  port: string;
  side: "output" | "input";
  /** Where the loose end is, in the graph. */
  at: Point;
  /** Ports (`node.port`) that would take it. */
  fits: ReadonlySet<string>;
  /** The port under the pointer, and whether it fits. */
  over: string | null;
  reason: string;
  /** The link that was picked up; it is not drawn meanwhile. */
  lifted: string | null;
}

/** Sockets of mounted nodes follow this; everything else of a gesture is painted. */
export const useConnecting = create<{ connecting: Connecting | null }>()(() => ({ connecting: null }));

export class Stage {
  geometry: Geometry = { nodes: new Map(), order: [], wires: [], flagged: [], frames: [], notes: [], linked: new Map() };
  /** Keys that move with the pointer, and by how much. */
  drag: { keys: ReadonlySet<string>; dx: number; dy: number } | null = null;
  box: Rect | null = null;
  cut: [Point, Point] | null = null;
  guides: [Point, Point][] = [];
  hoverWire: string | null = null;
  /** Wires of the flag that is pointed at. */
  hoverFlag: ReadonlySet<string> | null = null;
  dropWire: string | null = null;
  bend: { wire: string; index: number; at: Point } | null = null;
  resize: { key: string; rect: Rect } | null = null;
  found: string | null = null;
  readonly elements = new Map<string, HTMLElement>();
  #painters = new Set<() => void>();
  #frame = 0;

  onPaint(painter: () => void): () => void {
    this.#painters.add(painter);
    return () => this.#painters.delete(painter);
  }

  /** Asks for one repaint at the next frame. */
  invalidate = (): void => {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      for (const painter of this.#painters) painter();
    });
  };

  get connecting(): Connecting | null {
    return useConnecting.getState().connecting;
  }

  setConnecting(connecting: Connecting | null): void {
    useConnecting.setState({ connecting });
    this.invalidate();
  }

  /** Moves what is dragged by style alone; React hears of it when it is dropped. */
  setDrag(drag: Stage["drag"]): void {
    const keys = this.drag?.keys ?? drag?.keys ?? [];
    this.drag = drag;
    for (const key of keys) {
      const element = this.elements.get(key);
      if (!element) continue;
      element.style.translate = drag ? `${drag.dx}px ${drag.dy}px` : "";
      element.classList.toggle("dragging", drag !== null);
    }
    this.invalidate();
  }

  offsetOf(key: string): Point {
    return this.drag?.keys.has(key) ? { x: this.drag.dx, y: this.drag.dy } : { x: 0, y: 0 };
  }
}

export const stage = new Stage();
