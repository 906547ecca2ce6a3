/** Paintings: layers of marks, as text in a field of a node. What is on screen follows the document, so undo is the document's. */

import * as m from "../graph";
import { blobUrl, fileUrl } from "../api/client";
import type { Layer, Painting as Written } from "../api/types";
import { editDocument, redo, undo } from "./edits";
import type { Mark, Spot } from "./marks";
import { flatId, resultKey, useResults } from "./status";
import { activeTab, historyOf, type PaintPlace, useApp } from "./store";

export interface PaintLayer {
  name: string;
  opacity: number;
  visible: boolean;
  marks: readonly Mark[];
  /** Of a region of prompts: what it says, how strongly, and the colour that it is shown in. */
  prompt?: string;
  strength?: number;
  color?: string;
}

/** Layers, the lowest first. */
export interface Painting {
  width: number;
  height: number;
  layers: readonly PaintLayer[];
}

/** What lies below, and how large the painting is. */
export interface Ground {
  image: string | null;
  width: number;
  height: number;
  background: string;
  /** Its layers are regions of prompts. */
  prompts: boolean;
}

/** Newest last. Going back to a text gives back the same marks, so that what is drawn already stays. */
const known = new Map<string, Painting>();
const KEPT = 200;

function remember(text: string, painting: Painting): Painting {
  known.delete(text);
  known.set(text, painting);
  const oldest = known.keys().next().value;
  if (known.size > KEPT && oldest !== undefined) known.delete(oldest);
  return painting;
}

/** What is no painting, such as an empty text, is an empty one of this size. */
export function readPainting(text: string, width: number, height: number, name: string): Painting {
  const before = known.get(text);
  if (before) return before;
  const empty = { width, height, layers: [{ name, opacity: 1, visible: true, marks: [] }] };
  if (!text) return empty;
  try {
    const given = JSON.parse(text) as Written;
    const layers = (given.layers ?? []).map(readLayer);
    return remember(text, { width: given.width, height: given.height, layers: layers.length ? layers : empty.layers });
  } catch {
    return empty;
  }
}

type WrittenMark = NonNullable<Layer["marks"]>[number];

function readLayer({ name = "", opacity = 1, visible = true, marks = [], prompt = "", strength = 1, color }: Layer): PaintLayer {
  return { name, opacity, visible, marks: marks.map(readMark), prompt, strength, ...(color ? { color } : {}) };
}

function readMark(mark: WrittenMark): Mark {
  const paint = { erase: !mark.color, ...(mark.color ? { color: mark.color } : {}) };
  const parts = (numbers: number[], size: number) => Array.from({ length: Math.floor(numbers.length / size) }, (_, at) => numbers.slice(at * size, (at + 1) * size));
  if (mark.kind === "region") return { kind: "region", ...paint, runs: mark.runs };
  if (mark.kind === "area") return { kind: "area", ...paint, points: parts(mark.points, 2).map(([x, y]) => ({ x: x ?? 0, y: y ?? 0 })) };
  return { kind: "stroke", ...paint, spots: parts(mark.spots, 3).map(([x, y, r]) => ({ x: x ?? 0, y: y ?? 0, r: r ?? 1 })) };
}

export function writePainting(painting: Painting): string {
  const written: Written = { width: painting.width, height: painting.height, layers: painting.layers.map(writeLayer) };
  const text = JSON.stringify(written);
  remember(text, painting);
  return text;
}

/** A layer of a painting says nothing of prompts. */
function writeLayer({ prompt = "", strength = 1, marks, opacity, ...rest }: PaintLayer): Layer {
  const region = { ...(prompt ? { prompt } : {}), ...(strength === 1 ? {} : { strength: Number(strength.toFixed(2)) }) };
  return { ...rest, opacity: Number(opacity.toFixed(2)), marks: marks.flatMap(writeMark), ...region };
}

