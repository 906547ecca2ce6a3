/** Runs of the open documents: started, followed and cancelled. */

import { ApiError, call, Unreachable } from "../api/client";
import type { Run, RunFile } from "../api/types";
import { t } from "../i18n";
import { errorText } from "../i18n/problems";
import * as m from "../graph";
import { edit, editDocument, selectedNodes } from "./edits";
import { addToFeed } from "./feed";
import { checkAndPlan } from "./plan";
import { around, clearLive, flatId, forecast, type NodeFile, type Result, resultKey, setResult, useResults } from "./status";
import { randomId } from "./session";
import { activeTab, type NodeRun, patchTab, type Queued, type Tab, toast, useApp } from "./store";

export interface RunOptions {
  front?: boolean;
  targets?: string[];
  inputs?: Record<string, unknown>;
  /** Asked for by the page, not by a hand: seeds stay, and what cannot run yet is told at its nodes alone. */
  live?: boolean;
}

/** What was told of runs while the answer that one was accepted is awaited: a short run may be over before it is here. */
const early: { run: string; node: string; result: Partial<Result> }[] = [];
const earlyFiles: { run: string; flat: string; files: NodeFile[] }[] = [];
let awaited = 0;

/** Milliseconds until what the stream has not told by then is done without. */
const PATIENCE = 3000;

/** Gives the id of the run; null where it was not accepted. */
export async function run({ front = false, targets, inputs, live = false }: RunOptions = {}): Promise<string | null> {
  const tab = activeTab();
  const { document } = tab;
  const nothing = forecast(useApp.getState())?.count === 0 && !inputs && !live;
  try {
    const [id] = await accept(tab.id, document, async () => {
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
      return [accepted.id];
    });
    if (nothing) toast(t("run.upToDate"), "info", hasSeeds() ? { label: t("run.newSeed"), run: () => void runNewSeeds() } : undefined);
    if (!live) turnSeeds();
    return id ?? null;
  } catch (error) {
    refused(tab.id, document, error, live);
    return null;
  }
}

/** Many runs of a document at once, as `POST /runs/batch` takes them; they make a grid. Gives their number. */
export async function runMany(body: { rows: Record<string, unknown>[] } | { sweep: Record<string, unknown[]> }, document = activeTab().document): Promise<number> {
  const tab = activeTab();
  try {
    const ids = await accept(tab.id, document, async () => {
      const { batch, runs } = await call("POST /runs/batch", { body: { document, ...body, name: tab.name || document.name || t("tab.untitled") } });
      patchTab(tab.id, { batch });
      // The answer has their ids alone: their states come by the stream.
      for (let wait = 0; wait < PATIENCE && runs.some((id) => !useApp.getState().runs[id]); wait += 50) await new Promise((done) => setTimeout(done, 50));
      return runs;
    });
    return ids.length;
  } catch (error) {
    refused(tab.id, document, error);
    return 0;
  }
}

function refused(tab: string, document: m.Document, error: unknown, live = false): void {
  if (error instanceof ApiError) patchTab(tab, { problems: error.problems, ...(live ? {} : { tried: document }) });
  // What live mode could not run has not been checked otherwise.
  if (live) void checkAndPlan();
  else {
    const all = error instanceof ApiError && error.problems.length > 1;
    const show = all ? { label: t("panel.problems"), run: () => useApp.setState({ panel: "problems" }) } : undefined;
    toast(error instanceof Unreachable ? t("run.offline") : t("run.refused", { message: errorText(error) }), "error", show);
  }
}

/** Asks for runs, and goes on with what was told of them before the answer was here. */
async function accept(tab: string, document: m.Document, ask: () => Promise<string[]>): Promise<string[]> {
  awaited += 1;
  try {
    const ids = await ask();
    queue(tab, ids.map((id) => ({ id, document })));
    const own = new Set(ids);
    for (const { run: told, node, result } of early) if (own.has(told)) showResult(told, node, result);
    for (const { run: told, flat, files } of earlyFiles) if (own.has(told)) addToFeed(told, tab, plainId(told, flat), files);
    for (const id of ids) {
      const known = useApp.getState().runs[id];
      if (known && !isActive(known)) takeRun(known, true);
    }
    return ids;
  } finally {
    awaited -= 1;
    if (!awaited) early.length = earlyFiles.length = 0;
  }
}

