/** The records of the API that the editor uses: see docs/api.md. */

import type { NodeSpec } from "../model";

export interface Problem {
  code: string;
  message: string;
  hint: string;
  node: string | null;
  port: string | null;
  value?: unknown;
  details?: string | null;
}

export type PlanStatus = "cached" | "run" | "unknown" | "off" | "unneeded";

export interface Plan {
  ok: boolean;
  nodes: Record<string, { status: PlanStatus; seconds: number | null }>;
  seconds: number;
  problems: Problem[];
}

export interface CheckAnswer {
  ok: boolean;
  problems: Problem[];
  types: Record<string, Record<string, string>>;
}

export type RunStatus = "queued" | "running" | "paused" | "interrupted" | "done" | "failed" | "cancelled";

export interface RunFile {
  name: string;
  digest: string;
  media_type: string;
  size: number;
  width: number;
  height: number;
  node: string | null;
  output: string | null;
  url: string;
  thumbnail: string;
}

export interface Run {
  id: string;
  name: string;
  status: RunStatus;
  priority: number;
  rank: number;
  /** Seconds until it ends, where the answer tells. */
  left?: number | null;
  position: number | null;
  created: number;
  started: number | null;
  finished: number | null;
  seconds: number | null;
  estimate: number | null;
  progress: number | null;
  workflow: string | null;
  batch: string | null;
  inputs: Record<string, unknown>;
  problems: Problem[];
  outputs: Record<string, { file?: RunFile; value?: unknown; type?: string }[]>;
  files: RunFile[];
}

/** A file as `node_finished` tells it: at once, also those of preview nodes. */
export interface NodeFile {
  name: string;
  digest: string;
  media_type: string;
  width?: number;
  height?: number;
}

export interface NodeState {
  status: "waiting" | "running" | "ran" | "cached" | "failed" | "skipped" | "off";
  step: number;
  total: number;
  seconds: number;
  problem?: Problem;
  files?: NodeFile[];
  curve?: CurvePoint[];
  values?: NodeValues;
}

/** A step, and what was watched at it: a loss. */
export type CurvePoint = [step: number, value: number];

/** Outputs that can be read at a glance, by name. */
export type NodeValues = Record<string, unknown>;

export interface QueueInfo {
  paused: boolean;
  waiting: number;
  running: number;
  seconds: number | null;
}

export interface FileInfo {
  name: string;
  size: number;
  modified: number;
  media_type: string;
  url: string;
  thumbnail: string;
  digest: string;
  width: number;
  height: number;
  run: string | null;
}

export interface WorkflowInfo {
  name: string;
  revision: number;
  created: number;
  modified: number;
  description: string;
  nodes: number;
}

export interface RevisionInfo {
  revision: number;
  created: number;
  message: string;
  autosave: boolean;
  digest: string;
}

export interface Template {
  name: string;
  title: string;
  description: string;
  nodes: number;
  /** Address of a small picture; empty where there is none. */
  picture: string;
}

export interface ModelInfo {
  name: string;
  kind: string;
  family: string;
  size: number;
}

export interface CatalogueAnswer {
  digest: string;
  nodes: NodeSpec[];
  packs: { name: string; reason: string; remedy: string }[];
  rules: { variables: string[] };
}

export type ServerEvent =
  | { event: "snapshot"; runs: Run[]; nodes: Record<string, Record<string, NodeState>>; queue: QueueInfo }
  | { event: "run_changed"; run: Run }
  | { event: "run_removed"; id: string }
  | { event: "queue_changed"; queue: QueueInfo }
  | { event: "worker_changed" }
  | { event: "workflow_changed"; name: string; revision: number }
  | { event: "file_changed"; folder: string; name: string; removed: boolean }
  | { event: "run_started"; run: string; nodes: string[] }
  | { event: "node_started"; run: string; node: string }
  | { event: "node_progress"; run: string; node: string; step: number; total: number; curve?: CurvePoint[] }
  | { event: "node_finished"; run: string; node: string; cached: boolean; seconds: number; files?: NodeFile[]; values?: NodeValues }
  | { event: "node_skipped"; run: string; node: string; because: string }
  | { event: "node_failed"; run: string; node: string; problem: Problem }
  | { event: "run_finished"; run: string; status: RunStatus; seconds: number };
