/** Open documents: tabs, opening, saving with revisions, entering subgraphs. */

import { call } from "../api/client";
import type { ImportReport, Run } from "../api/types";
import { said, t } from "../i18n";
import { errorText, problemLine } from "../i18n/problems";
import * as m from "../graph";
import { missingThings } from "./missing";
import { keepClosed, takeClosed } from "./persist";
import { randomId } from "./session";
import { type NodeFile, type Result, resultKey } from "./status";
import { activeTab, histories, newTab, patchTab, type Tab, toast, useApp } from "./store";

export function openTab(part: Partial<Tab> & { document: m.Document }): string {
  const id = randomId();
  const tab = newTab({ id, ...part });
  useApp.setState((state) => {
    // The empty document of a fresh start makes room for the first real one.
    const tabs = state.tabs.filter((other) => !(isBlank(other) && Object.keys(part.document.nodes).length > 0));
    for (const gone of state.tabs) if (!tabs.includes(gone)) histories.delete(gone.id);
    return { tabs: [...tabs, tab], active: id };
  });
  return id;
}

function isBlank(tab: Tab): boolean {
  return !tab.name && !Object.keys(tab.document.nodes).length && !(tab.document.ui?.notes?.length ?? 0) && !histories.get(tab.id)?.canUndo;
}

export function closeTab(id: string): void {
  const { tabs, active } = useApp.getState();
  const index = tabs.findIndex((tab) => tab.id === id);
  const closed = tabs[index];
  if (!closed) return;
  const rest = tabs.filter((tab) => tab.id !== id);
  const next = active === id ? (rest[Math.min(index, rest.length - 1)]?.id ?? "") : active;
  useApp.setState({ tabs: rest, active: next });
  if (!isBlank(closed)) {
    void keepClosed(closed);
    const again = () => void reopenTab(closed.id);
    toast(t("tab.close", { name: tabTitle(closed) }), "info", { label: t("command.undo"), run: again });
  }
  if (!rest.length) openTab({ document: m.emptyDocument() });
}

/** Brings a closed tab back; with its undo, as long as the page has lived on. */
export async function reopenTab(id: string): Promise<void> {
  const closed = await takeClosed(id);
  if (!closed) return;
  const history = histories.get(id);
  const tab = history ? { ...closed, document: history.document, base: closed.base && history.document } : closed;
  if (tab.name && useApp.getState().tabs.some((other) => other.name === tab.name)) Object.assign(tab, { name: "", revision: 0, base: null });
  useApp.setState((state) => ({ tabs: [...state.tabs.filter((other) => !isBlank(other)), tab], active: id }));
}

export function showTab(id: string): void {
  useApp.setState({ active: id, overlay: null });
}

export function tabTitle(tab: Tab): string {
  return tab.name || tab.document.name || t("tab.untitled");
}

export function isUnsaved(tab: Tab): boolean {
  return tab.document !== tab.base && !isBlank(tab);
}

/** What came from elsewhere is still there as long as it is not changed: it need not be saved. */
export function openUnchanged(document: m.Document): string {
  const { catalogue, models } = useApp.getState();
  const missing = missingThings(document, catalogue, models.length ? models : null);
  if (missing.length) {
    const names = [...new Set(missing.map((one) => one.name))].join(", ");
    toast(t("missing.found", { names }), "info", { label: t("missing.what"), run: () => useApp.setState({ panel: "problems" }) });
  }
  return openTab({ document, base: document });
}

/** Another graph with something unsaved in sight is left alone; what is opened gets a tab of its own. */
export async function openWorkflow(name: string): Promise<void> {
  const there = useApp.getState().tabs.find((tab) => tab.name === name);
  if (there) return showTab(there.id);
  await opening(async () => {
    const answer = await call("GET /workflows/{name}", { path: { name } });
    const document = await placed(m.asDocument(answer.document));
    openTab({ document, base: document, name, revision: answer.revision });
  });
}

export async function openTemplate(name: string): Promise<void> {
  await opening(async () => {
    const document = m.asDocument(await call("GET /templates/{name}", { path: { name } }));
    // From here on they are the user's own words.
    for (const node of Object.values(document.nodes)) if (node.title) node.title = said(node.title);
    openUnchanged(await placed(document));
    useApp.setState((state) => ({ panel: state.panel === "templates" ? null : state.panel }));
  });
}

