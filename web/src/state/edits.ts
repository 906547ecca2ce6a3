/** The only way documents change: each call is one step of undo, unless it belongs to the group of the one before. */

import * as m from "../graph";
import { t } from "../i18n";
import { activeTab, historyOf, patchTab, sceneOf, toast, useApp } from "./store";

interface Options {
  /** Edits with the same group in short succession are one step: typing, nudging. */
  group?: string;
  /** The second half of one gesture: part of the step before, however long ago that was. */
  join?: boolean;
  /** What is selected afterwards. */
  select?: (() => string[]) | string[];
}

/** Applies an edit to the graph on screen. Returns whether anything changed. */
export function edit(label: string, recipe: (scene: m.Scene) => void, options: Options = {}): boolean {
  const tab = activeTab();
  const history = historyOf(tab);
  let lost = { names: [] as string[], links: 0 };
  const apply = (draft: m.Document) => {
    const scene = sceneOf(useApp.getState(), draft);
    const inside = m.hasBorder(scene.scopes);
    const before = inside && m.portNames(scene.graph);
    recipe(scene);
    // What used a port outside goes with it, in the same step.
    if (before) lost = m.forgetLost(scene.scopes[0] as m.Graph, scene.graph, before);
  };
  const changed = history.edit(label, apply, {
    group: options.group ? `${tab.path.join("/")}:${options.group}` : "",
    time: options.join ? 0 : performance.now() / 1000,
    selection: tab.selection,
  });
  if (!changed) return false;
  if (lost.links) toast(t("ports.lost", { count: lost.links, names: lost.names.join(", ") }));
  const wanted = typeof options.select === "function" ? options.select() : options.select;
  const selection = stillThere(wanted ?? tab.selection, history.document, tab.path);
  history.select(selection);
  patchTab(tab.id, { document: history.document, selection });
  return true;
}

/** An edit of the whole document, wherever the screen is; those of one group in short succession are one step. */
export function editDocument(label: string, recipe: (document: m.Document) => void, group = ""): void {
  const tab = activeTab();
  const history = historyOf(tab);
  if (history.edit(label, recipe, { selection: tab.selection, group, time: performance.now() / 1000 })) patchTab(tab.id, { document: history.document });
}

/** Puts another document in the place of a tab's, as one step of undo. */
export function replaceDocument(id: string, label: string, document: m.Document): void {
  const tab = useApp.getState().tabs.find((candidate) => candidate.id === id);
  if (!tab || !historyOf(tab).replace(label, document, tab.selection)) return;
  const path = tab.path.slice(0, m.scopesAt(document, tab.path).length - 1);
  patchTab(id, { document, path, selection: stillThere(tab.selection, document, path) });
}

/** Shows the graph, in which a click on a field puts it into the form or takes it out. */
export function startChoosing(): void {
  patchTab(activeTab().id, { path: [], selection: [] });
  useApp.setState({ form: false, choosing: true });
}

/** Jumps to a node by its flat id, through subgraphs, and selects it; the canvas brings it into sight. */
export function jumpTo(flat: string): void {
  const path = flat.split("/");
  const id = path.pop() as string;
  patchTab(activeTab().id, { path, selection: [id] });
  useApp.setState({ form: false, reveal: id });
}

/** Goes on with what the server made of a tab's document: the same in the node types and ports of today. */
export function amendDocument(id: string, current: unknown): void {
  const tab = useApp.getState().tabs.find((candidate) => candidate.id === id);
  if (!tab) return;
  const document = m.asDocument(current);
  historyOf(tab).amend(document);
  patchTab(id, { document, ...(tab.base === tab.document ? { base: document } : {}) });
}

export function seal(): void {
  historyOf(activeTab()).seal();
}

export function undo(): void {
  const tab = activeTab();
  const entry = historyOf(tab).undo();
  if (entry) show(entry.before, entry.selectionBefore);
}

export function redo(): void {
  const tab = activeTab();
  const entry = historyOf(tab).redo();
  if (entry) show(entry.after, entry.selectionAfter);
}

function show(document: m.Document, selection: readonly string[]): void {
  const tab = activeTab();
  const path = tab.path.slice(0, m.scopesAt(document, tab.path).length - 1);
  patchTab(tab.id, { document, path, selection: stillThere(selection, document, path) });
}

export function select(keys: readonly string[]): void {
  const tab = activeTab();
  if (keys.length === tab.selection.length && keys.every((key, index) => key === tab.selection[index])) return;
  patchTab(tab.id, { selection: [...keys] });
}

export function toggleSelected(key: string): void {
  const { selection } = activeTab();
  select(selection.includes(key) ? selection.filter((other) => other !== key) : [...selection, key]);
}

export function selectedNodes(): string[] {
  const tab = activeTab();
  const graph = m.graphAt(tab.document, tab.path);
  return tab.selection.filter((key) => key in graph.nodes);
}

function stillThere(keys: readonly string[], document: m.Document, path: readonly string[]): string[] {
  const scopes = m.scopesAt(document, path);
  const graph = scopes[scopes.length - 1] as m.Graph;
  const there = new Set([
    ...m.linksOf({ scopes, graph }).map((link) => m.linkKey(m.linkId(link))),
    ...(graph.ui?.frames ?? []).map((frame) => m.frameKey(frame.id)),
    ...(graph.ui?.notes ?? []).map((note) => m.noteKey(note.id)),
    ...(m.hasBorder(scopes) ? m.borderKeys(graph) : []),
  ]);
  return keys.filter((key) => key in graph.nodes || there.has(key));
}

/** Removes whatever is selected, as one step. */
export function removeSelected(dissolve = false): void {
  const { selection } = activeTab();
  const keys = new Set(selection);
  const links = new Set(selection.filter((key) => m.keyKind(key) === "link").map(m.keyId));
  edit(
    dissolve ? "dissolve" : "delete",
    (scene) => {
      const nodes = new Set(selection.filter((key) => key in scene.graph.nodes));
      if (dissolve) m.dissolve(scene, nodes);
      else m.removeNodes(scene.graph, nodes);
      const gone = (link: m.Link) => links.has(m.linkId(link)) || m.portKeysOf(link).some((key) => keys.has(key));
      if (selection.some((key) => key.startsWith("/"))) m.unlink(scene, gone);
      m.removeItems(scene.graph, keys);
      m.dropUnused(scene);
    },
    // Who removed ports goes on at the node that they were of.
    { select: [...new Set(selection.flatMap((key) => m.portOfKey(key)?.side ?? []))].map(m.borderOf) },
  );
}

export function setValue(id: string, port: string, value: unknown): void {
  edit("value", ({ graph }) => m.setValue(graph, id, port, value), { group: `value:${id}.${port}` });
}
