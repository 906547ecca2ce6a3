/** The ports of a node as it stands in a graph: of its type, of the subgraph it is an instance of, or, for an unknown
 * type, those that its values and links speak of. */

import { type Catalogue, type InputSpec, labelOf, type OutputSpec } from "./catalogue";
import { hasBorder, INPUTS, isBorder, linksOf, NEW, OUTPUTS } from "./border";
import { definitionOf, type Graph, lookOf, type NodeData, splitPort, SUBGRAPH } from "./document";
import { repeatedPorts, repeatOf } from "./repeat";
import { canConnect, type Fit, no, type PortType, portType } from "./porttype";

export interface NodePorts {
  title: string;
  help: string;
  category: string;
  inputs: InputSpec[];
  outputs: OutputSpec[];
  /** Why the node cannot run here; the empty string if it can. */
  missing: "" | "type" | "subgraph";
  output: boolean;
  /** What to use instead of it, and why. */
  deprecated: string;
}

/** A type that connects to everything: what is known of the ports of nodes that are not installed. */
const UNKNOWN: PortType = { name: "?", args: [], choices: [], variable: true };

const plainInput: Omit<InputSpec, "name"> = {
  type: "?",
  socket: true,
  required: false,
  lazy: false,
  default: null,
  choices: [],
  widget: null,
  help: "",
};

/** What is made an input of a subgraph is there to be set, and the fields that its condition names are not beside it. */
const PLAIN = { group: "", advanced: false, shown_if: {} };

const known = new WeakMap<Catalogue, Map<string, NodePorts>>();

/** `scopes` are the graphs from the document down to the one that holds the node. */
export function portsOf(scopes: readonly Graph[], id: string, node: NodeData, catalogue: Catalogue): NodePorts {
  if (node.type.startsWith(SUBGRAPH)) return instancePorts(scopes, id, node, catalogue, 0);
  const spec = catalogue.get(node.type);
  if (!spec) return guessedPorts(scopes, id, node, "type");
  let byType = known.get(catalogue);
  if (!byType) known.set(catalogue, (byType = new Map()));
  let ports = byType.get(node.type);
  if (!ports) {
    const { title, help, category, inputs, outputs, output, deprecated } = spec;
    byType.set(node.type, (ports = { title, help, category, inputs, outputs, output, deprecated, missing: "" }));
  }
  return ports;
}

function instancePorts(
  scopes: readonly Graph[],
  id: string,
  node: NodeData,
  catalogue: Catalogue,
  depth: number,
): NodePorts {
  const definition = definitionOf(scopes, node.type);
  if (!definition || depth > 50) return guessedPorts(scopes, id, node, "subgraph");
  const { inputs, outputs } = shownOutside([...scopes, definition], catalogue, depth);
  return {
    title: definition.name || labelOf(node.type.slice(SUBGRAPH.length)),
    help: definition.description ?? "",
    category: "subgraph",
    ...repeatedPorts(repeatOf(node), inputs, outputs, plainInput),
    missing: "",
    output: false,
    deprecated: "",
  };
}

/** The ports of the subgraph at the end of `scopes`, as one turn of it has them. */
function shownOutside(scopes: readonly Graph[], catalogue: Catalogue, depth: number): Pick<NodePorts, "inputs" | "outputs"> {
  const definition = scopes[scopes.length - 1] as Graph;
  const inside = (port: string) => {
    const { node: innerId, port: name } = splitPort(port);
    const innerNode = definition.nodes[innerId];
    if (!innerNode) return undefined;
    const ports = innerNode.type.startsWith(SUBGRAPH)
      ? instancePorts(scopes, innerId, innerNode, catalogue, depth + 1)
      : portsOf(scopes, innerId, innerNode, catalogue);
    return { ports, name, value: innerNode.values?.[name] };
  };
  const inputs = new Map<string, InputSpec>();
  for (const entry of definition.inputs ?? []) {
    if (inputs.has(entry.name)) continue; // one input may feed several ports; the first says its type
    const found = inside(entry.to);
    const spec = found?.ports.inputs.find((port) => port.name === found.name);
    inputs.set(entry.name, {
      ...plainInput,
      ...spec,
      widget: spec?.widget ? { ...spec.widget, ...PLAIN } : null,
      name: entry.name,
      help: entry.help ?? spec?.help ?? "",
      default: (found?.value ?? spec?.default ?? null) as InputSpec["default"],
      required: (spec?.required ?? false) && found?.value === undefined,
    });
  }
  const outputs = (definition.outputs ?? []).map((entry): OutputSpec => {
    const found = inside(entry.from);
    const spec = found?.ports.outputs.find((port) => port.name === found.name);
    return { type: "?", choices: [], help: "", ...spec, name: entry.name };
  });
  return { inputs: [...inputs.values()], outputs };
}