function writeMark(mark: Mark): WrittenMark[] {
  if (mark.kind !== "stroke" && mark.kind !== "area" && mark.kind !== "region") return [];
  const color = mark.erase ? null : (mark.color ?? "#000000");
  if (mark.kind === "region") return [{ kind: "region", color, runs: mark.runs }];
  if (mark.kind === "area") return [{ kind: "area", color, points: mark.points.flatMap(({ x, y }) => [tenth(x), tenth(y)]) }];
  return [{ kind: "stroke", color, spots: thinned(mark.spots).flatMap(({ x, y, r }) => [tenth(x), tenth(y), tenth(r)]) }];
}

const tenth = (value: number) => Math.round(value * 10) / 10;

/** Places nearer than a tenth of the brush say nothing that is seen. */
function thinned(spots: readonly Spot[]): Spot[] {
  const kept: Spot[] = [];
  spots.forEach((spot, index) => {
    const before = kept.at(-1);
    if (!before || index === spots.length - 1 || Math.hypot(spot.x - before.x, spot.y - before.y) >= Math.max(0.5, spot.r / 10)) kept.push(spot);
  });
  return kept;
}

const graphOf = (document: m.Document, path: readonly string[]) => m.scopesAt(document, path).at(-1);

/** The text of a painting; null where its node is gone. */
export function paintingText({ path, node, port }: PaintPlace, document = activeTab().document): string | null {
  const data = graphOf(document, path)?.nodes[node];
  if (!data) return null;
  const value = data.values?.[port];
  return typeof value === "string" ? value : "";
}

/** One step of undo; those of a group in short succession are one. */
export function putPainting({ path, node, port }: PaintPlace, painting: Painting, group = ""): void {
  const text = writePainting(painting);
  editDocument(
    "paint",
    (draft) => {
      const graph = graphOf(draft, path);
      if (graph) m.setValue(graph, node, port, text);
    },
    group && `paint:${node}.${port}:${group}`,
  );
}

/** Undo of what was painted, and of nothing before it. */
export function undoPaint(): void {
  if (canUndoPaint()) undo();
}

export function redoPaint(): void {
  if (canRedoPaint()) redo();
}

export const canUndoPaint = () => historyOf(activeTab()).canUndo?.label === "paint";
export const canRedoPaint = () => historyOf(activeTab()).canRedo?.label === "paint";

/** The form shows the outer graph, whatever the canvas shows. */
export function openPainting(node: string, port: string): void {
  const { form } = useApp.getState();
  useApp.setState({ overlay: { kind: "painting", place: { path: form ? [] : activeTab().path, node, port } } });
}

/** What a painting lies on: the image that is linked below it, as a file or as it was made last, or a sheet. */
export function groundOf({ path, node, port }: PaintPlace): Ground {
  const { catalogue } = useApp.getState();
  const tab = activeTab();
  const graph = graphOf(tab.document, path);
  const data = graph?.nodes[node];
  const spec = catalogue.get(data?.type ?? "");
  const widget = spec?.inputs.find((input) => input.name === port)?.widget;
  const names = widget?.widget === "paint" ? widget : { image: "", width: "", height: "", background: "", prompts: false };
  const value = (name: string) => data?.values?.[name] ?? spec?.inputs.find((input) => input.name === name)?.default;
  const giver = m.splitPort(graph?.links.find((link) => link.to === m.joinPort(node, names.image))?.from ?? ".").node;
  const given = graph?.nodes[giver];
  const picks = catalogue.get(given?.type ?? "")?.inputs.find((input) => input.widget?.widget === "file" && input.widget.kind === "image");
  const file = picks && given?.values?.[picks.name];
  const result = giver ? useResults.getState().results[resultKey(tab.id, flatId(path, giver))] : undefined;
  const made = (result?.kept ?? result?.files)?.[0];
  return {
    image: typeof file === "string" && file ? fileUrl("input", file) : made ? blobUrl(made.digest) : null,
    width: Number(value(names.width)) || 512,
    height: Number(value(names.height)) || 512,
    background: String(value(names.background) ?? "#ffffff"),
    prompts: names.prompts,
  };
}
