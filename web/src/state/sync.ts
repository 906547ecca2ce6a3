/** What goes to the server by itself and comes back: check and plan at every change, runs, events. */

import { ApiError, call, Unreachable } from "../api/client";
import type { HostEvent, Run } from "../api/types";
import { EventStream } from "../api/socket";
import { loadWords, t } from "../i18n";
import { errorText, isError, problemLine } from "../i18n/problems";
import * as m from "../graph";
import { amendDocument, edit, selectedNodes } from "./edits";
import { refreshFiles } from "./files";
import { flatId, type NodeFile, type Result, resultKey, setResult, useResults } from "./status";
import { followWorkflow, refreshWorkflows, startAutosave } from "./saving";
import { randomId } from "./session";
import { activeTab, type NodeRun, patchTab, tabOf, toast, useApp } from "./store";

const PLAN_DELAY = 180;

let stream: EventStream | null = null;

async function loadCatalogue(): Promise<void> {
  const { nodes, rules, packs, media, images } = await call("GET /catalogue");
  useApp.setState({ catalogue: new m.Catalogue(nodes, rules.variables, media, images), packs });
}

export async function loadServerData(): Promise<void> {
  await loadCatalogue();
  useApp.setState({ ready: true, connection: "online" });
  await Promise.allSettled([
    loadWords(),
    refreshWorkflows(),
    call("GET /templates").then((templates) => useApp.setState({ templates })),
    refreshModels(),
    refreshFiles(),
  ]);
}

async function refreshModels(): Promise<void> {
  const { models } = await call("GET /models");
  useApp.setState({ models });
}

export function startSync(): () => void {
  let timer = 0;
  const schedule = () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => void checkAndPlan(), PLAN_DELAY);
  };
  const stop = useApp.subscribe((state, before) => {
    const now = tabOf(state);
    const was = tabOf(before);
    if (now.document !== was.document || now.id !== was.id || state.ready !== before.ready) schedule();
  });
  stream = new EventStream({
    onEvent: (event) => receive(event),
    onPreview: (header, image) => {
      const tab = useApp.getState().tabs.find((candidate) => candidate.run === header.run);
      if (tab) setResult(resultKey(tab.id, m.withoutTurns(tab.document, header.node)), { live: URL.createObjectURL(image) });
    },
    onState: (online) => {
      const before = useApp.getState().connection;
      if (online === (before === "online")) return;
      useApp.setState({ connection: online ? "online" : "offline" });
      if (online && before === "offline") {
        toast(t("connection.back"));
        void loadServerData().catch(() => undefined);
        schedule();
      }
    },
  });
  stream.connect();
  schedule();
  const stopSaving = startAutosave();
  return () => {
    stop();
    stopSaving();
    clearTimeout(timer);
    stream?.close();
  };
}

let asked: AbortController | null = null;

/** Asks what is wrong and what would run; an answer to an older document is thrown away. */
export async function checkAndPlan(): Promise<void> {
  const { ready } = useApp.getState();
  const { id, document } = activeTab();
  if (!ready || !id) return;
  if (!Object.keys(document.nodes).length) {
    // An empty canvas is a beginning, not a mistake.
    patchTab(id, { problems: [], types: {}, plan: null });
    return;
  }
  asked?.abort();
  const own = (asked = new AbortController());
  const sent = forServer(document);
  try {
    const [checked, plan] = await Promise.all([
      call("POST /check", { body: { document: sent }, signal: own.signal }),
      call("POST /plan", { body: { document: sent }, signal: own.signal }),
    ]);
    if (own.signal.aborted || tabDocument(id) !== document) return;
    if (checked.document) {
      // Older names: the document goes on in those of today, with what the screen keeps of ports. Then it is asked again.
      const whole = await call("POST /check", { body: { document }, signal: own.signal });
      if (whole.document && tabDocument(id) === document) amendDocument(id, whole.document);
      return;
    }
    const problems = checked.problems.length ? checked.problems : plan.problems;
    patchTab(id, { problems, types: checked.types, plan });
  } catch (error) {
    if ((error as Error).name === "AbortError") return;
    if (error instanceof ApiError) patchTab(id, { problems: error.problems, plan: null });
    else if (!(error instanceof Unreachable)) throw error;
  }
}

