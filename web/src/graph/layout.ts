/**
 * The geometry of a node, from its spec alone: its size, its rows and the places of its sockets, relative to its top
 * left corner. The page and the far view both draw by it, so that they agree to the pixel.
 */

import type { InputSpec, Widget } from "./catalogue";
import type { NodeLook, Point } from "./document";
import { fieldRows } from "./fields";
import type { NodePorts } from "./ports";

export const HEADER = 34;
export const SOCKET_ROW = 24;
export const WIDGET_ROW = 32;
export const TEXT_ROW = 92;
export const ITEMS_ROW = 64;
export const PREVIEW = 240;
export const PREVIEW_MIN = 80;
export const CURVE = 120;
export const VALUES = 40;
export const MESSAGE = 44;
export const HEADING = 22;
export const PADDING = 6;
export const WIDTH = 240;
export const WIDE = 300;
export const MIN_WIDTH = 160;
export const GRID = 20;

export interface Row {
  kind: "sockets" | "widget" | "group" | "fold" | "preview" | "message";
  y: number;
  h: number;
  input?: string;
  output?: string;
  /** Of a group. */
  label?: string;
  /** Of a fold: how many fields it hides, or would hide if it were closed. */
  hidden?: number;
}

export interface NodeLayout {
  w: number;
  h: number;
  rows: Row[];
  inputs: Record<string, Point>;
  outputs: Record<string, Point>;
}

/** What a layout depends on beside ports and look. */
export interface LayoutOptions {
  /** Inputs of widgets that are shown as sockets: linked ones and those that the user turned into sockets. */
  sockets: ReadonlySet<string>;
  /** What is shown of the result, if anything. */
  result: ResultKind | null;
  values?: Readonly<Record<string, unknown>> | undefined;
  linked?: ReadonlySet<string> | undefined;
  /** Inputs that are in the form. */
  exposed?: ReadonlySet<string> | undefined;
}

export type ResultKind = "image" | "curve" | "values";

export function layoutNode(ports: NodePorts, look: NodeLook, options: LayoutOptions): NodeLayout {
  const lead = ports.inputs.filter((input) => input.socket);
  const w = Math.max(MIN_WIDTH, look.w ?? defaultWidth(ports));
  const inputs: Record<string, Point> = {};
  const outputs: Record<string, Point> = {};
  const rows: Row[] = [];

  if (look.collapsed) {
    // All wires of a collapsed node end at its header, in order, so that they stay apart.
    spread(ports.inputs.filter((input) => input.socket || options.sockets.has(input.name)), inputs, 0);
    spread(ports.outputs, outputs, w);
    return { w, h: HEADER, rows, inputs, outputs };
  }

  let y = HEADER + PADDING;
  for (let i = 0; i < Math.max(lead.length, ports.outputs.length); i++) {
    const input = lead[i]?.name;
    const output = ports.outputs[i]?.name;
    rows.push({ kind: "sockets", y, h: SOCKET_ROW, input, output });
    if (input !== undefined) inputs[input] = { x: 0, y: y + SOCKET_ROW / 2 };
    if (output !== undefined) outputs[output] = { x: w, y: y + SOCKET_ROW / 2 };
    y += SOCKET_ROW;
  }
  const { values, linked, exposed = [] } = options;
  const fields = fieldRows(ports, { values, linked, kept: new Set([...options.sockets, ...exposed]), open: look.advanced });
  if (rows.length && fields.length) y += 4;
  for (const field of fields) {
    if (field.kind !== "field") {
      rows.push(field.kind === "group" ? { kind: "group", y, h: HEADING, label: field.label } : { kind: "fold", y, h: HEADING, hidden: field.hidden });
      y += HEADING;
      continue;
    }
    const { input } = field;
    const turned = options.sockets.has(input.name);
    const h = turned ? SOCKET_ROW : widgetHeight(input.widget);
    rows.push({ kind: "widget", y, h, input: input.name });
    inputs[input.name] = { x: 0, y: y + (h > WIDGET_ROW ? SOCKET_ROW : h) / 2 };
    y += h;
  }
  if (ports.missing) {
    rows.push({ kind: "message", y, h: MESSAGE });
    y += MESSAGE;
  }
  if (options.result) {
    const image = Math.max(PREVIEW_MIN, Math.round(w * (PREVIEW / WIDTH)));
    const h = { image, curve: CURVE, values: VALUES }[options.result];
    rows.push({ kind: "preview", y, h });
    y += h;
  }
  y += PADDING;
  const wanted = look.h ?? 0;
  if (wanted > y) {
    y = stretch(rows, inputs, ports.inputs, options.sockets, wanted - y) ? wanted : y;
  }
  return { w, h: y, rows, inputs, outputs };
}

/** Gives the extra height of a resized node to what can use it: the preview, else the first large text. */
function stretch(
  rows: Row[],
  inputs: Record<string, Point>,
  specs: readonly InputSpec[],
  sockets: ReadonlySet<string>,
  extra: number,
): boolean {
  const byName = new Map(specs.map((input) => [input.name, input]));
  const growing =
    rows.findLast((row) => row.kind === "preview") ??
    rows.find((row) => row.kind === "widget" && row.input && !sockets.has(row.input) && isTall(byName.get(row.input)));
  if (!growing) return false;
  growing.h += extra;
  for (const row of rows.slice(rows.indexOf(growing) + 1)) {
    row.y += extra;
    const place = row.input !== undefined ? inputs[row.input] : undefined;
    if (place) place.y += extra;
  }
  return true;
}

function isTall(input: InputSpec | undefined): boolean {
  return input?.widget?.widget === "text" && input.widget.multiline;
}

export function defaultWidth(ports: NodePorts): number {
  const wide = ports.inputs.some((input) => isTall(input) || input.widget?.widget === "model");
  return wide ? WIDE : WIDTH;
}

export function widgetHeight(widget: Widget | null): number {
  if (widget?.widget === "text" && widget.multiline) return TEXT_ROW;
  return widget?.widget === "items" ? ITEMS_ROW : WIDGET_ROW;
}

function spread(ports: readonly { name: string }[], places: Record<string, Point>, x: number): void {
  ports.forEach((port, index) => {
    places[port.name] = { x, y: (HEADER * (index + 1)) / (ports.length + 1) };
  });
}
