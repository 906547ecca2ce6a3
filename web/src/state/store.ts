/** The editor's state. Documents change only through `state/edits.ts`, so that every change is one step of undo. */

import { create } from "zustand";
import {
  Catalogue,
  type Document,
  type FoundTypes,
  type Graph,
  graphAt,
  History,
  type Scene,
  scopesAt,
  type Viewport,
} from "../graph";
import type { FileInfo, ImportReport, ModelInfo, NodeState, PackState, PlanAnswer, Problem, QueueInfo, Run, Template, WorkflowInfo } from "../api/types";
import { load, type Preferences } from "./preferences";

/** An open document. `base` is the document as last saved on the server, `revision` its number there (0: never). */
export interface Tab {
  id: string;
  name: string;
  revision: number;
  base: Document | null;
  document: Document;
  /** Ids of subgraph instances that lead to the graph on screen. */
  path: string[];
  selection: string[];
  /** By path: where each graph was looked at. */
  viewports: Record<string, Viewport>;
  types: FoundTypes;
  problems: Problem[];
  plan: PlanAnswer | null;
  /** The newest run of this tab, and the document that it runs. */
  run: string | null;
  runDocument: Document | null;
  conflict: number | null;
  /** The newest sweep of this tab. */
  batch: string | null;
}

/** An image that a node shows. */
export interface ShownImage {
  node: string;
  url: string;
  name: string;
}

/** What the painter was opened on. */
export interface PaintSource {
  /** Address of the image; null where only a mask is known. */
  image: string | null;
  name: string;
  /** Its name in the input folder; null for a result that does not lie there. */
  input: string | null;
  /** Address of a mask to go on with. */
  mask: string | null;
  /** The file field that it was opened from, as `node.port`; null for a result. */
  field: string | null;
  /** That field takes masks. */
  forMask: boolean;
}

export type Connection = "starting" | "online" | "offline";
export type Panel = "gallery" | "queue" | "outline" | "problems" | "nodes" | "templates" | null;
export type Overlay =
  | { kind: "commands" }
  | { kind: "shortcuts" }
  | { kind: "find" }
  | { kind: "connect"; node: string }
  | { kind: "settings" }
  | { kind: "viewer"; images: string[]; index: number; compare?: string }
  | { kind: "media"; file: { name: string; media_type: string; url: string; thumbnail: string } }
  | { kind: "add"; screen: { x: number; y: number }; from?: string; to?: string; swap?: string }
  | { kind: "menu"; screen: { x: number; y: number }; items: string[]; image?: ShownImage }
  | { kind: "painter"; source: PaintSource }
  | { kind: "name"; rename?: string }
  | { kind: "revisions" }
  | { kind: "conflict" }
  | { kind: "share" }
  | { kind: "import"; report: ImportReport }
  | { kind: "voting"; batch: string }
  | { kind: "drop"; file: File; at: { x: number; y: number } }
  | null;

export interface Toast {
  id: number;
  text: string;
  kind: "info" | "error";
  action?: { label: string; run: () => void };
}

/** Where a node of a run stands, and why it failed. */
export interface NodeRun extends NodeState {
  problem?: Problem;
}

export interface AppState {
  tabs: Tab[];
  active: string;
  catalogue: Catalogue;
  ready: boolean;
  connection: Connection;
  runs: Record<string, Run>;
  runNodes: Record<string, Record<string, NodeRun>>;
  queue: QueueInfo;
  files: FileInfo[];
  filesVersion: number;
  workflows: WorkflowInfo[];
  templates: Template[];
  models: ModelInfo[];
  packs: PackState[];
  panel: Panel;
  overlay: Overlay;
  /** A node that the canvas is to bring into sight, once. */
  reveal: string | null;
  toasts: Toast[];
  preferences: Preferences;
  form: boolean;
  /** A click on a field of the graph puts it into the form. */
  choosing: boolean;
  /** By tab and field: what was typed for several values. */
  sweeps: Record<string, Record<string, string>>;
}

export const histories = new Map<string, History>();

export const useApp = create<AppState>()(() => ({
  tabs: [],
  active: "",
  catalogue: new Catalogue([]),
  ready: false,
  connection: "starting",
  runs: {},
  runNodes: {},
  queue: { paused: false, waiting: 0, running: 0, seconds: null },
  files: [],
  filesVersion: 0,
  workflows: [],
  templates: [],
  models: [],
  packs: [],
  panel: null,
  overlay: null,
  reveal: null,
  toasts: [],
  preferences: load(),
  form: false,
  choosing: false,
  sweeps: {},
}));

const NO_TAB: Tab = {
  id: "",
  name: "",
  revision: 0,
  base: null,
  document: { format: "safelight/1", nodes: {}, links: [] },
  path: [],
  selection: [],
  viewports: {},
  types: {},
  problems: [],
  plan: null,
  run: null,
  runDocument: null,
  conflict: null,
  batch: null,
};

export function newTab(part: Partial<Tab> & { id: string; document: Document }): Tab {
  return { ...NO_TAB, ...part };
}

export function tabOf(state: AppState): Tab {
  return state.tabs.find((tab) => tab.id === state.active) ?? NO_TAB;
}

export function activeTab(): Tab {
  return tabOf(useApp.getState());
}

/** The graph on screen. */
export function graphOf(state: AppState): Graph {
  const tab = tabOf(state);
  return tab.path.length ? graphAt(tab.document, tab.path) : tab.document;
}

export function activeGraph(): Graph {
  return graphOf(useApp.getState());
}

export function sceneOf(state: AppState, document?: Document): Scene {
  const tab = tabOf(state);
  const scopes = scopesAt(document ?? tab.document, tab.path);
  return {
    scopes,
    graph: scopes[scopes.length - 1] as Graph,
    catalogue: state.catalogue,
    types: tab.path.length ? {} : tab.types,
  };
}

export function activeScene(): Scene {
  return sceneOf(useApp.getState());
}

export function historyOf(tab: Tab): History {
  let history = histories.get(tab.id);
  if (!history) histories.set(tab.id, (history = new History(tab.document)));
  return history;
}

export function patchTab(id: string, change: Partial<Tab>): void {
  useApp.setState((state) => ({ tabs: state.tabs.map((tab) => (tab.id === id ? { ...tab, ...change } : tab)) }));
}

let toasts = 0;

export function toast(text: string, kind: Toast["kind"] = "info", action?: Toast["action"]): void {
  const id = ++toasts;
  useApp.setState((state) => ({ toasts: [...state.toasts.slice(-3), { id, text, kind, ...(action ? { action } : {}) }] }));
  setTimeout(() => dismiss(id), kind === "error" ? 12000 : 5000);
}

export function dismiss(id: number): void {
  useApp.setState((state) => ({ toasts: state.toasts.filter((entry) => entry.id !== id) }));
}
