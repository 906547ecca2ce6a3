/** Open documents: tabs, opening, saving with revisions, entering subgraphs. */

import { reached } from "../api/base";
import { address, call } from "../api/client";
import type { PlaceBody, Run } from "../api/types";
import { said, saidName, t } from "../i18n";
import { errorText, problemLine } from "../i18n/problems";
import * as m from "../graph";
import { missingThings } from "./missing";
import { keepClosed, takeClosed } from "./persist";
import { randomId } from "./session";
import { type NodeFile, type Result, resultKey } from "./status";
import { activeTab, type FileKind, histories, keyOf, newTab, type OpenedFile, patchTab, type Tab, toast, useApp } from "./store";

export function openTab(part: Partial<Tab> & { document: m.Document }): string {
  const id = randomId();
  const tab = newTab({ id, ...part });
  useApp.setState((state) => {
    // The empty document of a fresh start makes room for the first real one.
    const tabs = state.tabs.filter((other) => !(isBlank(other) && Object.keys(part.document.nodes).length > 0));
    for (const gone of state.tabs) if (!tabs.includes(gone)) histories.delete(gone.id);
    // On a phone the form comes first: fields and results without a graph.
    const form = part.document.inputs?.length && matchMedia("(max-width: 640px)").matches;
    return { tabs: [...tabs, tab], active: id, ...(form ? { form: true } : {}) };
  });
  return id;
}

function isBlank(tab: Tab): boolean {
  return !keyOf(tab) && !Object.keys(tab.document.nodes).length && !(tab.document.ui?.notes?.length ?? 0) && !histories.get(tab.id)?.canUndo;
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
  const { tabs, drafts } = useApp.getState();
  // Sent a moment after it was closed.
  const sent = drafts.find((draft) => draft.name === id);
  if (!keyOf(tab) && sent) Object.assign(tab, { draft: id, revision: sent.revision });
  if (keyOf(tab) && tabs.some((other) => keyOf(other) === keyOf(tab))) Object.assign(tab, { id: randomId(), name: "", draft: "", revision: 0, base: null });
  useApp.setState((state) => ({ tabs: [...state.tabs.filter((other) => !isBlank(other)), tab], active: id }));
}

export function showTab(id: string): void {
  useApp.setState({ active: id, overlay: null });
}

export const tabTitle = (tab: Tab): string => titleOf(tab.name || tab.document.name);