/**
 * Runs that were accepted. Of several the tab shows the one that is at work; the others wait their turn. A failure before
 * stays told until this begins.
 */
function queue(id: string, orders: Queued[]): void {
  const { tabs, runs } = useApp.getState();
  const tab = tabs.find((one) => one.id === id);
  if (!tab) return;
  const now = tab.run ? runs[tab.run] : undefined;
  const [first, ...rest] = orders;
  if (now && isActive(now)) patchTab(id, { queued: [...tab.queued, ...orders], failure: null });
  else if (first) patchTab(id, { run: first.id, runDocument: first.document, queued: [...tab.queued, ...rest], failure: null });
}

/** A run of a tab has begun, perhaps before those that were asked for earlier: now it is the one that is shown. */
function bring(run: string): void {
  const tab = tabOfRun(run);
  const order = tab?.queued.find(({ id }) => id === run);
  if (!tab || !order) return;
  const { runs } = useApp.getState();
  const now = tab.run ? runs[tab.run] : undefined;
  if (now?.status === "running") return; // two at a time: the first stays in sight
  const others = tab.queued.filter(({ id }) => id !== run);
  const back = now && tab.run && isActive(now) ? [{ id: tab.run, document: tab.runDocument }] : [];
  patchTab(tab.id, { run, runDocument: order.document, queued: [...back, ...others] });
}

/** The next of a tab's runs takes the place of one that is over. */
function advance(tab: Tab): void {
  const { runs } = useApp.getState();
  const left = tab.queued.filter(({ id }) => runs[id] && isActive(runs[id]));
  const next = left.find(({ id }) => runs[id]?.status === "running") ?? left[0];
  if (next) patchTab(tab.id, { run: next.id, runDocument: next.document, queued: left.filter((one) => one !== next) });
  else if (tab.queued.length) patchTab(tab.id, { queued: [] });
}

export const tabOfRun = (run: string): Tab | undefined =>
  useApp.getState().tabs.find((tab) => tab.run === run || tab.queued.some(({ id }) => id === run));

const documentOf = (tab: Tab, run: string): m.Document => (tab.run === run ? tab.runDocument : tab.queued.find(({ id }) => id === run)?.document) ?? tab.document;

export function runSelected(): Promise<string | null> {
  const { path } = activeTab();
  return run({ targets: selectedNodes().map((id) => flatId(path, id)) });
}

/** Seeds that are to change after each run do so now: what is on screen is what the next run will use. */
function turnSeeds(): void {
  const graph = activeTab().document;
  const turning = Object.entries(graph.ui?.nodes ?? {}).filter(([id, look]) => id in graph.nodes && look.seeds);
  if (!turning.length) return;
  edit("seed", ({ scopes }) => {
    const top = scopes[0] as m.Graph;
    for (const [id, look] of turning) {
      for (const [port, mode] of Object.entries(look.seeds ?? {})) {
        if (mode === "random") m.setValue(top, id, port, m.randomSeed());
        if (mode === "step") m.setValue(top, id, port, m.plus(seedOf(top, id, port), 1));
      }
    }
  });
}

function seedOf(graph: m.Graph, id: string, port: string): unknown {
  const node = graph.nodes[id];
  const spec = node && useApp.getState().catalogue.get(node.type);
  return node?.values?.[port] ?? spec?.inputs.find((input) => input.name === port)?.default ?? 0;
}

/** The seeds of the outer graph that are typed in, as `[node, port]`. */
export function seeds(): [string, string][] {
  const { document } = activeTab();
  const linked = new Set(document.links.map(({ to }) => to));
  const { catalogue } = useApp.getState();
  return Object.entries(document.nodes).flatMap(([id, node]) =>
    (catalogue.get(node.type)?.inputs ?? []).flatMap((input): [string, string][] =>
      input.widget?.widget === "seed" && !linked.has(m.joinPort(id, input.name)) ? [[id, input.name]] : [],
    ),
  );
}