function tabDocument(id: string): m.Document | undefined {
  return useApp.getState().tabs.find((tab) => tab.id === id)?.document;
}

/** The server needs no places of nodes to check a graph; what is left out need not be sent at each key press. */
function forServer(document: m.Document): m.Document {
  const { ui: _, ...rest } = document;
  return rest as m.Document;
}

export interface RunOptions {
  front?: boolean;
  targets?: string[];
  inputs?: Record<string, unknown>;
}

/** What was told of runs while the answer that one was accepted is awaited: a short run may be over before it is here. */
const early: { run: string; node: string; result: Partial<Result> }[] = [];
let awaited = 0;

export async function run({ front = false, targets, inputs }: RunOptions = {}): Promise<void> {
  const tab = activeTab();
  const { document } = tab;
  awaited += 1;
  try {
    const accepted = await call("POST /runs", {
      body: {
        document,
        name: tab.name || document.name || t("tab.untitled"),
        key: `${tab.id}:${randomId()}`,
        ...(front ? { priority: 10 } : {}),
        ...(targets ? { targets } : {}),
        ...(inputs ? { inputs } : {}),
      },
    });
    useApp.setState((state) => ({ runs: { ...state.runs, [accepted.id]: { ...accepted, ...state.runs[accepted.id] } } }));
    patchTab(tab.id, { run: accepted.id, runDocument: document });
    for (const { run: told, node, result } of early) if (told === accepted.id) showResult(told, node, result);
    const known = useApp.getState().runs[accepted.id];
    if (known && !isActive(known)) takeRun(known);
    turnSeeds();
  } catch (error) {
    if (error instanceof ApiError) patchTab(tab.id, { problems: error.problems });
    toast(error instanceof Unreachable ? t("run.offline") : t("run.refused", { message: errorText(error) }), "error");
  } finally {
    awaited -= 1;
    if (!awaited) early.length = 0;
  }
}

export function runSelected(): Promise<void> {
  const { path } = activeTab();
  return run({ targets: selectedNodes().map((id) => flatId(path, id)) });
}

/** Seeds that are to change after each run do so now: what is on screen is what the next run will use. */
function turnSeeds(): void {
  const { graph } = { graph: activeTab().document };
  const turning = Object.entries(graph.ui?.nodes ?? {}).filter(([id, look]) => id in graph.nodes && look.seeds);
  if (!turning.length) return;
  const { catalogue } = useApp.getState();
  edit("seed", (scene) => {
    const top = scene.scopes[0] as m.Graph;
    for (const [id, look] of turning) {
      const node = top.nodes[id];
      const spec = node && catalogue.get(node.type);
      for (const [port, mode] of Object.entries(look.seeds ?? {})) {
        const now = Number(node?.values?.[port] ?? spec?.inputs.find((input) => input.name === port)?.default ?? 0);
        if (mode === "random") m.setValue(top, id, port, m.randomSeed());
        if (mode === "step") m.setValue(top, id, port, now + 1);
      }
    }
  });
}

export async function cancelRun(id = activeTab().run): Promise<void> {
  if (!id) return;
  const running = useApp.getState().runs[id];
  if (!running || !isActive(running)) return;
  await call("POST /runs/{id}/cancel", { path: { id } }).catch((error: Error) => toast(errorText(error), "error"));
}

export function isActive(run: Run): boolean {
  return run.status === "queued" || run.status === "running" || run.status === "interrupted" || run.status === "paused";
}

