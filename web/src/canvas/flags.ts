/** Links that are shown as names: where their flags stand, how they are painted, and where a click on one leads. */

import * as m from "../graph";
import { saidName } from "../i18n";
import { edit, select, selectedNodes, toggleSelected } from "../state/edits";
import { activeScene, activeTab, useApp } from "../state/store";
import { typeStyle } from "../ui/typeStyle";
import { type Geometry, inside, type Wire } from "./geometry";
import type { Look, Palette, Sight } from "./paint";
import { type Stage, stage } from "./stage";
import { view } from "./view";

export interface Flag {
  end: "from" | "to";
  text: string;
  rect: m.Rect;
  /** Its socket. */
  at: m.Point;
  /** All links of an output; one of an input. */
  wires: readonly Wire[];
}

type End = Flag["end"];

const HEIGHT = 20;
const GAP = 12;
const FONT = "600 11px Inter, system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK SC', sans-serif";
/** Further out no name could be read; a flag without one stands for it, and none below the second. */
const READABLE = 0.36;
const SEEN = 0.12;

let ruler: CanvasRenderingContext2D | null | undefined;
const widths = new Map<string, number>();

function widthOf(text: string): number {
  let width = widths.get(text);
  if (width === undefined) {
    ruler ??= document.createElement("canvas").getContext("2d");
    if (ruler) ruler.font = FONT;
    width = Math.ceil((ruler?.measureText(text).width ?? 7 * text.length) + 16);
    widths.set(text, width);
  }
  return width;
}

const known = new WeakMap<Geometry, Flag[]>();

export function flagsOf(geometry: Geometry): readonly Flag[] {
  let flags = known.get(geometry);
  if (!flags) known.set(geometry, (flags = laidOut(geometry)));
  return flags;
}

function laidOut({ flagged }: Geometry): Flag[] {
  const flags: Flag[] = [];
  const outputs = new Map<string, Wire[]>();
  const taken = new Map<string, number>();
  for (const wire of flagged) {
    const name = m.flagOf(wire.link);
    const key = `${wire.link.from}\n${name}`;
    outputs.set(key, [...(outputs.get(key) ?? []), wire]);
    const text = `▸ ${name}`;
    const w = widthOf(text);
    // Those of one list stand one behind the other.
    const before = taken.get(wire.link.to) ?? 0;
    taken.set(wire.link.to, before + w + 4);
    const at = wire.points[wire.points.length - 1] as m.Point;
    flags.push({ end: "to", text, at, wires: [wire], rect: { x: at.x - GAP - before - w, y: at.y - HEIGHT / 2, w, h: HEIGHT } });
  }
  const given = new Map<string, number>();
  for (const wires of outputs.values()) {
    const [first] = wires as [Wire];
    const text = `${m.flagOf(first.link)} ▸`;
    const w = widthOf(text);
    const before = given.get(first.link.from) ?? 0;
    given.set(first.link.from, before + w + 4);
    const at = first.points[0] as m.Point;
    flags.push({ end: "from", text, at, wires, rect: { x: at.x + GAP + before, y: at.y - HEIGHT / 2, w, h: HEIGHT } });
  }
  return spread(flags);
}

const APART = HEIGHT + 3;

/** Sockets of a collapsed node lie closer together than flags are high: theirs fan out, in the order of the sockets. */
function spread(flags: Flag[]): Flag[] {
  const sides = new Map<string, Map<number, Flag[]>>();
  for (const flag of flags) {
    const key = `${flag.end} ${flag.wires[0]?.[flag.end] ?? ""}`;
    const rows = sides.get(key) ?? new Map<number, Flag[]>();
    sides.set(key, rows.set(flag.at.y, [...(rows.get(flag.at.y) ?? []), flag]));
  }
  for (const rows of sides.values()) {
    const heights = [...rows.keys()].sort((a, b) => a - b);
    if (!heights.some((y, index) => index > 0 && y - (heights[index - 1] as number) < HEIGHT)) continue;
    const middle = ((heights[0] as number) + (heights[heights.length - 1] as number)) / 2;
    heights.forEach((y, index) => {
      for (const { rect } of rows.get(y) ?? []) rect.y = middle + (index - (heights.length - 1) / 2) * APART - HEIGHT / 2;
    });
  }
  return flags;
}

export function flagAt(geometry: Geometry, at: m.Point): Flag | undefined {
  if (view.zoom < SEEN || !geometry.flagged.length) return undefined;
  return flagsOf(geometry).findLast(({ rect }) => inside({ x: rect.x - 2, y: rect.y - 2, w: rect.w + 4, h: rect.h + 4 }, at));
}

/** Whether the wire of a link that is shown as a name is drawn now: while somebody looks at it. */
export const isLit = (wire: Wire, { hoverFlag }: Stage, look: Look): boolean => look.selection.has(m.linkKey(wire.id)) || (hoverFlag?.has(wire.id) ?? false);