/** Of a document, by the name that it was given or calls itself by. */
export function titleOf(name: string | undefined): string {
  const given = name || t("tab.untitled");
  return /^[a-z0-9]+(_[a-z0-9]+)+$/.test(given) ? saidName(given) : given;
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

/** A saved workflow, or a draft by its key. Another graph with something unsaved in sight is left alone; what is opened gets a tab of its own. */
export async function openWorkflow(name: string): Promise<void> {
  const { tabs, workflows } = useApp.getState();
  if (workflows.some((one) => one.name === name)) void placeWorkflow(name, { opened: true });
  const there = tabs.find((tab) => keyOf(tab) === name);
  if (there) return showTab(there.id);
  await opening(async () => {
    const answer = await call("GET /workflows/{name}", { path: { name } });
    const document = await placed(m.asDocument(answer.document));
    openTab({ document, base: document, ...(answer.draft ? { draft: name } : { name }), revision: answer.revision });
  });
}

/** Where a saved workflow is listed, and that it was opened. The list follows by the event of it. */
export async function placeWorkflow(name: string, change: Partial<PlaceBody>): Promise<void> {
  try {
    await call("PATCH /workflows/{name}", { path: { name }, body: change });
  } catch (error) {
    if (!change.opened) toast(errorText(error), "error");
  }
}

export async function openTemplate(name: string): Promise<void> {
  await opening(async () => {
    const document = m.asDocument(await call("GET /templates/{name}", { path: { name } }));
    // From here on they are the user's own words.
    for (const graph of [document, ...Object.values(document.subgraphs ?? {})]) {
      for (const node of Object.values(graph.nodes)) if (node.title) node.title = said(node.title);
    }
    openUnchanged(await placed(document));
    useApp.setState((state) => ({ panel: state.panel === "templates" ? null : state.panel }));
  });
}

/** Opens a workflow file, or the workflow inside an image; `kind` is one of several that it holds. */
export async function openFile(file: Blob, kind?: FileKind): Promise<boolean> {
  return opening(async () => {
    const json = file.type === "application/json" || (file instanceof File && file.name.endsWith(".json"));
    if (json && !kind) {
      try {
        openUnchanged(await placed(m.readDocument(await file.text())));
        return;
      } catch (error) {
        if (!(error instanceof m.DocumentError)) throw error;
        // The server knows other programs' formats too.
      }
    }
    const answer = await call("POST /open", { body: file, ...(kind ? { query: { kind } } : {}) });
    const document = m.asDocument(answer.document);
    if (answer.report && !document.name && file instanceof File) document.name = file.name.replace(/\.[^.]*$/, "");
    openUnchanged(await placed(document));
    for (const problem of answer.problems) toast(problemLine(problem), "error");
    const others = answer.kinds.filter((one) => one !== answer.kind);
    tellImport({ report: answer.report ?? null, file, others });
  });
}

/** A workflow that came whole gets a line, another a sheet that names what did not. What else is in the file is offered. */
function tellImport(opened: OpenedFile): void {
  const { report, others } = opened;
  const open = () => useApp.setState({ overlay: { kind: "import", opened } });
  const action = others.length ? { label: t("import.as"), run: open } : undefined;
  if (!report) {
    if (action) toast(t("import.others", { kinds: others.map((kind) => t(`import.as.${kind}`)).join(", ") }), "info", action);
  } else if (report.mapped === report.nodes && !report.remarks.length && !report.models.length)
    toast(t("import.whole", { program: report.program, nodes: report.nodes }), "info", action);
  else open();
}

/** The example of a node: its small image holds it. */
export async function openExample(type: string): Promise<void> {
  const answer = await fetch(reached(exampleImage(type)));
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
  const shapes = Object.fromEntries(
    ids.map((id): [string, m.Shape] => {
      const node = document.nodes[id] as m.NodeData;
      const { w, h, inputs, outputs } = m.layoutNode(m.portsOf([document], id, node, catalogue), m.lookOf(document, id), { ...none, values: node.values });
      return [id, { x: 0, y: 0, w, h, inputs, outputs }];
    }),
  );
  const { places, bends } = await m.autoLayout(document, shapes);
  const nodes = Object.fromEntries(ids.map((id) => [id, { ...m.lookOf(document, id), ...(places[id] ?? { x: 0, y: 0 }) }]));
  const links = document.links.map((link) => {
    const bend = bends[m.linkId(link)];
    return bend?.length ? { ...link, bend } : link;
  });
  return { ...document, links, ui: { ...document.ui, nodes: { ...document.ui?.nodes, ...nodes } } };
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

/** What happened in a run, from the server. */
export function saveLog(run: string): void {
  saveFile(address("GET /runs/{id}/log", { path: { id: run } }), `${run}.log`);
}

/** Hands a file to the user. */
export function saveFile(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = reached(url);
  link.download = name;
  link.click();
  if (url.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** The files of a tab's newest run that can carry a workflow: each carries the workflow that made it. Files of outputs come first. */
export function tabImages(tab: Tab, run: Run | undefined, results: Record<string, Result>): NodeFile[] {
  const key = resultKey(tab.id, "");
  const all: NodeFile[] = run?.files.length ? run.files : Object.entries(results).flatMap(([id, { files }]) => (id.startsWith(key) ? files : []));
  const { media } = useApp.getState().catalogue;
  return all.filter((file) => media.carries(file.media_type));
}
