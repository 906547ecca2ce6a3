/** The painting surface: shows image and mask under a pan and zoom of its own, and turns pointers into marks. */

import type { Point, Rect } from "../graph";
import { dragged, type Grip, gripAt, settled, withRatio } from "./crop";
import { drawCrop, drawGround, twice } from "./drawing";
import { makeCanvas, type MaskLayer, outline } from "./layer";
import { hex, similar } from "./similar";
import { type Mark, radius, type Spot } from "../state/marks";

export type Tool = "brush" | "eraser" | "lasso" | "fill" | "similar" | "segment" | "picker" | "crop" | "move";

/** A layer as it is shown. */
export interface Sheet {
  layer: MaskLayer;
  opacity: number;
  visible: boolean;
}

export interface Listeners {
  /** A mark that is complete. `drawn`: it is on the layer already. */
  mark: (mark: Mark, drawn: boolean) => void;
  crop: (rect: Rect) => void;
  zoom: (zoom: number) => void;
  size: (size: number) => void;
  /** The place whose segment is wanted: what it is, the server finds. */
  segment?: (at: Point, erase: boolean) => void;
  /** The colour of the place that was touched with the picker. */
  color?: (color: string) => void;
}

const ZOOM = [0.02, 32] as const;
export const SIZES = [1, 500] as const;
const CURSORS: Record<Grip, string> = {
  nw: "nwse-resize",
  se: "nwse-resize",
  ne: "nesw-resize",
  sw: "nesw-resize",
  n: "ns-resize",
  s: "ns-resize",
  e: "ew-resize",
  w: "ew-resize",
  move: "move",
  new: "crosshair",
};

type Hold =
  | { kind: "stroke"; erase: boolean; spots: Spot[] }
  | { kind: "area"; erase: boolean; points: Point[] }
  | { kind: "crop"; grip: Grip; from: Point; rect: Rect }
  | { kind: "pan"; at: Point };

export class Board {
  tool: Tool = "brush";
  size = 40;
  feather = 0;
  crop: Rect | null = null;
  ratio = 0;
  /** What is painted with; undefined on a mask, which has one colour. */
  color: string | undefined;
  /** Of colours that count as the same: 0 to 255. */
  tolerance = 32;
  /** Similar colours hang together with the place that is touched. */
  touching = true;
  /** All that is seen above the image, the lowest first. `layer` is the one that is painted on. */
  sheets: readonly Sheet[];
  /** Where the brush is, in the image: under the pointer, or moved by keys. */
  spot: Point | null = null;
  private x = 0;
  private y = 0;
  private scale = 1;
  private hold: Hold | null = null;
  private last: Spot | null = null;
  private soft: HTMLCanvasElement | null = null;
  private softTimer = 0;
  private frame = 0;
  private space = false;
  private penSeen = false;
  private readonly touches = new Map<number, Point>();
  private readonly stops: (() => void)[] = [];

  constructor(
    readonly canvas: HTMLCanvasElement,
    private readonly image: CanvasImageSource | null,
    public layer: MaskLayer,
    private readonly listeners: Listeners,
  ) {
    this.sheets = [{ layer, opacity: 0.6, visible: true }];
    const listen = <K extends keyof HTMLElementEventMap>(type: K, hear: (event: HTMLElementEventMap[K]) => void) => {
      canvas.addEventListener(type, hear, { passive: false });
      this.stops.push(() => canvas.removeEventListener(type, hear));
    };
    listen("pointerdown", (event) => this.down(event));
    listen("pointermove", (event) => this.move(event));
    listen("pointerup", (event) => this.up(event));
    listen("pointercancel", (event) => this.cancel(event));
    listen("pointerleave", () => this.hover(null));
    listen("contextmenu", (event) => event.preventDefault());
    listen("wheel", (event) => this.wheel(event));
    const observer = new ResizeObserver(() => this.resize());
    observer.observe(canvas);
    this.stops.push(() => observer.disconnect());
    this.resize();
    this.fit();
  }

