/** Paints wires, frames and the dot grid below the nodes; in the far view the nodes too; and gestures above all. */

import type { Point, Rect } from "../graph";
import { frameKey, linesThrough, linesVia, noteKey, overlaps, type WireLine } from "../graph";
import type { StatusKind } from "../state/status";
import { isLit, paintFlags } from "./flags";
import { FRAME_TITLE, wireLines, type Wire } from "./geometry";
import type { Stage } from "./stage";
import { typeStyle } from "../ui/typeStyle";

export interface Look {
  selection: ReadonlySet<string>;
  titleOf: (id: string) => string;
  colorOf: (id: string) => string | undefined;
  statusOf: (id: string) => StatusKind;
  modeOf: (id: string) => string;
  running: boolean;
  hideWires: boolean;
}

/** Colours by CSS variable, read again when the theme changes. */
export class Palette {
  #known = new Map<string, string>();
  #element: Element;

  constructor(element: Element) {
    this.#element = element;
  }

  get(variable: string): string {
    let color = this.#known.get(variable);
    if (!color) {
      color = getComputedStyle(this.#element).getPropertyValue(variable).trim() || "#888";
      this.#known.set(variable, color);
    }
    return color;
  }

  forget(): void {
    this.#known.clear();
  }
}

/** What is needed of a view to paint it. */
export interface Sight {
  x: number;
  y: number;
  zoom: number;
  width: number;
  height: number;
  far: boolean;
}

/** The graph rectangle in sight, grown by `margin` pixels. */
function sightOf({ x, y, zoom, width, height }: Sight, margin: number): Rect {
  return { x: (-x - margin) / zoom, y: (-y - margin) / zoom, w: (width + 2 * margin) / zoom, h: (height + 2 * margin) / zoom };
}

export function prepare(canvas: HTMLCanvasElement, view: { width: number; height: number }): CanvasRenderingContext2D | null {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const width = Math.round(view.width * ratio);
  const height = Math.round(view.height * ratio);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  context?.clearRect(0, 0, view.width, view.height);
  return context;
}

export function paintBelow(context: CanvasRenderingContext2D, stage: Stage, view: Sight, palette: Palette, look: Look): void {
  grid(context, view, palette);
  context.save();
  context.translate(view.x, view.y);
  context.scale(view.zoom, view.zoom);
  const seen = sightOf(view, 40);
  frames(context, stage, view, palette, look, seen);
  for (const wire of stage.geometry.wires) paintWire(context, wire, stage, view, palette, look, seen);
  for (const wire of stage.geometry.flagged) if (isLit(wire, stage, look)) paintWire(context, wire, stage, view, palette, look, seen);
  paintFlags(context, stage, view, palette, look, seen);
  if (view.far) boxes(context, stage, view, palette, look, seen);
  context.restore();
}

function grid(context: CanvasRenderingContext2D, view: Sight, palette: Palette): void {
  let step = 20 * view.zoom;
  while (step < 14) step *= 4;
  context.fillStyle = palette.get("--grid");
  const radius = Math.min(1.3, Math.max(0.7, view.zoom));
  const startX = ((view.x % step) + step) % step;
  const startY = ((view.y % step) + step) % step;
  context.beginPath();
  for (let x = startX; x < view.width; x += step) {
    for (let y = startY; y < view.height; y += step) context.rect(x - radius / 2, y - radius / 2, radius, radius);
  }
  context.fill();
}

function frames(context: CanvasRenderingContext2D, stage: Stage, view: Sight, palette: Palette, look: Look, seen: Rect): void {
  for (const frame of stage.geometry.frames) {
    const key = frameKey(frame.id);
    const offset = stage.offsetOf(key);
    const size = stage.resize?.key === key ? stage.resize.rect : frame;
    const rect = { x: size.x + offset.x, y: size.y + offset.y, w: size.w, h: size.h };
    if (!overlaps(rect, seen)) continue;
    const color = frame.color ?? palette.get("--frame");
    context.globalAlpha = 0.13;
    context.fillStyle = color;
    round(context, rect, 10);
    context.fill();
    context.globalAlpha = look.selection.has(key) ? 1 : 0.55;
    context.strokeStyle = look.selection.has(key) ? palette.get("--accent") : color;
    context.lineWidth = (look.selection.has(key) ? 2 : 1) / Math.max(view.zoom, 0.3);
    context.stroke();
    context.globalAlpha = 1;
    context.fillStyle = palette.get("--text-2");
    const size2 = Math.max(13, 11 / view.zoom);
    context.font = `600 ${size2}px ${FONT}`;
    context.textBaseline = "middle";
    const fits = clip(context, frame.title, rect.w - 24);
    context.fillText(fits, rect.x + 12, rect.y + Math.max(FRAME_TITLE / 2, size2 * 0.8));
    context.strokeStyle = color;
    context.globalAlpha = 0.8;
    context.lineWidth = 1.5 / view.zoom;
    context.beginPath();
    const corner = 10 / view.zoom;
    context.moveTo(rect.x + rect.w - corner, rect.y + rect.h - corner * 0.4);
    context.lineTo(rect.x + rect.w - corner * 0.4, rect.y + rect.h - corner);
    context.stroke();
    context.globalAlpha = 1;
  }
}

/** Where a wire runs now; the points of the wire itself while nothing moves them. */
function pointsOf(wire: Wire, stage: Stage): readonly Point[] {
  const from = stage.offsetOf(wire.from);
  const to = stage.offsetOf(wire.to);
  if (!from.x && !from.y && !to.x && !to.y && stage.bend?.wire !== wire.id) return wire.points;
  const both = stage.drag?.keys.has(wire.from) && stage.drag.keys.has(wire.to) ? from : { x: 0, y: 0 };
  const last = wire.points.length - 1;
  return wire.points.map((point, index) => {
    if (stage.bend?.wire === wire.id && stage.bend.index === index - 1) return stage.bend.at;
    const shift = index === 0 ? from : index === last ? to : both;
    return shift.x || shift.y ? { x: point.x + shift.x, y: point.y + shift.y } : point;
  });
}

/** What a wire is drawn of while something moves its points. A ribbon moves with the nodes at its ends. */
function linesNow({ points: before, via, style }: Wire, points: readonly Point[]): readonly WireLine[] {
  const [start, end] = [points[0] as Point, points[points.length - 1] as Point];
  const [from, to] = [before[0] as Point, before[before.length - 1] as Point];
  if (!via || points.length > 2) return linesThrough(points, style);
  const [out, back] = via;
  return linesVia(points, [{ x: out.x + start.x - from.x, y: out.y + start.y - from.y }, { x: back.x + end.x - to.x, y: back.y + end.y - to.y }], style);
}

function paintWire(
  context: CanvasRenderingContext2D,
  wire: Wire,
  stage: Stage,
  view: Sight,
  palette: Palette,
  look: Look,
  seen: Rect,
): void {
  if (stage.connecting?.lifted === wire.id) return;
  const points = pointsOf(wire, stage);
  if (!visible(points, seen)) return;
  const selected = look.selection.has(`/link/${wire.id}`);
  const hovered = stage.hoverWire === wire.id || (stage.hoverFlag?.has(wire.id) ?? false);
  const target = stage.dropWire === wire.id;
  const beside = look.selection.has(wire.from) || look.selection.has(wire.to);
  // Hidden ones are seen where somebody looks: at what is selected or pointed at, and while a wire is drawn.
  if (look.hideWires && !selected && !hovered && !target && !beside && !stage.connecting) return;
  const quiet = look.modeOf(wire.from) === "mute" || look.modeOf(wire.to) === "mute";
  context.beginPath();
  trace(context, points === wire.points ? wireLines(wire) : linesNow(wire, points));
  context.lineWidth = Math.max((selected || target ? 3.5 : hovered || beside ? 2.75 : 2) * Math.min(1, view.zoom * 1.4), 0.9) / view.zoom;
  context.strokeStyle = target ? palette.get("--good") : selected ? palette.get("--accent") : palette.get(typeStyle(wire.type).variable);
  context.globalAlpha = quiet ? 0.25 : stage.connecting ? 0.35 : hovered || selected || beside || target ? 1 : 0.75;
  if (wire.type.startsWith("list[")) context.setLineDash([8, 3]);
  context.stroke();
  context.setLineDash([]);
  if (look.running && look.statusOf(wire.to) === "running" && !view.far) {
    context.strokeStyle = palette.get("--text");
    context.globalAlpha = 0.5;
    context.setLineDash([3, 14]);
    context.lineDashOffset = -(performance.now() / 40) % 17;
    context.stroke();
    context.setLineDash([]);
    context.lineDashOffset = 0;
  }
  context.globalAlpha = 1;
  if (view.zoom < 0.25) return;
  context.fillStyle = context.strokeStyle;
  for (const point of points.slice(1, -1)) {
    context.beginPath();
    context.arc(point.x, point.y, 5.5, 0, 7);
    context.fillStyle = palette.get("--canvas");
    context.fill();
    context.strokeStyle = palette.get(typeStyle(wire.type).variable);
    context.lineWidth = 2.5;
    context.stroke();
  }
}

function visible(points: readonly Point[], seen: Rect): boolean {
  let left = Infinity;
  let right = -Infinity;
  let top = Infinity;
  let bottom = -Infinity;
  for (const point of points) {
    left = Math.min(left, point.x);
    right = Math.max(right, point.x);
    top = Math.min(top, point.y);
    bottom = Math.max(bottom, point.y);
  }
  // A wire that goes backwards swings out by up to 260 to either side.
  return left - 260 < seen.x + seen.w && right + 260 > seen.x && top < seen.y + seen.h && bottom > seen.y;
}

function trace(context: CanvasRenderingContext2D, lines: readonly WireLine[]): void {
  lines.forEach(({ line: [a, c, d, b] }, index) => {
    if (index === 0) context.moveTo(a.x, a.y);
    context.bezierCurveTo(c.x, c.y, d.x, d.y, b.x, b.y);
  });
}

const FONT = "Inter, system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK SC', sans-serif";

const STATUS_COLORS: Partial<Record<StatusKind, string>> = {
  "will-run": "--will-run",
  running: "--running",
  failed: "--bad",
  doubtful: "--will-run",
  problem: "--bad",
  done: "--good",
  cached: "--cached",
  shared: "--cached",
};

/** The nodes as plain boxes: what is drawn of them when the whole graph is in sight. */
function boxes(context: CanvasRenderingContext2D, stage: Stage, view: Sight, palette: Palette, look: Look, seen: Rect): void {
  const size = 13 / view.zoom;
  const labels = view.zoom > 0.09;
  context.font = `600 ${Math.min(size, 44)}px ${FONT}`;
  context.textBaseline = "middle";
  const body = palette.get("--node");
  const header = palette.get("--node-header");
  const text = palette.get("--text");
  for (const { id, rect, layout } of stage.geometry.nodes.values()) {
    const offset = stage.offsetOf(id);
    const box = { x: rect.x + offset.x, y: rect.y + offset.y, w: rect.w, h: rect.h };
    if (!overlaps(box, seen)) continue;
    const mode = look.modeOf(id);
    context.globalAlpha = mode === "mute" ? 0.4 : 1;
    context.fillStyle = mode === "bypass" ? palette.get("--bypass") : body;
    round(context, box, 8);
    context.fill();
    context.fillStyle = look.colorOf(id) ?? header;
    context.fillRect(box.x, box.y, box.w, Math.min(box.h, 34));
    const color = STATUS_COLORS[look.statusOf(id)];
    if (color) {
      context.fillStyle = palette.get(color);
      context.fillRect(box.x, box.y, box.w, Math.max(6, 3 / view.zoom));
    }
    if (look.selection.has(id) || stage.found === id) {
      context.strokeStyle = palette.get("--accent");
      context.lineWidth = 2.5 / view.zoom;
      round(context, box, 8);
      context.stroke();
    }
    if (labels) {
      context.fillStyle = text;
      const at = layout.h > 60 ? box.y + Math.min(box.h / 2, 34 + size) : box.y + box.h / 2;
      context.fillText(clip(context, look.titleOf(id), box.w - 16), box.x + 10, at);
    }
    context.globalAlpha = 1;
  }
  for (const note of stage.geometry.notes) {
    const offset = stage.offsetOf(noteKey(note.id));
    context.fillStyle = palette.get("--note");
    round(context, { x: note.x + offset.x, y: note.y + offset.y, w: note.w, h: note.h }, 6);
    context.fill();
  }
}

const clipped = new Map<string, string>();

function clip(context: CanvasRenderingContext2D, text: string, width: number): string {
  const key = `${context.font}|${Math.round(width)}|${text}`;
  let result = clipped.get(key);
  if (result === undefined) {
    result = text;
    if (context.measureText(text).width > width) {
      let end = text.length;
      while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end--;
      result = `${text.slice(0, end)}…`;
    }
    if (clipped.size > 4000) clipped.clear();
    clipped.set(key, result);
  }
  return result;
}

/** Whether a gesture shows anything over the nodes. */
export function somethingAbove({ connecting, box, cut, guides }: Stage): boolean {
  return Boolean(connecting || box || cut || guides.length);
}

export function paintAbove(context: CanvasRenderingContext2D, stage: Stage, view: Sight, palette: Palette): void {
  const { connecting, box, cut, guides } = stage;
  context.save();
  context.translate(view.x, view.y);
  context.scale(view.zoom, view.zoom);
  if (box) {
    context.fillStyle = palette.get("--accent");
    context.globalAlpha = 0.12;
    context.fillRect(box.x, box.y, box.w, box.h);
    context.globalAlpha = 1;
    context.strokeStyle = palette.get("--accent");
    context.lineWidth = 1 / view.zoom;
    context.strokeRect(box.x, box.y, box.w, box.h);
  }
  if (cut) {
    context.strokeStyle = palette.get("--bad");
    context.lineWidth = 2 / view.zoom;
    context.setLineDash([6 / view.zoom, 4 / view.zoom]);
    context.beginPath();
    context.moveTo(cut[0].x, cut[0].y);
    context.lineTo(cut[1].x, cut[1].y);
    context.stroke();
    context.setLineDash([]);
  }
  context.strokeStyle = palette.get("--accent");
  context.lineWidth = 1 / view.zoom;
  for (const [a, b] of guides) {
    context.beginPath();
    context.moveTo(a.x, a.y);
    context.lineTo(b.x, b.y);
    context.stroke();
  }
  if (connecting) {
    const dot = connecting.port.lastIndexOf(".");
    const node = stage.geometry.nodes.get(connecting.port.slice(0, dot));
    const name = connecting.port.slice(dot + 1);
    const place = connecting.side === "output" ? node?.layout.outputs[name] : node?.layout.inputs[name];
    if (node && place) {
      const fixed = { x: node.rect.x + place.x, y: node.rect.y + place.y };
      const port = (connecting.side === "output" ? node.ports.outputs : node.ports.inputs).find((entry) => entry.name === name);
      const [a, b] = connecting.side === "output" ? [fixed, connecting.at] : [connecting.at, fixed];
      context.beginPath();
      trace(context, linesThrough([a, b], "curved"));
      context.lineWidth = 3 / Math.max(view.zoom, 0.5);
      const refused = connecting.over !== null && !connecting.fits.has(connecting.over);
      context.strokeStyle = palette.get(refused ? "--bad" : typeStyle(port?.type ?? "?").variable);
      context.stroke();
      context.beginPath();
      context.arc(connecting.at.x, connecting.at.y, 5, 0, 7);
      context.fillStyle = context.strokeStyle;
      context.fill();
    }
  }
  context.restore();
}

export function round(context: CanvasRenderingContext2D, rect: Rect, radius: number): void {
  context.beginPath();
  context.roundRect(rect.x, rect.y, rect.w, rect.h, radius);
}