/** Opens a workflow file, or the workflow inside an image. */
export async function openFile(file: Blob): Promise<boolean> {
  return opening(async () => {
    if (file.type === "application/json" || (file instanceof File && file.name.endsWith(".json"))) {
      try {
        openUnchanged(await placed(m.readDocument(await file.text())));
        return;
      } catch (error) {
        if (!(error instanceof m.DocumentError)) throw error;
        // The server knows other programs' formats too.
      }
    }
    const answer = await call("POST /open", { body: file });
    const document = m.asDocument(answer.document);
    if (answer.report && !document.name && file instanceof File) document.name = file.name.replace(/\.[^.]*$/, "");
    openUnchanged(await placed(document));
    for (const problem of answer.problems) toast(problemLine(problem), "error");
    if (answer.report) tellImport(answer.report);
  });
}

/** A workflow that came whole gets a line, another a sheet that names what did not. */
function tellImport(report: ImportReport): void {
  const whole = report.mapped === report.nodes && !report.remarks.length && !report.models.length;
  if (whole) toast(t("import.whole", { program: report.program, nodes: report.nodes }), "info");
  else useApp.setState({ overlay: { kind: "import", report } });
}

/** The example of a node: its small image holds it. */
export async function openExample(type: string): Promise<void> {
  const answer = await fetch(exampleImage(type));
  await openFile(await answer.blob());
}

export const exampleImage = (type: string) => `/api/v1/catalogue/images/${encodeURIComponent(type)}`;

/** The workflow of an image of the gallery: the one that it carries, else that of the run that made it. */
export async function openGalleryItem(id: string): Promise<void> {
  await opening(async () => {
    openUnchanged(await placed(m.asDocument(await call("GET /gallery/{item}/document", { path: { item: id } }))));
    useApp.setState({ form: false });
  });
}

/** What a run ran, with the values that it was given. */
export async function openRun(run: Run): Promise<void> {
  await opening(async () => {
    openUnchanged(await placed(m.asDocument(await call("GET /runs/{id}/document", { path: { id: run.id } }))));
    useApp.setState({ form: false });
  });
}

async function opening(action: () => Promise<void>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    toast(t("open.failed", { message: errorText(error) }), "error");
    return false;
  }
}

/** Nodes that a file gives no place (it was written by hand) are laid out. */
export async function placed(document: m.Document): Promise<m.Document> {
  const ids = Object.keys(document.nodes);
  const missing = ids.filter((id) => document.ui?.nodes?.[id]?.x === undefined);
  if (!missing.length) return document;
  const { catalogue } = useApp.getState();
  const none = { sockets: new Set<string>(), result: "image" as const };
  const boxes = Object.fromEntries(
    ids.map((id) => {
      const node = document.nodes[id] as m.NodeData;
      const layout = m.layoutNode(m.portsOf([document], id, node, catalogue), m.lookOf(document, id), { ...none, values: node.values });
      return [id, { x: 0, y: 0, w: layout.w, h: layout.h }];
    }),
  );
  const places = await m.autoLayout(document, boxes);
  const nodes = Object.fromEntries(ids.map((id) => [id, { ...m.lookOf(document, id), ...(places[id] ?? { x: 0, y: 0 }) }]));
  return { ...document, ui: { ...document.ui, nodes: { ...document.ui?.nodes, ...nodes } } };
}

export function enterSubgraph(id: string): void {
  const tab = activeTab();
  const path = [...tab.path, id];
  if (m.scopesAt(tab.document, path).length === path.length + 1) patchTab(tab.id, { path, selection: [] });
}

export function leaveSubgraph(depth = activeTab().path.length - 1): void {
  const tab = activeTab();
  const left = tab.path[depth];
  if (depth >= 0) patchTab(tab.id, { path: tab.path.slice(0, depth), selection: left ? [left] : [] });
}

/** Hands a file to the user. */
export function saveFile(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  if (url.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** False where the browser forbids it: on pages that are not served from this machine or over HTTPS. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** The files of a tab's newest run that can carry a workflow: each carries the workflow that made it. Files of outputs come first. */
export function tabImages(tab: Tab, run: Run | undefined, results: Record<string, Result>): NodeFile[] {
  const key = resultKey(tab.id, "");
  const all: NodeFile[] = run?.files.length ? run.files : Object.entries(results).flatMap(([id, { files }]) => (id.startsWith(key) ? files : []));
  const { media } = useApp.getState().catalogue;
  return all.filter((file) => media.carries(file.media_type));
}