  dispose(): void {
    for (const stop of this.stops) stop();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.softTimer);
  }

  get zoom(): number {
    return this.scale;
  }

  /** Holding the space bar moves the image, whatever the tool. */
  holdSpace(held: boolean): void {
    this.space = held;
    this.paint();
  }

  fit(): void {
    const { clientWidth, clientHeight } = this.canvas;
    const { width, height } = this.layer;
    this.scale = Math.max(ZOOM[0], Math.min(ZOOM[1], 0.92 * Math.min(clientWidth / width, clientHeight / height)));
    this.x = (clientWidth - width * this.scale) / 2;
    this.y = (clientHeight - height * this.scale) / 2;
    this.listeners.zoom(this.scale);
    this.paint();
  }

  zoomBy(factor: number, at: Point = { x: this.canvas.clientWidth / 2, y: this.canvas.clientHeight / 2 }): void {
    const scale = Math.max(ZOOM[0], Math.min(ZOOM[1], this.scale * factor));
    const ratio = scale / this.scale;
    this.x = at.x - (at.x - this.x) * ratio;
    this.y = at.y - (at.y - this.y) * ratio;
    this.scale = scale;
    this.listeners.zoom(scale);
    this.paint();
  }

  /** The mask has changed, or how it is shown. Soft edges are worked out when there is a pause. */
  refresh(): void {
    clearTimeout(this.softTimer);
    this.soft = null;
    if (this.feather) {
      this.softTimer = window.setTimeout(() => {
        this.soft = this.layer.soft(this.feather);
        this.paint();
      }, 80);
    }
    this.paint();
  }

  /** A place of the image on the screen. */
  toClient(point: Point): Point {
    const box = this.canvas.getBoundingClientRect();
    return { x: box.left + this.x + point.x * this.scale, y: box.top + this.y + point.y * this.scale };
  }

  /** The brush by keyboard: moved by a part of its size, and painting on the way when it is down. */
  step(dx: number, dy: number, down: boolean): void {
    const { width, height } = this.layer;
    const from = this.spot ?? { x: width / 2, y: height / 2 };
    const by = Math.max(1, this.size / 4);
    this.spot = { x: clamp(from.x + dx * by, width), y: clamp(from.y + dy * by, height) };
    if (down) this.dab(from);
    this.paint();
  }

  /** One touch of the tool where the brush is. */
  dab(from: Point | null = null): void {
    const to = this.spot ?? { x: this.layer.width / 2, y: this.layer.height / 2 };
    this.spot = to;
    const erase = this.tool === "eraser";
    if (touches(this.tool)) this.touch(to, false);
    else if (this.tool === "brush" || erase) {
      const r = radius(this.size, null);
      this.listeners.mark({ kind: "stroke", erase, ...this.paintOf(), spots: from ? [{ ...from, r }, { ...to, r }] : [{ ...to, r }] }, false);
    }
  }

  /** The image with what is painted on it, in its own size; for a mask the image alone. */
  private seen(): ImageData {
    const { width, height } = this.layer;
    const [, context] = makeCanvas(width, height);
    if (this.image) context.drawImage(this.image, 0, 0, width, height);
    if (this.color !== undefined) this.drawSheets(context);
    return context.getImageData(0, 0, width, height);
  }

  private drawSheets(context: CanvasRenderingContext2D): void {
    for (const { layer, opacity, visible } of this.sheets) {
      if (!visible) continue;
      context.globalAlpha = opacity;
      context.drawImage(layer === this.layer ? (this.soft ?? layer.canvas) : layer.canvas, 0, 0);
    }
    context.globalAlpha = 1;
  }

  /** The tools that touch one place: what they choose there, or which colour it has. */
  private touch(at: Point, erase: boolean): void {
    const { width, height } = this.layer;
    const [x, y] = [Math.floor(at.x), Math.floor(at.y)];
    if (this.tool === "segment") {
      if (x >= 0 && y >= 0 && x < width && y < height) this.listeners.segment?.(at, erase);
      return;
    }
    if (this.tool === "fill") return this.listeners.mark({ kind: "fill", erase, at }, false);
    const { data } = this.seen();
    if (this.tool === "picker") {
      const place = (y * width + x) * 4;
      if (x >= 0 && y >= 0 && x < width && y < height) this.listeners.color?.(hex(data[place] as number, data[place + 1] as number, data[place + 2] as number));
      return;
    }
    const runs = similar(data, width, height, x, y, this.tolerance, this.touching);
    if (runs.length) this.listeners.mark({ kind: "region", erase, runs, ...this.paintOf() }, false);
  }

  paintOf(): { color?: string } {
    return this.color === undefined ? {} : { color: this.color };
  }

  paint(): void {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  private resize(): void {
    const ratio = devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (width === this.canvas.width && height === this.canvas.height) return;
    const first = this.canvas.width === 300 && this.canvas.height === 150;
    this.canvas.width = width;
    this.canvas.height = height;
    if (first) this.fit();
    this.paint();
  }

  private place(event: { clientX: number; clientY: number }): Point {
    const box = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left - this.x) / this.scale, y: (event.clientY - box.top - this.y) / this.scale };
  }

  private spotOf(event: PointerEvent): Spot {
    const pen = event.pointerType === "pen";
    return { ...this.place(event), r: radius(this.size, pen ? event.pressure : null) };
  }

  private down(event: PointerEvent): void {
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    if (event.pointerType === "pen") this.penSeen = true;
    if (event.pointerType === "touch") {
      this.touches.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (this.touches.size > 1) return this.drop();
    }
    if (this.hold) return;
    this.canvas.setPointerCapture(event.pointerId);
    // Once a pen was used, fingers move the image: the hand that rests on the tablet must not paint.
    const pans = event.button === 1 || this.space || this.tool === "move" || (event.pointerType === "touch" && this.penSeen);
    const erase = this.tool === "eraser" || event.button === 2 || event.button === 5 || event.altKey;
    const spot = this.spotOf(event);
    if (pans) this.hold = { kind: "pan", at: { x: event.clientX, y: event.clientY } };
    else if (this.tool === "crop") {
      const grip = gripAt(this.crop, spot, 8 / this.scale);
      const rect = grip === "new" || !this.crop ? { x: spot.x, y: spot.y, w: 0, h: 0 } : this.crop;
      this.hold = { kind: "crop", grip: grip === "new" ? "se" : grip, from: spot, rect };
    } else if (this.tool === "lasso") this.hold = { kind: "area", erase, points: [spot] };
    else if (touches(this.tool)) this.touch({ x: spot.x, y: spot.y }, erase);
    else {
      const spots = event.shiftKey && this.last ? [this.last, spot] : [spot];
      this.hold = { kind: "stroke", erase, spots };
      spots.forEach((one, index) => this.layer.segment(spots[Math.max(0, index - 1)] as Spot, one, erase, this.color));
      this.soft = null;
    }
    this.paint();
  }

  private move(event: PointerEvent): void {
    if (event.pointerType === "touch" && this.touches.size > 1) return this.pinch(event);
    this.hover(this.place(event));
    const { hold } = this;
    if (!hold) {
      if (this.tool === "crop") this.canvas.style.cursor = CURSORS[gripAt(this.crop, this.place(event), 8 / this.scale)];
      return;
    }
    if (hold.kind === "pan") {
      this.x += event.clientX - hold.at.x;
      this.y += event.clientY - hold.at.y;
      hold.at = { x: event.clientX, y: event.clientY };
    } else if (hold.kind === "crop") {
      const at = this.place(event);
      const { width, height } = this.layer;
      this.crop = dragged(hold.rect, hold.grip, at.x - hold.from.x, at.y - hold.from.y, this.ratio, width, height);
      this.listeners.crop(this.crop);
    } else {
      // All the places between two frames, so that quick strokes are round.
      const events = event.getCoalescedEvents?.() ?? [];
      for (const one of events.length ? events : [event]) {
        const spot = this.spotOf(one);
        if (hold.kind === "area") hold.points.push({ x: spot.x, y: spot.y });
        else {
          const before = hold.spots.at(-1) as Spot;
          if (Math.hypot(spot.x - before.x, spot.y - before.y) < 0.3) continue;
          this.layer.segment(before, spot, hold.erase, this.color);
          hold.spots.push(spot);
        }
      }
      if (hold.kind === "stroke") this.soft = null;
    }
    this.paint();
  }

  private up(event: PointerEvent): void {
    this.touches.delete(event.pointerId);
    const { hold } = this;
    this.hold = null;
    if (hold?.kind === "stroke") {
      this.last = hold.spots.at(-1) ?? null;
      this.listeners.mark({ kind: "stroke", erase: hold.erase, ...this.paintOf(), spots: hold.spots }, true);
    } else if (hold?.kind === "area" && hold.points.length > 2) {
      this.listeners.mark({ kind: "area", erase: hold.erase, ...this.paintOf(), points: hold.points }, false);
    }
    this.paint();
  }

  private cancel(event: PointerEvent): void {
    this.touches.delete(event.pointerId);
    this.drop();
  }

  /** Lets go of what was begun: a stroke that turned out to be a pinch is taken back. */
  private drop(): void {
    const { hold } = this;
    this.hold = null;
    if (hold?.kind === "stroke") this.layer.redraw();
    this.paint();
  }

  private pinch(event: PointerEvent): void {
    const before = this.touches.get(event.pointerId);
    const other = [...this.touches].find(([id]) => id !== event.pointerId)?.[1];
    if (!before || !other) return;
    const box = this.canvas.getBoundingClientRect();
    const now = { x: event.clientX, y: event.clientY };
    const length = (a: Point) => Math.max(1, Math.hypot(a.x - other.x, a.y - other.y));
    this.x += (now.x - before.x) / 2;
    this.y += (now.y - before.y) / 2;
    this.zoomBy(length(now) / length(before), { x: (now.x + other.x) / 2 - box.left, y: (now.y + other.y) / 2 - box.top });
    this.touches.set(event.pointerId, now);
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const box = this.canvas.getBoundingClientRect();
    if (event.altKey) this.listeners.size(this.size * Math.exp(-event.deltaY * 0.002));
    else if (event.deltaMode === 0 && event.deltaX !== 0 && !event.ctrlKey) {
      this.x -= event.deltaX;
      this.y -= event.deltaY;
      this.paint();
    } else {
      const factor = Math.exp(-event.deltaY * (event.deltaMode === 1 ? 30 : 1) * (event.ctrlKey ? 0.008 : 0.0015));
      this.zoomBy(factor, { x: event.clientX - box.left, y: event.clientY - box.top });
    }
  }

  private hover(at: Point | null): void {
    this.spot = at;
    if (this.tool !== "crop") this.canvas.style.cursor = this.tool === "move" || this.space ? "grab" : "none";
    this.paint();
  }

  private draw(): void {
    this.frame = 0;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    const ratio = devicePixelRatio || 1;
    const { width, height, color } = this.layer;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(this.scale * ratio, 0, 0, this.scale * ratio, this.x * ratio, this.y * ratio);
    context.imageSmoothingEnabled = this.scale < 3;
    drawGround(context, width, height, this.image === null);
    if (this.image) context.drawImage(this.image, 0, 0, width, height);
    this.drawSheets(context);
    const thin = 1 / this.scale;
    if (this.hold?.kind === "area") {
      const path = outline(this.hold.points);
      context.globalAlpha = 0.35;
      context.fillStyle = this.hold.erase ? "#ffffff" : (this.color ?? color);
      context.fill(path);
      context.globalAlpha = 1;
      twice(context, thin, (one) => one.stroke(path));
    }
    if (this.tool === "crop" && this.crop) drawCrop(context, this.crop, width, height, thin);
    const brush = this.tool === "brush" || this.tool === "eraser";
    if (this.spot && this.tool !== "crop" && this.tool !== "move" && !this.space) {
      const { x, y } = this.spot;
      const r = brush ? this.size / 2 : 3 * thin;
      twice(context, thin, (one) => {
        one.beginPath();
        one.arc(x, y, Math.max(r, 1.5 * thin), 0, Math.PI * 2);
        one.stroke();
      });
    }
  }

  /** Sets the rectangle from fields. */
  setCrop(rect: Rect): void {
    const { width, height } = this.layer;
    this.crop = settled(this.ratio ? withRatio(rect, this.ratio) : rect, width, height);
    this.listeners.crop(this.crop);
    this.paint();
  }
}

const touches = (tool: Tool) => tool === "fill" || tool === "similar" || tool === "segment" || tool === "picker";

const clamp = (value: number, most: number) => Math.max(0, Math.min(most, value));
