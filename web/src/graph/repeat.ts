/** Instances of subgraphs that run several times: what their documents say of it, and what it does to their ports. */

import type { InputSpec, OutputSpec } from "./catalogue";
import { type Document, type Graph, type NodeData, scopesAt } from "./document";

export interface Repeat {
  /** Inputs that take a list, of which each turn sees one element. */
  each?: string[];
  /** The number of turns, or the name of an input that takes it. */
  times?: number | string;
  /** An output that says whether there is another turn. */
  while?: string;
  /** Input to output: what the turn before gave. */
  carry?: Record<string, string>;
  /** An input that gets the number of the turn. */
  index?: string;
  /** The greatest number of turns. */
  most?: number;
  [unknown: string]: unknown;
}

export const MOST_TURNS = 1000;

export function repeatOf(node: NodeData): Repeat | undefined {
  const found = node.repeat;
  return found && typeof found === "object" && !Array.isArray(found) ? (found as Repeat) : undefined;
}

/** Changes what an instance says; what is undefined or empty is taken out, and `null` takes all of it out. */
export function setRepeat(graph: Graph, id: string, change: Partial<Repeat> | null): void {
  const node = graph.nodes[id];
  if (!node) return;
  if (change === null) {
    delete node.repeat;
    return;
  }
  const next: Repeat = { ...repeatOf(node), ...change };
  for (const [name, value] of Object.entries(next)) if (isNothing(value)) delete next[name];
  if (next.most === MOST_TURNS) delete next.most;
  node.repeat = next;
}

function isNothing(value: unknown): boolean {
  if (value === undefined || value === "") return true;
  return typeof value === "object" && value !== null && !Object.keys(value).length;
}

/** What a loop goes by: the lists, a number, or a condition alone. */
export function repeatKind(repeat: Repeat | undefined): "none" | "each" | "times" | "while" {
  if (!repeat) return "none";
  if (repeat.each?.length) return "each";
  return repeat.times !== undefined ? "times" : "while";
}

/** The ports of a repeated instance: lists where turns take and give one element each. */
export function repeatedPorts(
  repeat: Repeat | undefined,
  inputs: InputSpec[],
  outputs: OutputSpec[],
  plain: Omit<InputSpec, "name">,
): { inputs: InputSpec[]; outputs: OutputSpec[] } {
  if (!repeat) return { inputs, outputs };
  const each = new Set(Array.isArray(repeat.each) ? repeat.each : []);
  const carried = new Set(Object.values(repeat.carry ?? {}));
  const list = (type: string) => (type === "?" ? type : `list[${type}]`);
  const shown = inputs
    .filter((port) => port.name !== repeat.index)
    .map((port): InputSpec =>
      each.has(port.name) ? { ...port, type: list(port.type), socket: true, required: true, default: null, widget: null } : port,
    );
  if (typeof repeat.times === "string" && !inputs.some((port) => port.name === repeat.times)) {
    shown.push({ ...plain, name: repeat.times, type: "int", required: true });
  }
  return { inputs: shown, outputs: outputs.map((port) => (carried.has(port.name) ? port : { ...port, type: list(port.type) })) };
}

/** Follows a port of the subgraph to its new name, or, without one, lets go of it. */
export function renameInRepeat(node: NodeData, side: "inputs" | "outputs", old: string, name?: string): void {
  const repeat = repeatOf(node);
  if (!repeat) return;
  const named = (given: string | undefined) => (given === old ? name : given);
  const keep = (given: string | undefined): given is string => given !== undefined;
  const next: Repeat = { ...repeat };
  if (side === "inputs") {
    if (next.each) next.each = next.each.map(named).filter(keep);
    next.index = named(next.index) as string;
    if (typeof next.times === "string") next.times = named(next.times) as string;
  } else next.while = named(next.while) as string;
  if (next.carry) {
    const pairs = Object.entries(next.carry).map(([input, output]) => (side === "inputs" ? [named(input), output] : [input, named(output)]));
    next.carry = Object.fromEntries(pairs.filter((pair): pair is [string, string] => pair.every(keep)));
  }
  for (const [key, value] of Object.entries(next)) if (isNothing(value)) delete next[key];
  if (repeatKind(next) === "while" && !next.while) delete node.repeat;
  else node.repeat = next;
}

/** The id of a node without the numbers of turns: `upscale/3/blur` is `upscale/blur` in the document. */
export function withoutTurns(document: Document, flat: string): string {
  if (!flat.includes("/")) return flat;
  const path: string[] = [];
  let repeated = false;
  for (const part of flat.split("/")) {
    const scopes = scopesAt(document, path);
    const inside = scopes.length === path.length + 1 ? scopes[scopes.length - 1] : undefined;
    if (repeated && /^\d+$/.test(part)) {
      repeated = false;
      continue;
    }
    const node = inside?.nodes[part];
    repeated = node !== undefined && repeatOf(node) !== undefined;
    path.push(part);
  }
  return path.join("/");
}
