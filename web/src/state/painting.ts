/** What is painted on, and where the result goes: a mask into the node that reads it, a crop into the one that loads. */

import { create } from "zustand";
import { ApiError, call, fetchBlob, fileUrl } from "../api/client";
import * as m from "../graph";
import { NO_MARKS, type Marks } from "./marks";
import { openTab, placed } from "./documents";
import { edit } from "./edits";
import { uploadFile } from "./files";
import { run } from "./runs";
import { activeGraph, activeScene, activeTab, type PaintSource, useApp } from "./store";

/** Marks of images that are not finished: closing the painter loses none. By image and mask. */
export const useDrafts = create<{ drafts: Record<string, Marks> }>()(() => ({ drafts: {} }));

export const draftKey = (source: PaintSource) => `${source.image}|${source.mask}|${source.field}`;
export const draftOf = (source: PaintSource) => useDrafts.getState().drafts[draftKey(source)] ?? NO_MARKS;

export function keepDraft(source: PaintSource, marks: Marks): void {
  useDrafts.setState(({ drafts }) => {
    const { [draftKey(source)]: _, ...rest } = drafts;
    return { drafts: marks.done.length ? { ...rest, [draftKey(source)]: marks } : rest };
  });
}

export function openPainter(source: PaintSource): void {
  useApp.setState({ overlay: { kind: "painter", source } });
}

/** Opens the painter on an image by its address: a result in a node, in the gallery, in the viewer. */
export function paintImage(address: string, title = "image.png", origin?: m.Document): void {
  const { folder, name = title } = fileAt(address);
  openPainter({ image: address, name, input: folder === "input" ? name : null, mask: null, field: null, forMask: false, ...(origin ? { origin } : {}) });
}

/** The file that an address gives, where it is one of a folder. */
function fileAt(address: string): { folder?: string; name?: string } {
  const [, folder, name] = /\/files\/(input|output)\/(.+)$/.exec(new URL(address, location.href).pathname) ?? [];
  return folder && name ? { folder, name: decodeURIComponent(name) } : {};
}

/** The name in the input folder of what an address shows: its own, or that of a copy. */
export async function inputOf(address: string, title = "image.png"): Promise<string> {
  const { folder, name = title } = fileAt(address);
  if (folder === "input") return name;
  const blob = await fetchBlob(address);
  return (await uploadFile(new File([blob], name.split("/").at(-1) ?? title, { type: blob.type }))).file.name;
}

/** Opens the painter on an image that a node shows: of its field, if that is where it comes from. */
export function paintShown(node: string, address: string, title: string): void {
  const { graph, catalogue } = activeScene();
  const field = catalogue.get(graph.nodes[node]?.type ?? "")?.inputs.find(({ name, widget }) => {
    const value = graph.nodes[node]?.values?.[name];
    return widget?.widget === "file" && typeof value === "string" && fileUrl("input", value) === address;
  });
  if (field) paintField(node, field.name);
  else paintImage(address, title, activeTab().runDocument ?? undefined);
}

/** Opens the painter from the file field of a node. */
export function paintField(node: string, port: string): void {
  const graph = activeGraph();
  const widget = fileWidget(node, port);
  const value = graph.nodes[node]?.values?.[port];
  const file = typeof value === "string" && value ? value : null;
  const field = m.joinPort(node, port);
  if (widget !== "mask") {
    if (file) openPainter({ image: fileUrl("input", file), name: file, input: file, mask: null, field, forMask: false });
    return;
  }
  const below = imageUnder(node);
  openPainter({
    image: below && fileUrl("input", below),
    name: below ?? file ?? "mask.png",
    input: below,
    mask: file && fileUrl("input", file),
    field,
    forMask: true,
  });
}

/** Whether there is anything to paint on behind a file field. */
export function isPaintable(node: string, port: string, value: unknown): boolean {
  const widget = fileWidget(node, port);
  if (widget === "image") return Boolean(value);
  return widget === "mask" && (Boolean(value) || imageUnder(node) !== null);
}

/** A mask that was painted: into its node, or a new one that is connected where the image goes and a mask is missing. */
export async function putMask(source: PaintSource, mask: Blob): Promise<void> {
  const { file } = await uploadFile(new File([mask], `masks/${stemOf(source)}_mask.png`, { type: "image/png" }));
  if (source.forMask && source.field) {
    const { node, port } = m.splitPort(source.field);
    edit("mask", ({ graph }) => m.setValue(graph, node, port, file.name));
    return;
  }
  const input = source.input ?? (await inputOf(source.image ?? "", source.name));
  let made = "";
  edit("mask", (scene) => void (made = placeMask(scene, source, input, file.name)), { select: () => [made] });
}

/** Pixels of the longer side at most that a part is painted in, where nothing tells what the model likes. */
const PART = 1536;

/** A tab of its own, in which the masked part of the image is painted again as its workflow would, and runs at once. */
export async function runHere(source: PaintSource, mask: Blob, size: { width: number; height: number }): Promise<void> {
  const input = source.input ?? (await inputOf(source.image ?? "", source.name));
  const { file } = await uploadFile(new File([mask], `masks/${stemOf(source)}_mask.png`, { type: "image/png" }));
  const [template, origin] = await Promise.all([call("GET /templates/{name}", { path: { name: "crop_and_stitch" } }), originOf(source)]);
  const factor = Math.min(1, PART / Math.max(size.width, size.height));
  const part = { width: Math.round(size.width * factor), height: Math.round(size.height * factor) };
  const document = m.repaint(m.asDocument(template), origin, useApp.getState().catalogue, input, file.name, part);
  openTab({ document: await placed(document) });
  useApp.setState({ form: true, panel: null });
  await run();
}

