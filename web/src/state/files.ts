/** Files of the input and output folders, and files that arrive from outside. */

import { reached } from "../api/base";
import { ApiError, call, fetchBlob } from "../api/client";
import type { Uploaded } from "../api/types";
import { t } from "../i18n";
import { errorText } from "../i18n/problems";
import * as m from "../graph";
import { openFile, openUnchanged, placed } from "./documents";
import { edit } from "./edits";
import { addKept, DRAG_SNIPPET } from "./library";
import { toast, useApp } from "./store";

export async function refreshFiles(): Promise<void> {
  const page = await call("GET /files/{folder}", { path: { folder: "input" }, query: { limit: 200 } });
  useApp.setState({ files: page.files });
}

export async function uploadFile(file: File, folder = ""): Promise<Uploaded> {
  const answer = await call("POST /files/input", { query: { name: folder + (file.name || "pasted.png") }, body: file });
  void refreshFiles();
  return answer;
}

/** What lists the captions of all images beside it. */
const METADATA = "metadata.jsonl";
/** Milliseconds until an upload is tried again of which the server had too many at once. */
const BREATH = 1000;

/** Files that belong together, into a folder of their own. Gives the name of the one that stands for them all. */
export async function uploadTogether(files: readonly File[]): Promise<string> {
  const [day, time] = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "").split("T");
  const folder = `images_${day}_${time}/`;
  const names = new Map<string, Uploaded>();
  for (const file of [...files].sort((one, other) => one.name.localeCompare(other.name))) names.set(file.name, await uploadPatiently(file, folder));
  const all = [...names.values()].map(({ file }) => file);
  const first = names.get(METADATA)?.file ?? all.find((file) => file.media_type.startsWith("image/")) ?? all[0];
  return first?.name ?? "";
}

async function uploadPatiently(file: File, folder: string): Promise<Uploaded> {
  for (;;) {
    try {
      return await uploadFile(file, folder);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 429)) throw error;
      await new Promise((done) => setTimeout(done, BREATH));
    }
  }
}

/** An image that is dragged inside the editor: its address and name. */
export const DRAG_IMAGE = "application/x-safelight-image";
export const DRAG_NODE = "application/x-safelight-node";
export const DRAG_MODEL = "application/x-safelight-model";

export async function receiveDrop(event: DragEvent, at: m.Point): Promise<void> {
  const data = event.dataTransfer;
  if (!data) return;
  const type = data.getData(DRAG_NODE);
  if (type) return void addNodeAt(type, at);
  const snippet = data.getData(DRAG_SNIPPET);
  if (snippet) return addKept(snippet, { x: at.x - m.WIDTH / 2, y: at.y - 20 });
  const model = data.getData(DRAG_MODEL);
  if (model) return addModel(JSON.parse(model) as { name: string; kind: string }, at);
  const image = draggedImage(data);
  if (image) return void (await loadImage(image, at));
  if (data.files.length) return receiveFiles([...data.files], at);
  const part = m.readPart(data.getData("text/plain"));
  if (part) paste(part, at);
}

const COLUMNS = 5;

/** Several at once: images and other media are loaded beside each other without a question, workflows get a tab each. */
export async function receiveFiles(files: readonly File[], at: m.Point): Promise<void> {
  if (files.length === 1 && files[0]) return receiveFile(files[0], at);
  const tab = useApp.getState().active;
  const loaded = files.filter((file) => !opens(file));
  for (const [index, file] of loaded.entries()) {
    await loadImage(file, { x: at.x + (index % COLUMNS) * (m.WIDTH + 40), y: at.y + Math.floor(index / COLUMNS) * (m.WIDTH + 160) });
  }
  for (const file of files.filter(opens)) await openFile(file);
  if (loaded.length) useApp.setState({ active: tab });
}

/** Whether a file is a workflow or nothing: it shows nothing by itself. */
function opens(file: File): boolean {
  const medium = useApp.getState().catalogue.media.of(file.type, file.name);
  return !medium || medium.view === "text";
}

/** A file dropped or pasted: a workflow is opened; an image or video with one in it asks; another is loaded. */
export async function receiveFile(file: File, at: m.Point): Promise<void> {
  if (opens(file)) {
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

/** A text pasted: a workflow or settings of another program are opened. Gives whether it was taken for one. */
export async function receiveText(text: string): Promise<boolean> {
  const file = new File([text], "", { type: "text/plain" });
  // What is written as JSON was meant as a workflow: then it is told what is wrong with it.
  if (!text.trimStart().startsWith("{") && !(await holdsWorkflow(file))) return false;
  await openFile(file);
  return true;
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

/** Adds a node with its title under `at`, and returns its id. */
export function addNodeAt(type: string, at: m.Point): string {
  let id = "";
  edit("add", (scene) => void (id = m.addNode(scene, type, { x: at.x - m.WIDTH / 2, y: at.y - 20 })), { select: () => [id] });
  return id;
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

/** An image of the gallery or a result becomes an input: a copy of it in the input folder. */
export const loadShown = (url: string, name: string, at: m.Point): Promise<void> => loadImage(shownFile(url, name), at);

/** Dropped outside of the browser it is saved there. */
export function dragImage(data: DataTransfer, url: string, name: string, mediaType: string): void {
  data.setData(DRAG_IMAGE, JSON.stringify({ url, name }));
  data.setData("DownloadURL", `${mediaType}:${name.split("/").pop() ?? ""}:${new URL(reached(url), location.href).href}`);
}

export function draggedImage(data: DataTransfer): Promise<File> | null {
  const text = data.getData(DRAG_IMAGE);
  if (!text) return null;
  const { url, name } = JSON.parse(text) as { url: string; name: string };
  return shownFile(url, name);
}

/** Raises ApiError where the image is gone, Unreachable without a server. */
async function shownFile(url: string, name: string): Promise<File> {
  const blob = await fetchBlob(url);
  return new File([blob], name.split("/").pop() ?? name, { type: blob.type });
}

export function paste(part: m.Document, at: m.Point, outside: { from: string; to: string }[] = []): void {
  let keys: string[] = [];
  edit("paste", (scene) => void (keys = m.pastePart(scene, part, m.clearCorner(scene.graph, at), outside)), { select: () => keys });
}

export async function openText(text: string): Promise<boolean> {
  const part = m.readPart(text);
  if (part) openUnchanged(await placed(part));
  return part !== undefined;
}