/** What is known of the ports of a node, or of one of the two that stand for the border of a subgraph. */
export function portsAt(scopes: readonly Graph[], id: string, catalogue: Catalogue): NodePorts | undefined {
  if (isBorder(id)) return hasBorder(scopes) ? borderPorts(scopes, id, catalogue) : undefined;
  const node = scopes[scopes.length - 1]?.nodes[id];
  return node && portsOf(scopes, id, node, catalogue);
}

/** In the order that the subgraph shows outside, and one more for what is not a port yet. */
function borderPorts(scopes: readonly Graph[], id: string, catalogue: Catalogue): NodePorts {
  const { inputs, outputs } = shownOutside(scopes, catalogue, 0);
  const plain = { title: "", help: "", category: "", missing: "", output: false, deprecated: "" } as const;
  if (id === INPUTS) {
    const given = inputs.map(({ name, type, choices, help }): OutputSpec => ({ name, type, choices, help }));
    return { ...plain, inputs: [], outputs: [...given, { name: NEW, type: "?", choices: [], help: "" }] };
  }
  const taken = outputs.map(({ name, type, choices, help }): InputSpec => ({ ...plainInput, name, type, choices, help }));
  return { ...plain, inputs: [...taken, { ...plainInput, name: NEW }], outputs: [] };
}

function guessedPorts(
  scopes: readonly Graph[],
  id: string,
  node: NodeData,
  missing: "type" | "subgraph",
): NodePorts {
  const graph = scopes[scopes.length - 1];
  const inputs = new Set<string>();
  const outputs = new Set<string>();
  for (const link of graph?.links ?? []) {
    const to = splitPort(link.to);
    const from = splitPort(link.from);
    if (to.node === id) inputs.add(to.port);
    if (from.node === id) outputs.add(from.port);
  }
  return {
    title: node.type,
    help: "",
    category: "",
    inputs: [...inputs].map((name) => ({ ...plainInput, name })),
    outputs: [...outputs].map((name) => ({ name, type: "?", choices: [], help: "" })),
    missing,
    output: false,
    deprecated: "",
  };
}

/** Whether this input shows a socket: by nature, by the user's wish, or because a link ends there. */
export function isSocket(graph: Graph, id: string, input: InputSpec, linked: ReadonlySet<string>): boolean {
  return input.socket || linked.has(input.name) || (lookOf(graph, id).sockets?.includes(input.name) ?? false);
}

/** Images, videos and the like that are chosen in the fields of a node, by their names in the input folder. */
export function pickedImages(ports: NodePorts, node: NodeData, linked: ReadonlySet<string>): string[] {
  return ports.inputs.flatMap(({ name, widget }) => {
    const value = node.values?.[name];
    const picks = widget?.widget === "file" && widget.kind !== "any" && widget.kind !== "text" && !linked.has(name);
    return picks && typeof value === "string" && value ? [value] : [];
  });
}

export function inputType(input: InputSpec, catalogue: Catalogue): PortType {
  return input.type === "?" ? UNKNOWN : portType(input.type, input.choices, catalogue.variables);
}

/** `found` is the type that the server's check worked out for this output in this graph, where it has. */
export function outputType(output: OutputSpec, catalogue: Catalogue, found?: string): PortType {
  if (output.type === "?") return UNKNOWN;
  return portType(found ?? output.type, output.choices, catalogue.variables);
}

/** The types that outputs have in this graph, by node and output: filled in by the server's check. */
export type FoundTypes = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Whether `from` may feed `to`, both written `node.port`. A circle is refused as well. */
export function linkFit(
  scopes: readonly Graph[],
  catalogue: Catalogue,
  from: string,
  to: string,
  found: FoundTypes = {},
): Fit {
  const graph = scopes[scopes.length - 1];
  const source = splitPort(from);
  const target = splitPort(to);
  const giver = portsAt(scopes, source.node, catalogue);
  const taker = portsAt(scopes, target.node, catalogue);
  if (!graph || !giver || !taker || (isBorder(source.node) && isBorder(target.node))) return no({ why: "node" });
  const output = giver.outputs.find((port) => port.name === source.port);
  const input = taker.inputs.find((port) => port.name === target.port);
  if (!output || !input) return no({ why: "port" });
  const type = outputType(output, catalogue, found[source.node]?.[source.port]);
  const fit = canConnect(type, inputType(input, catalogue));
  if (!fit.ok) return fit;
  return reaches(graph, target.node, source.node) ? no({ why: "circle" }) : fit;
}