/** The workflow that made an image: known by the page, or carried by the file. */
async function originOf(source: PaintSource): Promise<m.Document | null> {
  if (source.origin) return source.origin;
  try {
    return m.asDocument((await call("POST /open", { body: await fetchBlob(source.image ?? "") })).document);
  } catch (error) {
    if (error instanceof ApiError) return null;
    throw error;
  }
}

const stemOf = (source: PaintSource) => source.name.split("/").at(-1)?.replace(/\.\w+$/, "").replace(/_mask$/, "") ?? "image";

/** A crop or cut-out: into the field that it came from, or a new node that loads it. */
export async function putImage(source: PaintSource, image: Blob, how: "crop" | "cutout"): Promise<void> {
  const stem = source.name.split("/").at(-1)?.replace(/\.\w+$/, "") ?? "image";
  const { file } = await uploadFile(new File([image], `${stem}_${how}.png`, { type: "image/png" }));
  const { node, port } = m.splitPort(source.field ?? ".");
  let made = node;
  edit(
    how,
    (scene) => {
      if (source.field) m.setValue(scene.graph, node, port, file.name);
      else made = addLoader(scene, "image", file.name, freePlace(scene.graph));
    },
    { select: () => [made] },
  );
}

function fileWidget(node: string, port: string): string | null {
  const { catalogue } = useApp.getState();
  const type = activeGraph().nodes[node]?.type ?? "";
  const widget = catalogue.get(type)?.inputs.find((input) => input.name === port)?.widget;
  return widget?.widget === "file" ? widget.kind : null;
}

/** The port of a node that picks a file of a kind. */
function filePort(spec: m.NodeSpec | undefined, kind: "image" | "mask"): string | undefined {
  return spec?.inputs.find((input) => input.widget?.widget === "file" && input.widget.kind === kind)?.name;
}

/** The image that a mask belongs to: that of a node which takes both, else the one that it was painted on. */
function imageUnder(mask: string): string | null {
  const { graph, catalogue } = activeScene();
  for (const link of graph.links) {
    if (m.splitPort(link.from).node !== mask) continue;
    const taker = m.splitPort(link.to).node;
    for (const other of graph.links) {
      const giver = m.splitPort(other.from).node;
      const port = m.splitPort(other.to).node === taker ? filePort(catalogue.get(graph.nodes[giver]?.type ?? ""), "image") : undefined;
      const value = port && graph.nodes[giver]?.values?.[port];
      if (typeof value === "string" && value) return value;
    }
  }
  const over = m.lookOf(graph, mask).over;
  return typeof over === "string" ? over : null;
}

/** Gives a mask to the node that holds the mask of this image, or makes one. Returns its id. */
function placeMask(scene: m.Scene, source: PaintSource, input: string, mask: string): string {
  const { graph, catalogue } = scene;
  const own = source.field ? m.splitPort(source.field).node : loaderOf(scene, input);
  const image = own ?? addLoader(scene, "image", input, freePlace(graph));
  for (const id of Object.keys(graph.nodes)) {
    const port = filePort(catalogue.get(graph.nodes[id]?.type ?? ""), "mask");
    if (port && belongs(graph, id, image, input)) {
      m.setValue(graph, id, port, mask);
      return id;
    }
  }
  const look = m.lookOf(graph, image);
  const made = addLoader(scene, "mask", mask, { x: look.x, y: look.y + 400 });
  m.touchLook(graph, made).over = input;
  const takers = new Set(graph.links.filter((link) => m.splitPort(link.from).node === image).map((link) => m.splitPort(link.to).node));
  const output = catalogue.get(graph.nodes[made]?.type ?? "")?.outputs[0];
  for (const taker of takers) {
    const free = catalogue
      .get(graph.nodes[taker]?.type ?? "")
      ?.inputs.filter((port) => port.type === output?.type && !graph.links.some((link) => link.to === m.joinPort(taker, port.name)));
    for (const port of free ?? []) m.connect(scene, m.joinPort(made, output?.name ?? ""), m.joinPort(taker, port.name));
  }
  return made;
}

/** Whether a mask's node goes with an image's: wired to the same node, or painted on that image and wired to none. */
function belongs(graph: m.Graph, mask: string, image: string, input: string): boolean {
  const takersOf = (id: string) => graph.links.filter((link) => m.splitPort(link.from).node === id).map((link) => m.splitPort(link.to).node);
  const takers = takersOf(mask);
  return takers.length ? takersOf(image).some((id) => takers.includes(id)) : m.lookOf(graph, mask).over === input;
}

/** The node that loads this file. */
function loaderOf({ graph, catalogue }: m.Scene, file: string): string | undefined {
  return Object.keys(graph.nodes).find((id) => {
    const port = filePort(catalogue.get(graph.nodes[id]?.type ?? ""), "image");
    return port !== undefined && graph.nodes[id]?.values?.[port] === file;
  });
}

function addLoader(scene: m.Scene, kind: "image" | "mask", file: string, at: m.Point): string {
  const spec = scene.catalogue.nodes.find((candidate) => filePort(candidate, kind));
  if (!spec) return "";
  const id = m.addNode(scene, spec.id, at);
  m.setValue(scene.graph, id, filePort(spec, kind) ?? "", file);
  return id;
}

/** Left of everything, where inputs belong. */
function freePlace(graph: m.Graph): m.Point {
  const looks = Object.keys(graph.nodes).map((id) => m.lookOf(graph, id));
  if (!looks.length) return { x: 0, y: 0 };
  return { x: Math.min(...looks.map((look) => look.x)) - 360, y: Math.min(...looks.map((look) => look.y)) };
}
