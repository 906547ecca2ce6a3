/**
 * Which fields of a node show, in which order, and below which headings. What is hidden acts with its default alone:
 * a field that is linked, exposed or has another value shows in any case, so that nothing acts unseen.
 */

import type { InputSpec } from "./catalogue";
import { sameJson } from "./json";
import type { NodePorts } from "./ports";

export type FieldRow =
  | { kind: "field"; input: InputSpec }
  | { kind: "group"; label: string }
  /** The line that opens and closes the fold of advanced fields; `hidden` are those that opening it would show. */
  | { kind: "fold"; open: boolean; hidden: number };

export interface FieldOptions {
  values?: Readonly<Record<string, unknown>> | undefined;
  /** Inputs at which links end: what they will be is not known here. */
  linked?: ReadonlySet<string> | undefined;
  /** Inputs that show whatever is said of them: linked, turned into sockets, in the form. */
  kept?: ReadonlySet<string> | undefined;
  /** Whether the fold is open. */
  open?: boolean | undefined;
}

const NONE: ReadonlySet<string> = new Set();

export function fieldRows(ports: NodePorts, { values = {}, linked = NONE, kept = NONE, open = false }: FieldOptions): FieldRow[] {
  const fields = ports.inputs.filter((input) => !input.socket);
  if (!fields.some(({ widget }) => widget?.group || widget?.advanced || hasCondition(widget))) {
    return fields.map((input) => ({ kind: "field", input }));
  }
  const byName = new Map(fields.map((input) => [input.name, input]));
  const acts = ({ name, required, default: plain }: InputSpec) =>
    required || kept.has(name) || (values[name] !== undefined && !sameJson(values[name], plain));
  const wanted = ({ widget }: InputSpec) =>
    Object.entries(widget?.shown_if ?? {}).every(([name, allowed]) => {
      if (linked.has(name)) return true;
      const value = values[name] ?? byName.get(name)?.default;
      return (allowed as unknown[]).some((candidate) => sameJson(candidate, value));
    });
  const there = fields.filter((input) => acts(input) || wanted(input));
  const advanced = there.filter(({ widget }) => widget?.advanced);
  const plain = grouped(there.filter(({ widget }) => !widget?.advanced));
  if (!advanced.length) return plain;
  const shown = open ? advanced : advanced.filter(acts);
  const hidden = advanced.filter((input) => !acts(input)).length;
  // Where all of them show anyway, there is nothing to open or close.
  return [...plain, ...(hidden ? [{ kind: "fold" as const, open, hidden }] : []), ...grouped(shown)];
}

/** Those without a group first, then each group below its heading. */
function grouped(fields: readonly InputSpec[]): FieldRow[] {
  const groups = new Map<string, InputSpec[]>([["", []]]);
  for (const input of fields) {
    const label = input.widget?.group ?? "";
    const list = groups.get(label);
    if (list) list.push(input);
    else groups.set(label, [input]);
  }
  return [...groups].flatMap(([label, list]): FieldRow[] => [
    ...(label ? [{ kind: "group" as const, label }] : []),
    ...list.map((input): FieldRow => ({ kind: "field", input })),
  ]);
}

function hasCondition(widget: InputSpec["widget"]): boolean {
  return Object.keys(widget?.shown_if ?? {}).length > 0;
}