export const hasSeeds = () => seeds().length > 0;

/** Whether every seed is another one after each run. */
export function seedsTurn(): boolean {
  const { document } = activeTab();
  const all = seeds();
  return all.length > 0 && all.every(([id, port]) => (m.lookOf(document, id).seeds?.[port] ?? "fixed") === "random");
}

/** New seeds after each run for the whole workflow, or the same again: as the sign beside each seed says for one. */
export function toggleSeeds(): void {
  const turn = !seedsTurn();
  const all = seeds();
  editDocument("seed", (draft) => {
    for (const [id, port] of all) {
      const { [port]: _, ...rest } = m.lookOf(draft, id).seeds ?? {};
      const modes = turn ? { ...rest, [port]: "random" as const } : rest;
      m.setLook(draft, [id], { seeds: Object.keys(modes).length ? modes : undefined });
    }
  });
}

/** A number of runs, each with seeds of its own: drawn, or one after the other. */
export function runTimes(count: number, how: "random" | "step"): Promise<number> {
  const { document } = activeTab();
  const all = seeds();
  const name = ([id, port]: [string, string]) => m.inputName(document, m.joinPort(id, port));
  const turn = ([id, port]: [string, string], at: number) => (how === "step" ? m.plus(seedOf(document, id, port), at) : m.randomSeed());
  const turns = Array.from({ length: count }, (_, at) => all.map((one) => [name(one), turn(one, at)] as const));
  // One seed is an axis with its name; several change together, row by row.
  const [only] = all;
  return runMany(only && all.length === 1 ? { sweep: { [name(only)]: turns.map((row) => row[0]?.[1]) } } : { rows: turns.map((row) => Object.fromEntries(row)) });
}
/** Once more with other seeds, as one step of undo. */
async function runNewSeeds(): Promise<void> {
  const chosen = seeds();
  edit("seed", ({ scopes }) => chosen.forEach(([id, port]) => m.setValue(scopes[0] as m.Graph, id, port, m.randomSeed())));
  await run();
}

/** All of the tab's runs. */
export async function cancelAll(): Promise<void> {
  const { run: now, queued } = activeTab();
  await Promise.all([...queued.map(({ id }) => id), ...(now ? [now] : [])].map((id) => cancelRun(id)));
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

export const waiting = (): NodeRun => ({ status: "waiting", step: 0, total: 0, seconds: 0, curve: [], values: {}, files: [] });

export function setNodes(run: string, change: (before: Record<string, NodeRun>) => Record<string, NodeRun>): void {
  useApp.setState((state) => ({ runNodes: { ...state.runNodes, [run]: change(state.runNodes[run] ?? {}) } }));
}

/** Of a node inside a repeated instance the state is that of the turn that was told of last. */
export function setNode(run: string, flat: string, change: Partial<NodeRun>): void {
  const node = plainId(run, flat);
  setNodes(run, (before) => ({ ...before, [node]: { ...waiting(), ...before[node], ...change } }));
}

/** The id of a node as the document of the run's tab has it. */
function plainId(run: string, flat: string): string {
  const tab = tabOfRun(run);
  return tab ? m.withoutTurns(documentOf(tab, run), flat) : flat;
}

export function plainNodes<T>(run: string, nodes: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(nodes).map(([flat, node]) => [plainId(run, flat), node]));
}

export function showResult(run: string, flat: string, result: Partial<Result>): void {
  const tab = tabOfRun(run);
  const node = plainId(run, flat);
  if (tab) setResult(resultKey(tab.id, node), result.values ? { ...result, values: news(tab.document, node, result.values) } : result);
  else if (awaited) early.push({ run, node, result });
}

