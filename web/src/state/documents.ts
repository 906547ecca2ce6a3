/** Open documents: tabs, opening, saving with revisions, entering subgraphs. */

import { ApiError, request, Unreachable } from "../api/client";
import type { Problem, RunFile } from "../api/shapes";
import { t } from "../i18n";
import * as m from "../model";
import { activeTab, histories, newTab, patchTab, type Tab, toast, useApp } from "./store";

export function openTab(part: Partial<Tab> & { document: m.Document }): string {
  const id = crypto.randomUUID().slice(0, 8);
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
    const again = () => useApp.setState((state) => ({ tabs: [...state.tabs, closed], active: closed.id }));
    toast(t("tab.close", { name: tabTitle(closed) }), "info", { label: t("command.undo"), run: again });
  }
  if (!rest.length) openTab({ document: m.emptyDocument() });
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

/** Another graph with something unsaved in sight is left alone; what is opened gets a tab of its own. */
export async function openWorkflow(name: string): Promise<void> {
  const there = useApp.getState().tabs.find((tab) => tab.name === name);
  if (there) return showTab(there.id);
  await opening(async () => {
    const answer = await request<{ document: unknown; revision: number }>("GET", `/workflows/${encodeURIComponent(name)}`);
    const document = m.asDocument(answer.document);
    openTab({ document, base: document, name, revision: answer.revision });
  });
}

export async function openTemplate(name: string): Promise<void> {
  await opening(async () => {
    const document = m.asDocument(await request("GET", `/templates/${encodeURIComponent(name)}`));
    openTab({ document: await placed(document) });
    useApp.setState((state) => ({ panel: state.panel === "templates" ? null : state.panel }));
  });
}

/** Opens a workflow file, or the workflow inside a picture. */
export async function openFile(file: Blob): Promise<boolean> {
  return opening(async () => {
    if (file.type === "application/json" || (file instanceof File && file.name.endsWith(".json"))) {
      try {
        openTab({ document: await placed(m.readDocument(await file.text())) });
        return;
      } catch (error) {
        if (!(error instanceof m.DocumentError)) throw error;
        // The server knows other programs' formats too.
      }
    }
    const answer = await request<{ document: unknown; problems: Problem[] }>("POST", "/open", file);
    openTab({ document: await placed(m.asDocument(answer.document)) });
    for (const problem of answer.problems) toast(problem.message, "error");
  });
}

async function opening(action: () => Promise<void>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    toast(t("open.failed", { message: (error as Error).message }), "error");
    return false;
  }
}

/** Nodes that a file gives no place (it was written by hand) are laid out. */
export async function placed(document: m.Document): Promise<m.Document> {
  const ids = Object.keys(document.nodes);
  const missing = ids.filter((id) => document.ui?.nodes?.[id]?.x === undefined);
  if (!missing.length) return document;
  const { catalogue } = useApp.getState();
  const none = { sockets: new Set<string>(), preview: true };
  const boxes = Object.fromEntries(
    ids.map((id) => {
      const layout = m.layoutNode(m.portsOf([document], id, document.nodes[id] as m.NodeData, catalogue), m.lookOf(document, id), none);
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

/** Saves under the tab's name. A save that cannot reach the server is made later; the document is kept here anyway. */
export async function save(name = activeTab().name, force = false): Promise<void> {
  const tab = activeTab();
  if (!name) return;
  const { document } = tab;
  const revision = force ? (tab.conflict ?? tab.revision) : name === tab.name ? tab.revision : 0;
  try {
    const saved = await request<{ revision: number }>("PUT", `/workflows/${encodeURIComponent(name)}`, { document, revision });
    patchTab(tab.id, { name, base: document, revision: saved.revision, conflict: null });
    toast(t("save.saved", { name }));
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) {
      const theirs = error.problems.find((problem) => typeof problem.value === "number")?.value;
      patchTab(tab.id, { name, conflict: typeof theirs === "number" ? theirs : revision + 1 });
    } else if (error instanceof Unreachable) patchTab(tab.id, { name });
    else toast(t("save.failed", { message: (error as Error).message }), "error");
  }
}

/** Opens what was saved elsewhere in a tab beside this one, so that both can be seen. */
export async function showConflict(): Promise<void> {
  const tab = activeTab();
  await opening(async () => {
    const answer = await request<{ document: unknown; revision: number }>("GET", `/workflows/${encodeURIComponent(tab.name)}`);
    const document = m.asDocument(answer.document);
    openTab({ document: { ...document, name: `${tab.name} (${answer.revision})` } });
  });
}

export function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The newest picture of this tab's last run: it carries the workflow that made it. */
export function sharedPicture(): RunFile | undefined {
  const { runs } = useApp.getState();
  const tab = activeTab();
  return tab.run ? runs[tab.run]?.files.find((file) => file.media_type.startsWith("image/")) : undefined;
}
