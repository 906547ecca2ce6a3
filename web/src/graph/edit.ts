/**
 * Edits of a graph. Each takes a draft (of immer) of the graph and changes it in place; `Scene` says around what.
 * Nothing here knows a page, a pointer or a key.
 */

import { enterAt, hasBorder, INPUTS, isBorder, leaveFrom, linksOf, moveBorder, NEW, OUTPUTS, unlink } from "./border";
import type { Catalogue } from "./catalogue";
import {
  copyOf,
  freshId,
  type Graph,
  joinPort,
  type Link,
  linkId,
  lookOf,
  type Mode,
  type NodeLook,
  type Point,
  splitPort,
  touchLook,
} from "./document";
import { inputType, linkFit, outputType, portsAt, portsOf, type FoundTypes } from "./ports";
import { canConnect, depthOf } from "./porttype";

/** Where an edit happens: the graphs from the document down to the edited one (the last), and what is installed. */
export interface Scene {
  scopes: readonly Graph[];
  graph: Graph;
  catalogue: Catalogue;
  types?: FoundTypes;
  /** What new nodes of a type begin with, in the place of its defaults. */
  standard?: (type: string) => Readonly<Record<string, unknown>> | undefined;
}

export function addNode(scene: Scene, type: string, at: Point, id?: string): string {
  const { graph, catalogue } = scene;
  const made = freshId(id ?? type, (taken) => taken in graph.nodes);
  const spec = catalogue.get(type);
  graph.nodes[made] = { type, ...(spec ? { version: spec.version } : {}), values: {} };
  const { x, y } = clearCorner(graph, at);
  Object.assign(touchLook(graph, made), { x: Math.round(x), y: Math.round(y) });
  const standard = scene.standard?.(type);
  if (standard) setValues(scene, made, standard);
  return made;
}

/** A place beside `at` where the corner of no other node is: what lies exactly upon another hides it. */
export function clearCorner(graph: Graph, at: Point): Point {
  const looks = Object.values(graph.ui?.nodes ?? {});
  const place = { ...at };
  while (looks.some(({ x, y }) => Math.abs(x - place.x) < BESIDE / 2 && Math.abs(y - place.y) < BESIDE / 2)) {
    place.x += BESIDE;
    place.y += BESIDE;
  }
  return place;
}

const BESIDE = 32;

/** Removes nodes and their links, and the workflow's inputs and outputs that pointed at them. */
export function removeNodes(graph: Graph, ids: ReadonlySet<string>): void {
  const gone = (port: string) => ids.has(splitPort(port).node);
  for (const id of ids) {
    delete graph.nodes[id];
    if (graph.ui?.nodes) delete graph.ui.nodes[id];
  }
  if (graph.links.some((link) => gone(link.from) || gone(link.to))) {
    graph.links = graph.links.filter((link) => !gone(link.from) && !gone(link.to));
  }
  if (graph.inputs?.some((entry) => gone(entry.to))) graph.inputs = graph.inputs.filter((entry) => !gone(entry.to));
  if (graph.outputs?.some((entry) => gone(entry.from))) {
    graph.outputs = graph.outputs.filter((entry) => !gone(entry.from));
  }
}

/** Removes nodes and joins what was before them to what was after, where the types allow. */
export function dissolve(scene: Scene, ids: ReadonlySet<string>): void {
  for (const id of ids) {
    const links = linksOf(scene);
    const into = links.filter((link) => splitPort(link.to).node === id);
    const out = links.filter((link) => splitPort(link.from).node === id);
    for (const link of out) {
      const source = into.find((candidate) => linkFit(scene.scopes, scene.catalogue, candidate.from, link.to).ok);
      if (source) connect(scene, source.from, link.to);
    }
    removeNodes(scene.graph, new Set([id]));
  }
}

/**
 * Makes a link. A second link into a plain input replaces the first; a list input collects several. Links to and from the
 * border of a subgraph make and change its ports.
 * Returns false when the types do not fit.
 */