export function paintFlags(context: CanvasRenderingContext2D, stage: Stage, { zoom }: Sight, palette: Palette, look: Look, seen: m.Rect): void {
  if (zoom < SEEN || !stage.geometry.flagged.length) return;
  context.font = FONT;
  context.textBaseline = "middle";
  for (const { end, text, wires, rect, at } of flagsOf(stage.geometry)) {
    const [first] = wires as [Wire];
    if (wires.length === 1 && stage.connecting?.lifted === first.id) continue;
    const offset = stage.offsetOf(first[end]);
    const box = { ...rect, x: rect.x + offset.x, y: rect.y + offset.y };
    if (!m.overlaps(box, seen)) continue;
    const lit = wires.some((wire) => isLit(wire, stage, look));
    const color = palette.get(typeStyle(first.type).variable);
    const quiet = wires.every((wire) => look.modeOf(wire.from) === "mute" || look.modeOf(wire.to) === "mute");
    context.globalAlpha = quiet ? 0.35 : 1;
    // The thread between socket and flag.
    context.strokeStyle = color;
    context.lineWidth = 2;
    context.beginPath();
    const y = box.y + HEIGHT / 2;
    context.moveTo(at.x + offset.x, at.y + offset.y);
    context.lineTo(end === "from" ? box.x : box.x + box.w, y);
    context.stroke();
    context.beginPath();
    context.roundRect(box.x, box.y, box.w, box.h, 5);
    context.fillStyle = palette.get(lit ? "--field-2" : "--node");
    context.fill();
    context.strokeStyle = lit ? palette.get("--accent") : color;
    context.lineWidth = lit ? 2.5 : 1.5;
    context.stroke();
    if (zoom >= READABLE) {
      context.fillStyle = palette.get("--text");
      context.fillText(text, box.x + 8, y + 0.5);
    }
    context.globalAlpha = 1;
  }
}

export function hoverFlag(at: m.Point | undefined): void {
  const flag = at && flagAt(stage.geometry, at);
  const same = flag ? stage.hoverFlag?.size === flag.wires.length && flag.wires.every(({ id }) => stage.hoverFlag?.has(id)) : stage.hoverFlag === null;
  if (same) return;
  stage.hoverFlag = flag ? new Set(flag.wires.map(({ id }) => id)) : null;
  stage.invalidate();
}

const keysOf = ({ wires }: Flag) => wires.map(({ id }) => m.linkKey(id));

/** Goes to the other end, or shows where it could go; with Shift or Ctrl it is only chosen. */
export function clickFlag(event: PointerEvent, flag: Flag): void {
  if (event.shiftKey || event.ctrlKey || event.metaKey) {
    keysOf(flag).forEach(toggleSelected);
    return;
  }
  select(keysOf(flag));
  leadFrom(flag.wires, flag.end, { x: event.clientX, y: event.clientY });
}

export function chooseFlag(flag: Flag): void {
  if (!keysOf(flag).every((key) => activeTab().selection.includes(key))) select(keysOf(flag));
}

function leadFrom(wires: readonly Wire[], end: End, screen: m.Point): void {
  const other = end === "from" ? "to" : "from";
  const [only] = wires;
  if (wires.length === 1 && only) goTo(only.id, other);
  else if (wires.length) useApp.setState({ overlay: { kind: "menu", screen, items: wires.map((wire) => `go:${other}:${wire.id}`) } });
}

/** Chooses a link, which draws its wire, and shows the end. */
export function goTo(id: string, end: End): void {
  const wire = stage.geometry.flagged.find((candidate) => candidate.id === id);
  const at = wire?.points[end === "from" ? 0 : wire.points.length - 1];
  if (!wire || !at) return;
  select([m.linkKey(id)]);
  view.centerOn(at);
}

/** The links that a command for links means: those that are selected, else all that leave the selected nodes. */
export function linksMeant(): string[] {
  const chosen = activeTab().selection.filter((key) => m.keyKind(key) === "link").map(m.keyId);
  if (chosen.length) return chosen;
  const nodes = new Set([...selectedNodes(), ...activeTab().selection.filter(m.isBorder)]);
  return m.linksOf(activeScene()).filter((link) => nodes.has(m.splitPort(link.from).node)).map(m.linkId);
}

export const linksFrom = (port: string): string[] => m.linksOf(activeScene()).filter((link) => link.from === port).map(m.linkId);

export function areFlags(ids: readonly string[]): boolean {
  const flagged = new Set(stage.geometry.flagged.map(({ id }) => id));
  return ids.length > 0 && ids.every((id) => flagged.has(id));
}

export function toggleFlags(ids: readonly string[]): void {
  edit("flag", (scene) => m.toggleFlags(scene, ids, (from) => saidName(m.splitPort(from).port)));
}

/** Links shown as names that begin or end where something is selected. */
function flagsMeant(): { wires: Wire[]; end: End } | undefined {
  const { flagged } = stage.geometry;
  const { selection } = activeTab();
  const chosen = flagged.filter(({ id }) => selection.includes(m.linkKey(id)));
  if (chosen.length) {
    // From the end that is nearer to what is looked at.
    const middle = view.toGraph(view.center);
    const far = ({ x, y }: m.Point) => Math.hypot(x - middle.x, y - middle.y);
    const { points } = chosen[0] as Wire;
    return { wires: chosen, end: far(points[0] as m.Point) <= far(points[points.length - 1] as m.Point) ? "from" : "to" };
  }
  for (const end of ["from", "to"] as const) {
    const wires = flagged.filter((wire) => selection.includes(wire[end]));
    if (wires.length) return { wires, end };
  }
  return undefined;
}

export const hasOtherEnd = (): boolean => flagsMeant() !== undefined;

export function toOtherEnd(): void {
  const meant = flagsMeant();
  if (meant) leadFrom(meant.wires, meant.end, view.center);
}