/** At the node that made them, and at every instance around it, with what other turns and nodes of the run made. */
export function showFiles(run: string, flat: string, files: NodeFile[]): void {
  const tab = tabOfRun(run);
  if (tab) addToFeed(run, tab.id, plainId(run, flat), files);
  else if (awaited) earlyFiles.push({ run, flat, files });
  for (const node of around(plainId(run, flat))) {
    const before = tab && useResults.getState().results[resultKey(tab.id, node)];
    const others = before?.run === run ? before.files.filter((old) => !files.some((file) => file.digest === old.digest && file.name === old.name)) : [];
    showResult(run, node, { files: [...others, ...files], run, kept: undefined, live: undefined });
  }
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

/** The node that a file of a run is shown at: the one that saved it, or the one that an output of the workflow comes from. */
function makerOf(run: string, document: m.Document, file: RunFile): string {
  if (file.node) return plainId(run, file.node);
  const from = document.outputs?.find(({ name }) => name === file.output)?.from;
  return from ? m.splitPort(from).node : "";
}

/** `fresh`: it has ended just now, which is told; otherwise only where it was at work when this page last heard of it. */
export function takeRun(run: Run, fresh = false): void {
  const before = useApp.getState().runs[run.id];
  useApp.setState((state) => ({ runs: { ...state.runs, [run.id]: run } }));
  if (run.status === "running") bring(run.id);
  if (isActive(run)) return;
  const tab = tabOfRun(run.id);
  if (!tab) return;
  // What was told while it ran may have been without its document yet: the list at the end goes before.
  const made = new Map<string, NodeFile[]>();
  for (const file of run.files) {
    const maker = makerOf(run.id, documentOf(tab, run.id), file);
    if (fresh || (before && isActive(before))) addToFeed(run.id, tab.id, maker, [file]);
    for (const node of maker ? around(maker) : []) made.set(node, [...(made.get(node) ?? []), file]);
  }
  for (const [node, files] of made) setResult(resultKey(tab.id, node), { files, run: run.id, kept: undefined, live: undefined });
  clearLive(tab.id); // previews of what was not finished
  if (run.status === "failed" && (fresh || (before && isActive(before)))) patchTab(tab.id, { failure: run.id });
  if (tab.run === run.id) advance(tab);
  else patchTab(tab.id, { queued: tab.queued.filter(({ id }) => id !== run.id) });
  if (tab.id === useApp.getState().active) void checkAndPlan();
}

/** After a gap: how did the runs of our tabs end? Those that were `open` before it may have ended in it. */
export async function catchUp(open: ReadonlySet<string>): Promise<void> {
  for (const { id: tab, run: shown, queued } of useApp.getState().tabs) {
    if (shown) await followUp(tab, shown, open.has(shown));
    for (const order of queued) {
      const known = useApp.getState().runs[order.id];
      if (known && isActive(known)) continue;
      // One that waited is over, too. Where the run before it was, those in line have been taken out of it.
      if (tabOfRun(order.id)?.id !== tab) patchTab(tab, { queued: [order, ...waitingAt(tab)] });
      await followUp(tab, order.id, open.has(order.id));
    }
  }
}

/** What a run of a tab made while nothing was heard of it. */
async function followUp(tab: string, run: string, fresh: boolean): Promise<void> {
  try {
    const detail = await call("GET /runs/{id}", { path: { id: run } });
    setNodes(run, (before) => ({
      ...Object.fromEntries(Object.entries(plainNodes(detail.id, detail.nodes)).map(([id, node]) => [id, { ...before[id], ...node }])),
    }));
    for (const [node, { curve, values }] of Object.entries(detail.nodes)) {
      const told = values && Object.keys(values).length > 0;
      if (curve?.length || told) showResult(run, node, { ...(curve?.length ? { curve } : {}), ...(told ? { values } : {}) });
    }
    takeRun(detail, fresh);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) return;
    const shown = useApp.getState().tabs.some((one) => one.id === tab && one.run === run);
    patchTab(tab, { queued: waitingAt(tab).filter(({ id }) => id !== run), ...(shown ? { run: null, runDocument: null } : {}) });
  }
}

const waitingAt = (tab: string): readonly Queued[] => useApp.getState().tabs.find(({ id }) => id === tab)?.queued ?? [];
