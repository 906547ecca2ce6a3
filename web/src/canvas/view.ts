/** Where the canvas is looked at: a viewport outside React, so that panning and zooming render nothing. */

import type { Point, Rect, Viewport } from "../graph";

export const MIN_ZOOM = 0.04;
export const MAX_ZOOM = 3;
/** Below the first the far view takes over, above the second the near view comes back. */
export const FAR_BELOW = 0.36;
export const NEAR_ABOVE = 0.42;

type Listener = () => void;

export class View {
  x = 0;
  y = 0;
  zoom = 1;
  width = 0;
  height = 0;
  left = 0;
  top = 0;
  far = false;
  allowFar = true;
  #listeners = new Set<Listener>();
  #animation = 0;

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get viewport(): Viewport {
    return { x: this.x, y: this.y, zoom: this.zoom };
  }

  set(x: number, y: number, zoom: number): void {
    this.x = x;
    this.y = y;
    this.zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom));
    this.far = this.allowFar && this.zoom < (this.far ? NEAR_ABOVE : FAR_BELOW);
    for (const listener of this.#listeners) listener();
  }

  resize(box: { left: number; top: number; width: number; height: number }): void {
    this.left = box.left;
    this.top = box.top;
    this.width = box.width;
    this.height = box.height;
    this.set(this.x, this.y, this.zoom);
  }

  pan(dx: number, dy: number): void {
    this.stop();
    this.set(this.x + dx, this.y + dy, this.zoom);
  }

  /** Zooms so that the graph point under the pointer stays under it. */
  zoomAt(client: Point, factor: number): void {
    this.stop();
    const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, this.zoom * factor));
    const x = client.x - this.left;
    const y = client.y - this.top;
    const scale = zoom / this.zoom;
    this.set(x - (x - this.x) * scale, y - (y - this.y) * scale, zoom);
  }

  toGraph(client: Point): Point {
    return { x: (client.x - this.left - this.x) / this.zoom, y: (client.y - this.top - this.y) / this.zoom };
  }

  toClient(point: Point): Point {
    return { x: point.x * this.zoom + this.x + this.left, y: point.y * this.zoom + this.y + this.top };
  }

  /** The graph rectangle on screen, grown by `margin` pixels. */
  visible(margin = 0): Rect {
    const corner = this.toGraph({ x: this.left - margin, y: this.top - margin });
    return {
      ...corner,
      w: (this.width + 2 * margin) / this.zoom,
      h: (this.height + 2 * margin) / this.zoom,
    };
  }

  get center(): Point {
    return { x: this.left + this.width / 2, y: this.top + this.height / 2 };
  }

  /** Parts of the canvas, in its own pixels, that nothing lies over; set by the page, the whole canvas otherwise. */
  free: () => readonly Rect[] = () => [];

  /** Shows all of `box`, as large as it goes in one of the free parts. */
  fit(box: Rect, { animate = true, max = 1.25, margin = 40 } = {}): void {
    const zoomIn = (part: Rect) => Math.min((part.w - 2 * margin) / Math.max(1, box.w), (part.h - 2 * margin) / Math.max(1, box.h));
    const part = this.#best(zoomIn);
    const bounded = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, Math.min(max, zoomIn(part))));
    const x = part.x + part.w / 2 - (box.x + box.w / 2) * bounded;
    const y = part.y + part.h / 2 - (box.y + box.h / 2) * bounded;
    if (animate) this.animate({ x, y, zoom: bounded });
    else {
      this.stop();
      this.set(x, y, bounded);
    }
  }

  centerOn(point: Point): void {
    const part = this.#best((free) => free.w * free.h);
    this.animate({ x: part.x + part.w / 2 - point.x * this.zoom, y: part.y + part.h / 2 - point.y * this.zoom, zoom: this.zoom });
  }

  #best(worth: (part: Rect) => number): Rect {
    const parts = this.free().filter(({ w, h }) => w > 120 && h > 120);
    const whole = { x: 0, y: 0, w: this.width, h: this.height };
    return parts.reduce<Rect>((best, part) => (best === whole || worth(part) > worth(best) ? part : best), whole);
  }

  animate(target: Viewport): void {
    this.stop();
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.set(target.x, target.y, target.zoom);
      return;
    }
    const start = this.viewport;
    const begin = performance.now();
    const step = (now: number) => {
      const part = Math.min(1, Math.max(0, now - begin) / 180);
      const eased = 1 - (1 - part) ** 3;
      const mix = (from: number, to: number) => from + (to - from) * eased;
      this.set(mix(start.x, target.x), mix(start.y, target.y), mix(start.zoom, target.zoom));
      this.#animation = part < 1 ? requestAnimationFrame(step) : 0;
    };
    this.#animation = requestAnimationFrame(step);
  }

  get moving(): boolean {
    return this.#animation !== 0;
  }

  stop(): void {
    cancelAnimationFrame(this.#animation);
    this.#animation = 0;
  }
}

/** One canvas a page. */
export const view = new View();