export function connect(scene: Scene, from: string, to: string): boolean {
  const { graph } = scene;
  if (linksOf(scene).some((link) => link.from === from && link.to === to)) return true;
  if (!linkFit(scene.scopes, scene.catalogue, from, to, scene.types).ok) return false;
  const source = splitPort(from);
  const target = splitPort(to);
  if (target.node === OUTPUTS) {
    if (target.port === NEW) exposeOutput(graph, from);
    else leaveFrom(graph, target.port, from);
    return true;
  }
  if (from === joinPort(INPUTS, NEW) && graph.inputs?.some((entry) => entry.to === to)) return true;
  if (!takesSeveral(scene, to)) unlink(scene, (link) => link.to === to && link.from !== from);
  if (source.node !== INPUTS) graph.links.push({ from, to });
  else if (source.port === NEW) exposeInput(graph, to);
  else enterAt(graph, source.port, to);
  return true;
}

export function takesSeveral(scene: Scene, to: string): boolean {
  const { node, port } = splitPort(to);
  const input = portsAt(scene.scopes, node, scene.catalogue)?.inputs.find((entry) => entry.name === port);
  return input !== undefined && depthOf(inputType(input, scene.catalogue)) > 0;
}

/** Moves one end of all links of a port to another port of the same side. */
export function moveLinks(scene: Scene, from: string, to: string): void {
  if (from === to) return;
  const targets = linksOf(scene).filter((link) => link.from === from).map((link) => link.to);
  for (const target of targets) {
    if (connect(scene, to, target)) unlink(scene, (link) => link.from === from && link.to === target);
  }
}

/** The first free input of a node that takes `from`, a socket before a widget; undefined when none does. */
export function fittingInput(scene: Scene, from: string, id: string): string | undefined {
  const inputs = portsAt(scene.scopes, id, scene.catalogue)?.inputs;
  if (!inputs) return undefined;
  if (id === OUTPUTS) return joinPort(id, NEW);
  const taken = new Set(linksOf(scene).map((link) => link.to));
  const fits = inputs
    .map((input) => ({ input, to: `${id}.${input.name}` }))
    .filter(({ to }) => linkFit(scene.scopes, scene.catalogue, from, to, scene.types).ok);
  const exact = (port: { input: { type: string } }) => port.input.type === outputText(scene, from);
  const ranked = [
    fits.find((port) => port.input.socket && exact(port) && !taken.has(port.to)),
    fits.find((port) => port.input.socket && !taken.has(port.to)),
    fits.find((port) => exact(port) && !taken.has(port.to)),
    fits.find((port) => port.input.socket),
    fits[0],
  ];
  return ranked.find(Boolean)?.to;
}

function outputText(scene: Scene, from: string): string {
  const { node, port } = splitPort(from);
  return portsAt(scene.scopes, node, scene.catalogue)?.outputs.find((output) => output.name === port)?.type ?? "";
}

/** The first output of a node that fits the input `to`. */
export function fittingOutput(scene: Scene, id: string, to: string): string | undefined {
  if (id === INPUTS && hasBorder(scene.scopes) && !isBorder(splitPort(to).node)) return joinPort(id, NEW);
  return portsAt(scene.scopes, id, scene.catalogue)
    ?.outputs.map((output) => joinPort(id, output.name))
    .find((from) => linkFit(scene.scopes, scene.catalogue, from, to, scene.types).ok);
}

/** Puts a node into a wire: its first fitting input takes what the wire brought, its first fitting output goes on. */
export function insertOnLink(scene: Scene, id: string, wire: string): boolean {
  const link = linksOf(scene).find((candidate) => linkId(candidate) === wire);
  if (!link) return false;
  const { from, to } = { ...link };
  const input = fittingInput(scene, from, id);
  const output = fittingOutput(scene, id, to);
  if (!input || !output) return false;
  // The new ones first: a port of the border is there as long as a link is.
  const made = connect(scene, from, input) && connect(scene, output, to);
  unlink(scene, (candidate) => linkId(candidate) === wire);
  return made;
}

