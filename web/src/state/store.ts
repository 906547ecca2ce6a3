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
import type { DownloadInfo, FileInfo, ImportReport, ModelInfo, NodeState, Opened, PackState, PlanAnswer, Preset, Problem, QueueInfo, Run, Template, WorkflowInfo } from "../api/types";
import { load, type Preferences, save } from "./preferences";

/** An open document. `base` is the document as last saved on the server, `revision` its number there (0: never). */
export interface Tab {
  id: string;
  /** Of the saved workflow that it is; empty as long as nobody named it. */
  name: string;
  /** What the server keeps it under as a draft; empty when it keeps none. With a name: it is to become that workflow. */
  draft: string;
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
  /** The run of this tab that is at work, else its newest, and the document that it runs. */
  run: string | null;
  runDocument: Document | null;
  /** Runs that wait for that one. */
  queued: readonly Queued[];
  /** The document that could not be run: until it changes, what it lacks is shown loudly. */
  tried: Document | null;
  /** A run that failed, as long as that is to be told. */
  failure: string | null;
  conflict: number | null;
  /** The newest sweep of this tab. */
  batch: string | null;
}

/** A run that waits; its document is unknown after a reload. */
export interface Queued {
  id: string;
  document: Document | null;
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
  /** What made the image, where the page knows it; its file may know it, too. */
  origin?: Document;
}

/** The field that is painted in: the ids of the instances that lead to its node, the node, the port. */
export interface PaintPlace {
  path: readonly string[];
  node: string;
  port: string;
}

/** `elsewhere`: something else answers in the place of the server. */
export type Connection = "starting" | "online" | "offline" | "elsewhere";
export type Panel = "gallery" | "queue" | "outline" | "problems" | "nodes" | "models" | "templates" | null;
export type Overlay =
  | { kind: "commands" }
  | { kind: "shortcuts" }
  | { kind: "where" }
  | { kind: "find" }
  | { kind: "connect"; node: string }
  | { kind: "settings" }
  | { kind: "presets"; node: string }
  | { kind: "snippet"; rename?: string }
  | { kind: "viewer"; images: string[]; index: number; compare?: string }
  | { kind: "media"; file: { name: string; media_type: string; url: string; thumbnail: string } }
  | { kind: "add"; screen: { x: number; y: number }; from?: string; to?: string; swap?: string; free?: boolean }
  | { kind: "menu"; screen: { x: number; y: number }; items: string[]; image?: ShownImage }
  | { kind: "painter"; source: PaintSource }
  | { kind: "painting"; place: PaintPlace }
  | { kind: "several"; way: "times" | "lines" }
  | { kind: "name"; rename?: string }
  | { kind: "move"; name: string }
  | { kind: "tabs" }
  | { kind: "revisions" }
  | { kind: "conflict" }
  | { kind: "share" }
  | { kind: "import"; opened: OpenedFile }
  | { kind: "voting"; batch: string }
  | { kind: "drop"; file: File; at: { x: number; y: number } }
  | null;

/** What a file can be opened as. */
export type FileKind = Opened["kinds"][number];

/** A file that was opened: what became of its workflow, if another program made it, and what else it can be opened as. */
export interface OpenedFile {
  report: ImportReport | null;
  file: Blob;
  others: FileKind[];
}

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
  /** The HTTP status of what answers in the place of the server. */
  elsewhere: number;
  runs: Record<string, Run>;
  runNodes: Record<string, Record<string, NodeRun>>;
  queue: QueueInfo;
  files: FileInfo[];
  filesVersion: number;
  workflows: WorkflowInfo[];
  drafts: WorkflowInfo[];
  templates: Template[];
  models: ModelInfo[];
  presets: Preset[];
  downloads: DownloadInfo[];
  packs: PackState[];
  panel: Panel;
  overlay: Overlay;
  /** A node that the canvas is to bring into sight, once. */
  reveal: string | null;
  toasts: Toast[];
  preferences: Preferences;
  form: boolean;
  /** The step of the tour that is shown. */
  tour: number | null;
  /** The tab that runs at every change. */
  live: string | null;
  /** The first of two images that are to be compared, until the second is chosen. */
  comparing: string | null;
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
  elsewhere: 0,
  runs: {},
  runNodes: {},
  queue: { paused: false, waiting: 0, running: 0, seconds: null },
  files: [],
  filesVersion: 0,
  workflows: [],
  drafts: [],
  templates: [],
  models: [],
  presets: [],
  downloads: [],
  packs: [],
  panel: null,
  overlay: null,
  reveal: null,
  toasts: [],
  preferences: load(),
  form: false,
  tour: null,
  live: null,
  comparing: null,
  choosing: false,
  sweeps: {},
}));

const NO_TAB: Tab = {
  id: "",
  name: "",
  draft: "",
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
  queued: [],
  tried: null,
  failure: null,
  conflict: null,
  batch: null,
};

export function newTab(part: Partial<Tab> & { id: string; document: Document }): Tab {
  return { ...NO_TAB, ...part };
}

/** What the server has it under, as a workflow or as a draft; empty when it has neither. */
export const keyOf = (tab: Tab): string => tab.draft || tab.name;

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
    standard: (type) => state.presets.find((preset) => preset.standard && preset.type === type)?.values,
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

export function setPreference(change: Partial<Preferences>): void {
  const preferences = { ...useApp.getState().preferences, ...change };
  save(preferences);
  useApp.setState({ preferences });
}

export function toast(text: string, kind: Toast["kind"] = "info", action?: Toast["action"]): void {
  const id = ++toasts;
  useApp.setState((state) => ({ toasts: [...state.toasts.slice(-3), { id, text, kind, ...(action ? { action } : {}) }] }));
  setTimeout(() => dismiss(id), kind === "error" ? 12000 : 5000);
}

export function dismiss(id: number): void {
  useApp.setState((state) => ({ toasts: state.toasts.filter((entry) => entry.id !== id) }));
}