export function receive(event: HostEvent): void {
  switch (event.event) {
    case "snapshot": {
      const ended = Object.values(useApp.getState().runs).filter((run) => !isActive(run));
      useApp.setState({
        runs: Object.fromEntries([...ended, ...event.runs].map((run) => [run.id, run])),
        runNodes: { ...useApp.getState().runNodes, ...Object.fromEntries(Object.entries(event.nodes).map(([run, nodes]) => [run, plainNodes(run, nodes)])) },
        queue: event.queue,
      });
      void catchUp();
      // What was saved, uploaded and found in the gap, or before the stream began.
      void refreshWorkflows();
      void refreshFiles().catch(() => undefined);
      void refreshModels().catch(() => undefined);
      break;
    }
    case "run_changed":
      takeRun(event.run);
      break;
    case "run_removed":
      useApp.setState((state) => ({ runs: Object.fromEntries(Object.entries(state.runs).filter(([id]) => id !== event.id)) }));
      break;
    case "queue_changed":
      useApp.setState({ queue: event.queue });
      break;
    case "workflow_changed":
      void refreshWorkflows();
      void followWorkflow(event.name, event.revision);
      break;
    case "catalogue_changed":
      void loadCatalogue().then(() => {
        void loadWords();
        void checkAndPlan();
        for (const { name, reason, remedy } of event.broken) toast(t("packs.broken", { name, reason: `${reason} ${remedy}` }), "error");
        if (!event.broken.length) toast(t("packs.reloaded", { names: event.packages.join(", ") }));
      }).catch(() => undefined);
      break;
    case "models_changed":
      // What a workflow lacked may be there now.
      if (!event.scanning) void refreshModels().then(checkAndPlan, () => undefined);
      break;
    case "file_changed":
      if (event.folder === "output") useApp.setState((state) => ({ filesVersion: state.filesVersion + 1 }));
      else void refreshFiles().catch(() => undefined);
      break;
    case "run_started":
      setNodes(event.run, () => Object.fromEntries(event.nodes.map((id) => [id, waiting()])));
      break;
    case "node_started":
      setNode(event.run, event.node, { status: "running", step: 0, total: 0 });
      break;
    case "node_progress":
      setNode(event.run, event.node, { status: "running", step: event.step, total: event.total });
      if (event.curve?.length) showResult(event.run, event.node, { curve: event.curve });
      break;
    case "node_finished":
      setNode(event.run, event.node, {
        status: event.cached ? "cached" : "ran",
        seconds: event.seconds,
      });
      showResult(event.run, event.node, { live: undefined, ...(event.values ? { values: event.values } : {}) });
      if (event.files?.length) showFiles(event.run, event.node, event.files);
      break;
    case "node_skipped":
      setNode(event.run, event.node, { status: "skipped" });
      break;
    case "node_warned":
      if (event.run === activeTab().run) toast(problemLine(event.problem), "info");
      break;
    case "node_failed":
      setNode(event.run, event.node, { status: "failed", problem: event.problem });
      break;
    default:
      break;
  }
}

const waiting = (): NodeRun => ({ status: "waiting", step: 0, total: 0, seconds: 0, curve: [], values: {}, files: [] });

function setNodes(run: string, change: (before: Record<string, NodeRun>) => Record<string, NodeRun>): void {
  useApp.setState((state) => ({ runNodes: { ...state.runNodes, [run]: change(state.runNodes[run] ?? {}) } }));
}

/** Of a node inside a repeated instance the state is that of the turn that was told of last. */
function setNode(run: string, flat: string, change: Partial<NodeRun>): void {
  const node = plainId(run, flat);
  setNodes(run, (before) => ({ ...before, [node]: { ...waiting(), ...before[node], ...change } }));
}

/** The id of a node as the document of the run's tab has it. */
function plainId(run: string, flat: string): string {
  const tab = useApp.getState().tabs.find((candidate) => candidate.run === run);
  return tab ? m.withoutTurns(tab.runDocument ?? tab.document, flat) : flat;
}

function plainNodes<T>(run: string, nodes: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(nodes).map(([flat, node]) => [plainId(run, flat), node]));
}