/** Whether `insertOnLink` would work; asked while a node hovers over a wire. */
export function fitsOnLink(scene: Scene, id: string, link: Link): boolean {
  const touches = (port: string) => splitPort(port).node === id;
  if (linksOf(scene).some((other) => touches(other.from) || touches(other.to))) return false;
  return fittingInput(scene, link.from, id) !== undefined && fittingOutput(scene, id, link.to) !== undefined;
}

export function setValue(graph: Graph, id: string, port: string, value: unknown): void {
  const node = graph.nodes[id];
  if (!node) return;
  node.values ??= {};
  node.values[port] = value;
}

/** Sets those values whose ports the node has. */
export function setValues({ scopes, graph, catalogue }: Scene, id: string, values: Readonly<Record<string, unknown>>): void {
  const node = graph.nodes[id];
  if (!node) return;
  const fields = new Set(portsOf(scopes, id, node, catalogue).inputs.map((input) => input.name));
  for (const [port, value] of Object.entries(values)) if (fields.has(port)) setValue(graph, id, port, copyOf(value));
}

/** Back to the default: the value is taken out, so that later defaults are followed. */
export function resetValue(graph: Graph, id: string, port: string): void {
  delete graph.nodes[id]?.values?.[port];
}

export function setMode(graph: Graph, ids: Iterable<string>, mode: Mode): void {
  for (const id of ids) {
    const node = graph.nodes[id];
    if (!node) continue;
    if (mode === "on") delete node.mode;
    else node.mode = mode;
  }
}

/** All of them get `mode`, or are on again when all have it already. */
export function toggleMode(graph: Graph, ids: readonly string[], mode: Exclude<Mode, "on">): void {
  setMode(graph, ids, ids.every((id) => graph.nodes[id]?.mode === mode) ? "on" : mode);
}

export function setTitle(graph: Graph, id: string, title: string): void {
  const node = graph.nodes[id];
  if (!node) return;
  if (title.trim()) node.title = title.trim();
  else delete node.title;
}

/** Changes the look of nodes; an undefined field is taken out. */
export function setLook(graph: Graph, ids: Iterable<string>, change: Partial<NodeLook>): void {
  for (const id of ids) {
    if (!(id in graph.nodes)) continue;
    const look = touchLook(graph, id);
    for (const [key, value] of Object.entries(change)) {
      if (value === undefined) delete look[key];
      else look[key] = value;
    }
  }
}

/** Shows a widget as a socket, or again as a widget; then its link goes. */
export function toggleSocket(graph: Graph, id: string, port: string): void {
  const look = touchLook(graph, id);
  const target = `${id}.${port}`;
  const linked = graph.links.some((link) => link.to === target);
  const shown = look.sockets?.includes(port) ?? false;
  if (shown || linked) {
    look.sockets = look.sockets?.filter((name) => name !== port);
    if (!look.sockets?.length) delete look.sockets;
    if (linked) graph.links = graph.links.filter((link) => link.to !== target);
  } else {
    look.sockets = [...(look.sockets ?? []), port];
  }
}

