/**
 * The records of the API that the editor uses: see docs/api.md. Those that are as the server describes them come from
 * the generated types; the others know more, or ask for less.
 */

import type { NodeSpec } from "../model";
import type { MediumInfo, PlanAnswer, Problem, QueueInfo, Run } from "./types";

export type { CheckAnswer, FileInfo, ModelInfo, Problem, QueueInfo, RevisionInfo, Run, RunFile, Template, WorkflowInfo } from "./types";
export type Plan = PlanAnswer;

/** A file as `node_finished` tells it: at once, also those of preview nodes. */
export interface NodeFile {
  name: string;
  digest: string;
  media_type: string;
  width?: number;
  height?: number;
  frames?: number;
  seconds?: number;
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

export interface CatalogueAnswer {
  digest: string;
  nodes: NodeSpec[];
  packs: { name: string; reason: string; remedy: string }[];
  rules: { variables: string[] };
  media: MediumInfo[];
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
  | { event: "node_warned"; run: string; node: string; problem: Problem }
  | { event: "run_finished"; run: string; status: Run["status"]; seconds: number };
