/** The form of a workflow: its inputs as fields. Inputs of one name are one field that sets several ports. */

import type { Catalogue, InputSpec } from "./catalogue";
import { type Document, type Graph, splitPort } from "./document";
import { portsOf } from "./ports";

export interface FormField {
  name: string;
  help: string;
  /** The ports that it sets, as `node.port`. */
  ports: string[];
  /** Undefined where the node is gone or not installed. */
  spec: InputSpec | undefined;
  value: unknown;
}

export function formFields(document: Document, catalogue: Catalogue): FormField[] {
  const fields = new Map<string, FormField>();
  for (const entry of document.inputs ?? []) {
    const known = fields.get(entry.name);
    if (known) known.ports.push(entry.to);
    else fields.set(entry.name, { ...fieldOf(document, catalogue, entry.to), name: entry.name, ...(entry.help ? { help: entry.help } : {}) });
  }
  return [...fields.values()];
}

/** Any port as a field, named `node.port`. */
export function fieldOf(document: Document, catalogue: Catalogue, to: string): FormField {
  const { node, port } = splitPort(to);
  const data = document.nodes[node];
  const spec = data && portsOf([document], node, data, catalogue).inputs.find((input) => input.name === port);
  return { name: to, help: spec?.help ?? "", ports: [to], spec, value: data?.values?.[port] ?? spec?.default };
}

/** What a run calls a port: the input of the workflow that sets it, else `node.port`. */
export const inputName = (document: Document, to: string): string => document.inputs?.find((entry) => entry.to === to)?.name ?? to;

/** Puts the field `name` in front of `before`; at the end without it. */
export function moveInput(graph: Graph, name: string, before: string | undefined): void {
  const moved = (graph.inputs ?? []).filter((entry) => entry.name === name);
  const rest = (graph.inputs ?? []).filter((entry) => entry.name !== name);
  const at = before === undefined ? rest.length : rest.findIndex((entry) => entry.name === before);
  if (moved.length && at >= 0) graph.inputs = [...rest.slice(0, at), ...moved, ...rest.slice(at)];
}

export function removeInput(graph: Graph, name: string): void {
  graph.inputs = (graph.inputs ?? []).filter((entry) => entry.name !== name);
  if (!graph.inputs.length) delete graph.inputs;
}

/** Names are flags of the command line too: letters, digits and underscores. A taken one is left alone. */
export function renameInput(graph: Graph, name: string, wanted: string): void {
  const clean = wanted.trim().replace(/[^\p{L}\p{N}_]+/gu, "_").replace(/^_+|_+$/g, "");
  if (!clean || graph.inputs?.some((entry) => entry.name === clean)) return;
  for (const entry of graph.inputs ?? []) if (entry.name === name) entry.name = clean;
}

export interface Values {
  values: unknown[];
  /** Parts that are no value of this field. */
  wrong: string[];
}

const MANY = 1000;

/**
 * Several values of one field from what was typed: numbers separated by commas or blanks, `1..9` and `0..1..0.25` for
 * evenly spaced ones; texts one a line.
 */
export function parseValues(text: string, spec: InputSpec): Values {
  const numeric = spec.type === "int" || spec.type === "float";
  const parts = text
    .split(numeric ? /[,;\s]+/ : spec.type === "bool" || spec.choices.length ? /[,;\n]+/ : /\n+/)
    .map((part) => part.trim())
    .filter(Boolean);
  const found: Values = { values: [], wrong: [] };
  for (const part of parts) {
    if (numeric) {
      const numbers = part.includes("..") ? span(part) : [Number(part)];
      const good = numbers.length > 0 && numbers.every((number) => Number.isFinite(number) && (spec.type === "float" || Number.isInteger(number)));
      if (good) found.values.push(...numbers);
      else found.wrong.push(part);
    } else if (spec.type === "bool") {
      if (part === "true" || part === "false") found.values.push(part === "true");
      else found.wrong.push(part);
    } else if (spec.choices.length && !spec.choices.includes(part)) found.wrong.push(part);
    else found.values.push(part);
  }
  return found;
}

function span(part: string): number[] {
  const [first, last, step] = part.split("..").map(Number);
  if (first === undefined || last === undefined || !Number.isFinite(first) || !Number.isFinite(last)) return [];
  const by = Math.abs(step ?? 1) * Math.sign(last - first || 1);
  if (!by || Math.abs((last - first) / by) > MANY) return [];
  const count = Math.floor((last - first) / by + 1e-9) + 1;
  // Counted, not added up: 0.1 ten times is not 1.
  return Array.from({ length: count }, (_, index) => Number((first + index * by).toPrecision(12)));
}
