/** The ports of a subgraph: renamed, ordered, taken away, and what that means for its instances wherever they are. */

import type { portNames } from "./border";
import { definitionOf, type Graph, type InputEntry, type OutputEntry, SUBGRAPH } from "./document";
import { renameInRepeat } from "./repeat";

export type PortSide = "inputs" | "outputs";

/** All instances of a definition with the graphs that hold them, in the document and in every subgraph. */
export function instancesOf(top: Graph, definition: Graph): { graph: Graph; id: string }[] {
  const found: { graph: Graph; id: string }[] = [];
  const look = (scopes: readonly Graph[]) => {
    const graph = scopes[scopes.length - 1] as Graph;
    for (const [id, node] of Object.entries(graph.nodes)) {
      if (node.type.startsWith(SUBGRAPH) && definitionOf(scopes, node.type) === definition) found.push({ graph, id });
    }
    for (const inner of Object.values(graph.subgraphs ?? {})) look([...scopes, inner]);
  };
  look([top]);
  return found;
}

/** A name as ports may have: no dots, slashes or blanks; empty when nothing is left of it. */
export const portName = (wanted: string): string => wanted.trim().replace(/[./=\s]+/g, "_").replace(/^_+|_+$/g, "");

export const hasPort = (graph: Graph, side: PortSide, name: string): boolean => graph[side]?.some((entry) => entry.name === name) ?? false;

/** Renames a port, and follows it in the links and values of all instances. Several inner ports may share one name. */
export function renamePort(top: Graph, graph: Graph, side: PortSide, old: string, wanted: string): boolean {
  const name = portName(wanted);
  if (!name || hasPort(graph, side, name) || !hasPort(graph, side, old)) return false;
  for (const entry of graph[side] ?? []) if (entry.name === old) entry.name = name;
  for (const { graph: holder, id } of instancesOf(top, graph)) {
    const port = `${id}.${old}`;
    for (const link of holder.links) {
      if (side === "inputs" && link.to === port) link.to = `${id}.${name}`;
      if (side === "outputs" && link.from === port) link.from = `${id}.${name}`;
    }
    for (const entry of side === "inputs" ? (holder.inputs ?? []) : []) if (entry.to === port) entry.to = `${id}.${name}`;
    for (const entry of side === "outputs" ? (holder.outputs ?? []) : []) if (entry.from === port) entry.from = `${id}.${name}`;
    const instance = holder.nodes[id];
    if (instance) renameInRepeat(instance, side, old, name);
    const values = instance?.values;
    if (side === "inputs" && values && old in values) {
      values[name] = values[old];
      delete values[old];
    }
  }
  return true;
}

/**
 * Takes off instances what used a port that is no longer there. An instance that stands in a subgraph may have been all
 * that a port of that one led to: then that port goes, too, and so on outwards. Returns how many links that were.
 */
function forgetPort(top: Graph, graph: Graph, side: PortSide, name: string): number {
  let count = 0;
  for (const { graph: holder, id } of instancesOf(top, graph)) {
    const port = `${id}.${name}`;
    const instance = holder.nodes[id];
    if (instance) renameInRepeat(instance, side, name);
    const kept = holder.links.filter((link) => (side === "inputs" ? link.to !== port : link.from !== port));
    count += holder.links.length - kept.length;
    if (kept.length < holder.links.length) holder.links = kept;
    if (side === "inputs" && instance?.values) delete instance.values[name];
    for (const gone of forgetEntries(holder, side, port)) if (holder !== top) count += forgetPort(top, holder, side, gone);
  }
  return count;
}

/** Takes away the entries of a graph that lead to a port. Returns the names that none is left of. */
function forgetEntries(graph: Graph, side: PortSide, port: string): string[] {
  const entries: readonly (InputEntry | OutputEntry)[] = graph[side] ?? [];
  const leads = (entry: InputEntry | OutputEntry) => (side === "inputs" ? entry.to : entry.from) === port;
  const gone = entries.filter(leads).map(({ name }) => name);
  if (!gone.length) return [];
  const kept = entries.filter((entry) => !leads(entry));
  if (!kept.length) delete graph[side];
  else if (side === "inputs") graph.inputs = kept as InputEntry[];
  else graph.outputs = kept as OutputEntry[];
  return gone.filter((name) => !kept.some((entry) => entry.name === name));
}

/** After an edit inside a subgraph: ports that it took away are taken off all instances. Returns what that cost. */
export function forgetLost(top: Graph, graph: Graph, before: ReturnType<typeof portNames>): { names: string[]; links: number } {
  const lost = { names: [] as string[], links: 0 };
  for (const side of ["inputs", "outputs"] as const) {
    const now = new Set(graph[side]?.map(({ name }) => name));
    for (const name of new Set(before[side])) {
      const links = now.has(name) ? 0 : forgetPort(top, graph, side, name);
      if (!links) continue;
      lost.names.push(name);
      lost.links += links;
    }
  }
  return lost;
}

/** The ports as they are seen from outside: those that share a name are one. With what they lead to inside. */
export function shownPorts(graph: Graph, side: PortSide): { name: string; inner: string[]; index: number }[] {
  const found = new Map<string, { name: string; inner: string[]; index: number }>();
  const entries = side === "inputs" ? (graph.inputs ?? []) : (graph.outputs ?? []);
  entries.forEach((entry, index) => {
    const inner = "to" in entry ? entry.to : entry.from;
    const known = found.get(entry.name);
    if (known) known.inner.push(String(inner));
    else found.set(entry.name, { name: entry.name, inner: [String(inner)], index });
  });
  return [...found.values()];
}

/** Moves a port one place up (-1) or down (1), past a whole group of entries that share a name. */
export function movePort(graph: Graph, side: PortSide, name: string, by: -1 | 1): void {
  const shown = shownPorts(graph, side);
  const at = shown.findIndex((port) => port.name === name);
  const other = shown[at + by];
  const entries = graph[side] as { name: string }[] | undefined;
  if (at < 0 || !other || !entries) return;
  const own = entries.filter((entry) => entry.name === name);
  const rest = entries.filter((entry) => entry.name !== name);
  const named = rest.map((entry) => entry.name);
  const place = by < 0 ? named.indexOf(other.name) : named.lastIndexOf(other.name) + 1;
  entries.splice(0, entries.length, ...rest.slice(0, place), ...own, ...rest.slice(place));
}

/** Moves a port so that it is the one at `index`. */
export function placePort(graph: Graph, side: PortSide, name: string, index: number): void {
  const at = shownPorts(graph, side).findIndex((port) => port.name === name);
  for (let steps = at < 0 ? 0 : Math.abs(index - at); steps > 0; steps--) movePort(graph, side, name, index < at ? -1 : 1);
}

/** Whether an instance of `type` in the graph at the end of `scopes` would come to lie inside itself. */
export function holdsItself(scopes: readonly Graph[], type: string): boolean {
  const open = new Set(scopes.slice(1));
  const seen = new Set<Graph>();
  const todo = [definitionOf(scopes, type)];
  for (let graph = todo.pop(); graph; graph = todo.pop()) {
    if (open.has(graph)) return true;
    if (seen.has(graph)) continue;
    seen.add(graph);
    const inner = [...scopes, graph];
    for (const node of Object.values(graph.nodes)) {
      const next = node.type.startsWith(SUBGRAPH) ? definitionOf(inner, node.type) : undefined;
      if (next) todo.push(next);
    }
  }
  return false;
}