/** Gives a node another type. Values whose port has the same name and type stay, and links that still fit. */
export function swapType(scene: Scene, id: string, type: string): void {
  const { graph, catalogue, scopes } = scene;
  const node = graph.nodes[id];
  if (!node) return;
  const old = portsOf(scopes, id, node, catalogue);
  const incoming = graph.links.filter((link) => splitPort(link.to).node === id).map((link) => ({ ...link }));
  const outgoing = graph.links.filter((link) => splitPort(link.from).node === id).map((link) => ({ ...link }));
  graph.links = graph.links.filter((link) => splitPort(link.to).node !== id && splitPort(link.from).node !== id);
  node.type = type;
  const spec = catalogue.get(type);
  if (spec) node.version = spec.version;
  else delete node.version;
  const now = portsOf(scopes, id, node, catalogue);
  for (const name of Object.keys(node.values ?? {})) {
    const before = old.inputs.find((input) => input.name === name);
    const after = now.inputs.find((input) => input.name === name);
    if (before && after && before.type === after.type) continue;
    delete node.values?.[name];
  }
  for (const link of incoming) {
    const same = connect(scene, link.from, link.to);
    const other = same ? undefined : fittingInput(scene, link.from, id);
    if (other && !graph.links.some((existing) => existing.to === other)) connect(scene, link.from, other);
  }
  for (const link of outgoing) {
    if (connect(scene, link.from, link.to)) continue;
    const other = fittingOutput(scene, id, link.to);
    if (other) connect(scene, other, link.to);
  }
}

/** Types of the catalogue that have an input for the output `from`, or an output for the input `to`. */
export function fittingTypes(scene: Scene, port: { from?: string; to?: string }): string[] {
  const { node, port: name } = splitPort(port.from ?? port.to ?? "");
  const ports = portsAt(scene.scopes, node, scene.catalogue);
  if (!ports) return [];
  const output = ports.outputs.find((entry) => entry.name === name);
  const input = ports.inputs.find((entry) => entry.name === name);
  const found: string[] = [];
  for (const spec of scene.catalogue.nodes) {
    const fits =
      port.from !== undefined && output
        ? spec.inputs.some(
            (entry) =>
              canConnect(
                outputType(output, scene.catalogue, scene.types?.[node]?.[name]),
                inputType(entry, scene.catalogue),
              ).ok,
          )
        : input !== undefined &&
          spec.outputs.some(
            (entry) => canConnect(outputType(entry, scene.catalogue), inputType(input, scene.catalogue)).ok,
          );
    if (fits) found.push(spec.id);
  }
  return found;
}

// Parameters and results of the whole workflow (and, inside a subgraph, its ports).

export function exposeInput(graph: Graph, to: string, name?: string): void {
  if (graph.inputs?.some((entry) => entry.to === to)) return;
  const taken = new Set(graph.inputs?.map((entry) => entry.name));
  graph.inputs = [
    ...(graph.inputs ?? []),
    { name: freshId(name ?? splitPort(to).port, (candidate) => taken.has(candidate)), to },
  ];
}

export function exposeOutput(graph: Graph, from: string, name?: string): void {
  if (graph.outputs?.some((entry) => entry.from === from)) return;
  const taken = new Set(graph.outputs?.map((entry) => entry.name));
  graph.outputs = [
    ...(graph.outputs ?? []),
    { name: freshId(name ?? splitPort(from).port, (candidate) => taken.has(candidate)), from },
  ];
}

export function hidePort(graph: Graph, port: string): void {
  if (graph.inputs) graph.inputs = graph.inputs.filter((entry) => entry.to !== port);
  if (graph.outputs) graph.outputs = graph.outputs.filter((entry) => entry.from !== port);
  if (!graph.inputs?.length) delete graph.inputs;
  if (!graph.outputs?.length) delete graph.outputs;
}

export function orderPort(graph: Graph, side: "inputs" | "outputs", index: number, by: number): void {
  const list = graph[side] as unknown[] | undefined;
  const target = index + by;
  if (!list || index < 0 || index >= list.length || target < 0 || target >= list.length) return;
  const [moved] = list.splice(index, 1);
  list.splice(target, 0, moved);
}

export function moveNodes(graph: Graph, places: Readonly<Record<string, Point>>): void {
  for (const [id, place] of Object.entries(places)) {
    const now = lookOf(graph, id);
    if (isBorder(id)) moveBorder(graph, id, place);
    if (!(id in graph.nodes) || (now.x === place.x && now.y === place.y)) continue;
    const look = touchLook(graph, id);
    look.x = Math.round(place.x);
    look.y = Math.round(place.y);
  }
}
