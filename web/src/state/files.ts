/** Files of the input and output folders, and files that arrive from outside. */

import { fetchBlob, fileUrl, call } from "../api/client";
import type { Uploaded } from "../api/types";
import { t } from "../i18n";
import { errorText } from "../i18n/problems";
import * as m from "../graph";
import { openFile, openUnchanged, placed } from "./documents";
import { edit } from "./edits";
import { toast, useApp } from "./store";

export async function refreshFiles(): Promise<void> {
  const page = await call("GET /files/{folder}", { path: { folder: "input" }, query: { limit: 200 } });
  useApp.setState({ files: page.files });
}

export async function uploadFile(file: File): Promise<Uploaded> {
  const answer = await call("POST /files/input", { query: { name: file.name || "pasted.png" }, body: file });
  void refreshFiles();
  return answer;
}

/** The name under which an image is dragged inside the editor. */
export const DRAG_OUTPUT = "application/x-safelight-output";
export const DRAG_NODE = "application/x-safelight-node";
export const DRAG_MODEL = "application/x-safelight-model";

export async function receiveDrop(event: DragEvent, at: m.Point): Promise<void> {
  const data = event.dataTransfer;
  if (!data) return;
  const type = data.getData(DRAG_NODE);
  if (type) return addNodeAt(type, at);
  const model = data.getData(DRAG_MODEL);
  if (model) return addModel(JSON.parse(model) as { name: string; kind: string }, at);
  const output = data.getData(DRAG_OUTPUT);
  if (output) return void (await loadOutput(output, at));
  const file = data.files[0];
  if (file) return receiveFile(file, at);
  const part = m.readPart(data.getData("text/plain"));
  if (part) paste(part, at);
}

/** A file dropped or pasted: a workflow is opened; an image or video with one in it asks; another is loaded. */
export async function receiveFile(file: File, at: m.Point): Promise<void> {
  const medium = useApp.getState().catalogue.media.of(file.type, file.name);
  if (!medium || medium.view === "text") {
    await openFile(file);
    return;
  }
  if (await holdsWorkflow(file)) useApp.setState({ overlay: { kind: "drop", file, at } });
  else await loadImage(file, at);
}

async function holdsWorkflow(file: File): Promise<boolean> {
  try {
    await call("POST /open", { body: file });
    return true;
  } catch {
    return false;
  }
}

/** Uploads a file and makes a node that loads it. */
export async function loadImage(file: File | Promise<File>, at: m.Point): Promise<void> {
  try {
    const answer = await uploadFile(await file);
    addLoader(answer.file.name, answer.file.media_type, at);
  } catch (error) {
    toast(t("file.failed", { message: errorText(error) }), "error");
  }
}

function addLoader(name: string, mediaType: string, at: m.Point): void {
  const { catalogue } = useApp.getState();
  const kind = catalogue.media.of(mediaType)?.name;
  const picks = (spec: m.NodeSpec) => spec.inputs.find((input) => input.widget?.widget === "file" && input.widget.kind === kind);
  const spec = catalogue.nodes.find((one) => one.id === `${kind}.load` && picks(one)) ?? catalogue.nodes.find(picks);
  const port = spec && picks(spec);
  if (!spec || !port) return toast(t("file.noLoader", { name }), "error");
  let id = "";
  edit(
    "load",
    (scene) => {
      id = m.addNode(scene, spec.id, at);
      m.setValue(scene.graph, id, port.name, name);
    },
    { select: () => [id] },
  );
}

/** Adds a node with its title under `at`. */
export function addNodeAt(type: string, at: m.Point): void {
  let id = "";
  edit("add", (scene) => void (id = m.addNode(scene, type, { x: at.x - m.WIDTH / 2, y: at.y - 20 })), { select: () => [id] });
}

/** Makes the node that loads models of this kind, with this one chosen. */
export function addModel({ name, kind }: { name: string; kind: string }, at: m.Point): void {
  const { catalogue } = useApp.getState();
  for (const spec of catalogue.nodes) {
    const port = spec.inputs.find((input) => input.widget?.widget === "model" && input.widget.kind === kind);
    if (!port) continue;
    let id = "";
    edit(
      "load",
      (scene) => {
        id = m.addNode(scene, spec.id, { x: at.x - m.WIDTH / 2, y: at.y - 20 });
        m.setValue(scene.graph, id, port.name, name);
      },
      { select: () => [id] },
    );
    return;
  }
  toast(t("model.noLoader", { kind }), "error");
}

/** An image of the gallery becomes an input: a copy of it in the input folder. */
export async function loadOutput(name: string, at: m.Point): Promise<void> {
  await loadImage(outputFile(name), at);
}

/** Raises ApiError where the image is gone, Unreachable without a server. */
export async function outputFile(name: string): Promise<File> {
  const blob = await fetchBlob(fileUrl("output", name));
  return new File([blob], name.split("/").pop() ?? name, { type: blob.type });
}

export function paste(part: m.Document, at: m.Point, outside: { from: string; to: string }[] = []): void {
  let keys: string[] = [];
  edit("paste", (scene) => void (keys = m.pastePart(scene, part, at, outside)), { select: () => keys });
}

export async function openText(text: string): Promise<boolean> {
  const part = m.readPart(text);
  if (part) openUnchanged(await placed(part));
  return part !== undefined;
}
