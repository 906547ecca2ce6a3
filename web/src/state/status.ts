/** What is said on a node: what it will do, does, or has done. */

import { create } from "zustand";
import type { NodeState, Problem, RunFile } from "../api/types";
import { isError } from "../i18n/problems";
import type { ResultKind } from "../graph";
import { type AppState, tabOf } from "./store";

export type StatusKind =
  | "none"
  | "cached"
  | "shared"
  | "will-run"
  | "maybe"
  | "waiting"
  | "running"
  | "done"
  | "failed"
  | "skipped"
  | "problem"
  | "unfinished"
  | "doubtful";

export interface Status {
  kind: StatusKind;
  step: number;
  total: number;
  seconds: number | null;
}

const NONE: Status = { kind: "none", step: 0, total: 0, seconds: null };
const interned = new Map<string, Status>();

/** Equal states are one object, so that a node is drawn again only when its state changes. */
function status(kind: StatusKind, seconds: number | null = null, step = 0, total = 0): Status {
  const key = `${kind} ${seconds} ${step} ${total}`;
  let found = interned.get(key);
  if (!found) {
    if (interned.size > 5000) interned.clear();
    interned.set(key, (found = { kind, step, total, seconds }));
  }
  return found;
}

/** A node and the instances around it: `a/b/c` is inside `a/b` and `a`. */
export function around(node: string): string[] {
  const path = node.split("/");
  return path.map((_, depth) => path.slice(0, path.length - depth).join("/"));
}

/** The id of a node in the flat graph that runs: with the instances that lead to it. */
export function flatId(path: readonly string[], id: string): string {
  return path.length ? `${path.join("/")}/${id}` : id;
}

/** `id` is flat; for an instance of a subgraph the states inside are summed up. */
export function nodeStatus(state: AppState, id: string): Status {
  const tab = tabOf(state);
  const run = tab.run ? state.runs[tab.run] : undefined;
  const nodes = tab.run ? state.runNodes[tab.run] : undefined;
  const active = run !== undefined && (run.status === "running" || run.status === "queued" || run.status === "interrupted");
  if (nodes && (active || tab.runDocument === tab.document)) {
    const own = nodes[id];
    if (own) return ofRun(own, active);
    const inner = Object.entries(nodes).filter(([key]) => key.startsWith(`${id}/`));
    if (inner.length) return sum(inner.map(([, node]) => ofRun(node, active)));
  }
  const told = tab.problems.filter((problem) => problem.node === id || problem.node?.startsWith(`${id}/`));
  if (told.length) return status(told.some((problem) => isError(problem) && !isCalm(tab, problem)) ? "problem" : told.some(isError) ? "unfinished" : "doubtful");
  const plan = tab.plan?.nodes;
  if (!plan) return NONE;
  const own = plan[id];
  if (own) return ofPlan(own, own.seconds);
  const call = Object.entries(plan).find(([key, node]) => node.turns && id.startsWith(`${key}/`));
  if (call) return ofPlan(call[1], null);
  const inner = Object.entries(plan).filter(([key]) => key.startsWith(`${id}/`));
  return inner.length ? sum(inner.map(([, node]) => ofPlan(node, node.seconds))) : NONE;
}

/** An input that nothing goes into yet is no mistake before somebody has tried to run the graph as it is. */
export function isCalm(tab: { document: unknown; tried: unknown }, { code }: Problem): boolean {
  return code === "missing_input" && tab.tried !== tab.document;
}

function ofRun(node: { status: string; step: number; total: number; seconds: number }, active: boolean): Status {
  switch (node.status) {
    case "running":
      return active ? status("running", null, node.step, node.total) : NONE;
    case "ran":
      return status("done", node.seconds);
    case "cached":
      return status("cached", node.seconds);
    case "failed":
      return status("failed");
    case "skipped":
      return status("skipped");
    case "waiting":
      return active ? status("waiting") : NONE;
    default:
      return NONE;
  }
}