function showResult(run: string, flat: string, result: Partial<Result>): void {
  const tab = useApp.getState().tabs.find((candidate) => candidate.run === run);
  const node = plainId(run, flat);
  if (tab) setResult(resultKey(tab.id, node), result.values ? { ...result, values: news(tab.document, node, result.values) } : result);
  else if (awaited) early.push({ run, node, result });
}

/** At the node that made them, and at every instance around it, with what other turns and nodes of the run made. */
function showFiles(run: string, flat: string, files: NodeFile[]): void {
  const tab = useApp.getState().tabs.find((candidate) => candidate.run === run);
  for (const node of around(plainId(run, flat))) {
    const before = tab && useResults.getState().results[resultKey(tab.id, node)];
    const others = before?.run === run ? before.files.filter((old) => !files.some((file) => file.digest === old.digest && file.name === old.name)) : [];
    showResult(run, node, { files: [...others, ...files], run, live: undefined });
  }
}

/** A node and the instances around it: `a/b/c` is inside `a/b` and `a`. */
function around(node: string): string[] {
  const path = node.split("/");
  return path.map((_, depth) => path.slice(0, path.length - depth).join("/"));
}

/** The values that a node does not show in its own fields anyway. */
function news(document: m.Document, flat: string, values: Record<string, unknown>): Record<string, unknown> {
  const path = flat.split("/");
  const id = path.pop() as string;
  const scopes = m.scopesAt(document, path);
  const node = scopes[scopes.length - 1]?.nodes[id];
  if (!node) return values;
  const { inputs } = m.portsOf(scopes, id, node, useApp.getState().catalogue);
  const shown = new Set(inputs.map((input) => m.stringifyJson(node.values?.[input.name] ?? input.default)));
  return Object.fromEntries(Object.entries(values).filter(([, value]) => !shown.has(m.stringifyJson(value))));
}

function takeRun(run: Run): void {
  useApp.setState((state) => ({ runs: { ...state.runs, [run.id]: run } }));
  if (isActive(run)) return;
  const tab = useApp.getState().tabs.find((candidate) => candidate.run === run.id);
  if (!tab) return;
  // What was told while it ran may have been without its document yet: the list at the end goes before.
  const made = new Map<string, NodeFile[]>();
  for (const file of run.files) {
    for (const node of file.node ? around(plainId(run.id, file.node)) : []) made.set(node, [...(made.get(node) ?? []), file]);
  }
  for (const [node, files] of made) setResult(resultKey(tab.id, node), { files, run: run.id, live: undefined });
  if (run.status === "failed") {
    const problem = run.problems.find(isError);
    toast(t("run.failed", { message: problem ? problemLine(problem) : "" }), "error");
  }
  if (tab.id === useApp.getState().active) void checkAndPlan();
}

/** After a gap: how did the runs of our tabs end? */
async function catchUp(): Promise<void> {
  for (const tab of useApp.getState().tabs) {
    if (!tab.run) continue;
    try {
      const detail = await call("GET /runs/{id}", { path: { id: tab.run } });
      setNodes(tab.run, (before) => ({
        ...Object.fromEntries(Object.entries(plainNodes(detail.id, detail.nodes)).map(([id, node]) => [id, { ...before[id], ...node }])),
      }));
      for (const [node, { curve, values }] of Object.entries(detail.nodes)) {
        if (curve?.length || values) showResult(tab.run, node, { ...(curve?.length ? { curve } : {}), ...(values ? { values } : {}) });
      }
      takeRun(detail);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) patchTab(tab.id, { run: null, runDocument: null });
    }
  }
}

/** Tries until the server answers: the page may have been opened before it was ready. */
export async function connect(): Promise<void> {
  for (let wait = 300; ; wait = Math.min(4000, wait * 1.6)) {
    try {
      await loadServerData();
      return;
    } catch (error) {
      if (!(error instanceof Unreachable) && !(error instanceof ApiError)) throw error;
      useApp.setState({ connection: "offline" });
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