/** Whether data flows from `start` to `end`. */
export function reaches(graph: Graph, start: string, end: string): boolean {
  return connected(graph, start, "down").has(end);
}

/** All ports that `port` could be linked with: inputs for an output, outputs for an input. One pass over the graph. */
export function fittingPorts(
  scopes: readonly Graph[],
  catalogue: Catalogue,
  port: string,
  side: "output" | "input",
  found: FoundTypes = {},
): Set<string> {
  const graph = scopes[scopes.length - 1];
  const { node: own, port: name } = splitPort(port);
  const ports = portsAt(scopes, own, catalogue);
  const fits = new Set<string>();
  if (!graph || !ports) return fits;
  const output = ports.outputs.find((entry) => entry.name === name);
  const input = ports.inputs.find((entry) => entry.name === name);
  const closed = connected(graph, own, side === "output" ? "up" : "down");
  for (const id of boxesOf(scopes)) {
    const other = closed.has(id) || (isBorder(own) && isBorder(id)) ? undefined : portsAt(scopes, id, catalogue);
    if (!other) continue;
    if (side === "output" && output) {
      const type = outputType(output, catalogue, found[own]?.[name]);
      for (const entry of other.inputs) {
        if (canConnect(type, inputType(entry, catalogue)).ok) fits.add(`${id}.${entry.name}`);
      }
    } else if (side === "input" && input) {
      const type = inputType(input, catalogue);
      for (const entry of other.outputs) {
        if (canConnect(outputType(entry, catalogue, found[id]?.[entry.name]), type).ok) fits.add(`${id}.${entry.name}`);
      }
    }
  }
  return fits;
}

/** The nodes of the graph at the end of `scopes`, with those of its border. */
const boxesOf = (scopes: readonly Graph[]) => [...Object.keys(scopes[scopes.length - 1]?.nodes ?? {}), ...(hasBorder(scopes) ? [INPUTS, OUTPUTS] : [])];

export interface PossibleLink {
  from: string;
  to: string;
  /** Of the output, as the catalogue writes it. */
  type: string;
}

/** Every link that could be made at the ports of a node and is not there yet: sockets first, then widgets. */
export function possibleLinks(
  scopes: readonly Graph[],
  catalogue: Catalogue,
  id: string,
  found: FoundTypes = {},
): PossibleLink[] {
  const graph = scopes[scopes.length - 1];
  const ports = portsAt(scopes, id, catalogue);
  if (!graph || !ports) return [];
  const there = new Set(linksOf({ scopes, graph }).map((link) => `${link.from}>${link.to}`));
  const specs = new Map(boxesOf(scopes).map((key) => [key, portsAt(scopes, key, catalogue)]));
  const list: (PossibleLink & { socket: boolean })[] = [];
  const add = (from: string, to: string) => {
    if (there.has(`${from}>${to}`)) return;
    const target = splitPort(to);
    const source = splitPort(from);
    const socket = specs.get(target.node)?.inputs.find((input) => input.name === target.port)?.socket ?? false;
    const type = specs.get(source.node)?.outputs.find((output) => output.name === source.port)?.type ?? "?";
    list.push({ from, to, type, socket });
  };
  for (const { name } of ports.outputs) {
    const from = `${id}.${name}`;
    for (const to of fittingPorts(scopes, catalogue, from, "output", found)) add(from, to);
  }
  for (const { name } of ports.inputs) {
    const to = `${id}.${name}`;
    for (const from of fittingPorts(scopes, catalogue, to, "input", found)) add(from, to);
  }
  const sorted = [...list.filter((link) => link.socket), ...list.filter((link) => !link.socket)];
  return sorted.map(({ from, to, type }) => ({ from, to, type }));
}

/** A node with all that it depends on (`up`), or all that depends on it (`down`). */
export function connected(graph: Graph, start: string, direction: "up" | "down"): Set<string> {
  const next = new Map<string, string[]>();
  for (const link of graph.links) {
    const from = splitPort(link.from).node;
    const to = splitPort(link.to).node;
    const [key, value] = direction === "up" ? [to, from] : [from, to];
    const list = next.get(key);
    if (list) list.push(value);
    else next.set(key, [value]);
  }
  const seen = new Set([start]);
  const todo = [start];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    for (const id of next.get(at) ?? []) {
      if (seen.has(id)) continue;
      seen.add(id);
      todo.push(id);
    }
  }
  return seen;
}