function ofPlan({ status: planned, shared }: { status: string; shared?: boolean }, seconds: number | null): Status {
  if (planned === "cached") return status(shared ? "shared" : "cached", seconds);
  if (planned === "run") return status("will-run", seconds);
  return planned === "unknown" ? status("maybe", seconds) : NONE;
}

const ORDER: StatusKind[] = ["failed", "running", "problem", "unfinished", "doubtful", "waiting", "will-run", "maybe", "skipped", "done", "shared", "cached"];

function sum(parts: Status[]): Status {
  const kind = ORDER.find((candidate) => parts.some((part) => part.kind === candidate)) ?? "none";
  if (kind === "running") {
    const running = parts.find((part) => part.kind === "running");
    return status(kind, null, running?.step, running?.total);
  }
  const times = parts.filter((part) => part.kind === kind).map((part) => part.seconds ?? 0);
  return status(kind, times.reduce((total, time) => total + time, 0));
}

export function nodeProblem(state: AppState, id: string): Problem | undefined {
  const tab = tabOf(state);
  const failed = tab.run && tab.runDocument === tab.document ? state.runNodes[tab.run]?.[id]?.problem : undefined;
  const told = tab.problems.filter((problem) => problem.node === id && !isCalm(tab, problem));
  return failed ?? told.find(isError) ?? told[0];
}

/** 0..1: how much of a run is done, each node counting the same. */
export function progressOf(nodes: Record<string, { status: string; step: number; total: number }> | undefined): number {
  // Nodes inside a repeated instance count with it: it tells of its turns.
  const inside = (id: string) => id.split("/").some((_, at, parts) => at > 0 && parts.slice(0, at).join("/") in (nodes ?? {}));
  const all = Object.entries(nodes ?? {}).flatMap(([id, node]) => (node.status === "off" || (id.includes("/") && inside(id)) ? [] : [node]));
  if (!all.length) return 0;
  const done = all.map((node) => (node.status === "running" ? node.step / (node.total || 1) : node.status === "waiting" ? 0 : 1));
  return done.reduce((sum, part) => sum + part, 0) / all.length;
}

/** How many nodes will run, and about how long; null while it is not known. */
export function forecast(state: AppState): { count: number; seconds: number } | null {
  const plan = tabOf(state).plan;
  if (!plan?.ok) return null;
  const count = Object.values(plan.nodes).filter((node) => node.status === "run").length;
  return { count, seconds: plan.seconds };
}

/** A file that a node has made, as its end and the end of the run tell it. */
export type NodeFile = Pick<RunFile, "name" | "digest" | "media_type" | "width" | "height">;

/** Results and live previews by tab and flat id of the node; they live as long as the page. */
export interface Result {
  files: NodeFile[];
  /** What the cache has of it, as the plan tells: shown where no run of this page made it. */
  kept?: NodeFile[] | undefined;
  /** The run that made the files. */
  run?: string;
  /** Object URL of the newest preview while sampling. */
  live?: string | undefined;
  curve?: NodeState["curve"];
  values?: NodeState["values"];
}

/** What a node shows of a result; null for nothing. */
export function resultKind({ live, files, kept, curve, values }: Result): ResultKind | null {
  if (live || files.length || kept?.length) return "image";
  if (curve && curve.length > 1) return "curve";
  return values && Object.keys(values).length ? "values" : null;
}

export const useResults = create<{ results: Record<string, Result> }>()(() => ({ results: {} }));

export const resultKey = (tab: string, id: string) => `${tab}:${id}`;

export function setResult(key: string, change: Partial<Result>): void {
  useResults.setState(({ results }) => {
    const before = results[key];
    if (!before && !resultKind({ files: [], ...change })) return {};
    if (before?.live && before.live !== change.live && "live" in change) URL.revokeObjectURL(before.live);
    return { results: { ...results, [key]: { ...(before ?? { files: [] }), ...change } } };
  });
}

/** No node of a tab is at work any more. */
export function clearLive(tab: string): void {
  for (const [key, { live }] of Object.entries(useResults.getState().results)) {
    if (live && key.startsWith(`${tab}:`)) setResult(key, { live: undefined });
  }
}
