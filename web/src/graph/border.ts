/**
 * The border of a subgraph as two nodes inside it: "Inputs", whose outputs are the inputs of the subgraph, and "Outputs".
 * Both follow from `inputs` and `outputs` of the definition; each entry is a wire to or from one of them. All that is
 * kept of them is their place, in `ui.nodes` under their ids, which no node can have: theirs hold no slash.
 */

import { type Drawing, type Graph, type InputEntry, joinPort, type Link, linkId, type OutputEntry, type Point, splitPort, touchLook } from "./document";
import type { PortSide } from "./interface";

export const INPUTS = "/inputs";
export const OUTPUTS = "/outputs";

/** The port of either node that a wire makes a new port of. */
export const NEW = "/new";

export const isBorder = (id: string): boolean => id === INPUTS || id === OUTPUTS;
export const borderOf = (side: PortSide): string => (side === "inputs" ? INPUTS : OUTPUTS);
export const sideOf = (border: string): PortSide => (border === INPUTS ? "inputs" : "outputs");
/** Whether the graph at the end of `scopes` has a border: only subgraphs do. */
export const hasBorder = (scopes: readonly Graph[]): boolean => scopes.length > 1;

const inputLink = (entry: InputEntry): Link => ({ ...drawing(entry), from: joinPort(INPUTS, entry.name), to: entry.to });
const outputLink = (entry: OutputEntry): Link => ({ ...drawing(entry), from: entry.from, to: joinPort(OUTPUTS, entry.name) });

/** How a wire is drawn is kept by its entry, as it is by a link. */
const drawing = ({ bend, flag }: Drawing): Drawing => ({ ...(bend ? { bend } : {}), ...(flag ? { flag } : {}) });

/** The entries of a subgraph's ports as links. */
export function borderLinks(graph: Graph): Link[] {
  return [...(graph.inputs ?? []).map(inputLink), ...(graph.outputs ?? []).map(outputLink)];
}

/** All links of the graph at the end of `scopes`, those to and from its border among them. */
export function linksOf({ scopes, graph }: { scopes: readonly Graph[]; graph: Graph }): readonly Link[] {
  return hasBorder(scopes) ? [...graph.links, ...borderLinks(graph)] : graph.links;
}

/** What keeps how a wire is drawn: its link, or the entry that it follows from. */
export function keeperOf(graph: Graph, wire: string): Link | InputEntry | OutputEntry | undefined {
  return (
    graph.links.find((link) => linkId(link) === wire) ??
    graph.inputs?.find((entry) => linkId(inputLink(entry)) === wire) ??
    graph.outputs?.find((entry) => linkId(outputLink(entry)) === wire)
  );
}

/** Takes links away, also those to and from the border: a port without any is no port. */
export function unlink({ scopes, graph }: { scopes: readonly Graph[]; graph: Graph }, gone: (link: Link) => boolean): void {
  graph.links = graph.links.filter((link) => !gone(link));
  if (!hasBorder(scopes)) return;
  if (graph.inputs?.some((entry) => gone(inputLink(entry)))) graph.inputs = graph.inputs.filter((entry) => !gone(inputLink(entry)));
  if (graph.outputs?.some((entry) => gone(outputLink(entry)))) graph.outputs = graph.outputs.filter((entry) => !gone(outputLink(entry)));
  if (!graph.inputs?.length) delete graph.inputs;
  if (!graph.outputs?.length) delete graph.outputs;
}

/** Puts the port that a border node calls `name`, or a new one, at the end `to` of a wire inside. */
export function enterAt(graph: Graph, name: string, to: string): void {
  const inputs = (graph.inputs ??= []);
  if (inputs.some((entry) => entry.to === to && entry.name === name)) return;
  // Those of one name lie together: the first of them says the type.
  const last = inputs.findLastIndex((entry) => entry.name === name);
  inputs.splice(last + 1 || inputs.length, 0, { name, to });
}

/** Gives the port that a border node calls `name` another source. */
export function leaveFrom(graph: Graph, name: string, from: string): void {
  const entry = graph.outputs?.find((candidate) => candidate.name === name);
  if (!entry) return;
  entry.from = from;
  delete entry.bend;
  delete entry.flag;
}

/** Names of the ports on both sides, to see afterwards which an edit took away. */
export function portNames(graph: Graph): Record<PortSide, readonly string[]> {
  return { inputs: graph.inputs?.map(({ name }) => name) ?? [], outputs: graph.outputs?.map(({ name }) => name) ?? [] };
}

/** Where the two nodes stand that nobody has moved: beside all others. */
export function borderPlace(id: string, width: number, around: { x: number; y: number; w: number } | undefined): Point {
  const { x, y, w } = around ?? { x: 0, y: 0, w: 0 };
  return id === INPUTS ? { x: x - GAP - width, y } : { x: x + w + GAP, y };
}

const GAP = 100;

export function moveBorder(graph: Graph, id: string, { x, y }: Point): void {
  Object.assign(touchLook(graph, id), { x: Math.round(x), y: Math.round(y) });
}

/** Keys under which ports of the border are selected. */
export const portKey = (side: PortSide, name: string): string => `/port/${side}/${name}`;

export function portOfKey(key: string): { side: PortSide; name: string } | undefined {
  const [, kind, side, name] = key.split("/");
  return kind === "port" && (side === "inputs" || side === "outputs") && name ? { side, name } : undefined;
}

/** Everything of the border that can be selected. */
export function borderKeys(graph: Graph): string[] {
  const { inputs, outputs } = portNames(graph);
  return [INPUTS, OUTPUTS, ...inputs.map((name) => portKey("inputs", name)), ...outputs.map((name) => portKey("outputs", name))];
}

/** The keys of the ports of the border that a link begins or ends at. */
export function portKeysOf(link: Link): string[] {
  return [splitPort(link.from), splitPort(link.to)].flatMap(({ node, port }) => (isBorder(node) ? [portKey(sideOf(node), port)] : []));
}

/** Both ends of a wire by the nodes that it joins. */
export const endsOf = (link: Link): [string, string] => [splitPort(link.from).node, splitPort(link.to).node];
