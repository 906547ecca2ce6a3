/** Subgraphs: made from chosen nodes, unpacked again, their ports named and ordered. */

import {
  copyOf,
  definitionOf,
  type Drawing,
  freshId,
  type Graph,
  type InputEntry,
  type Link,
  lookOf,
  type OutputEntry,
  type Point,
  splitPort,
  SUBGRAPH,
  touchLook,
} from "./document";
import type { Scene } from "./edit";
import { addNode, removeNodes } from "./edit";
import { copyItems, frameKey, movedLink, noteKey, removeItems } from "./items";

/**
 * Moves the chosen nodes, frames and notes into a new subgraph and puts one instance in their place. Links that cross the
 * border become its inputs and outputs, and keep their names. Returns the id of the instance, or undefined when nothing was chosen.
 */
export function makeSubgraph(scene: Scene, ids: ReadonlySet<string>, title: string): string | undefined {
  const { graph } = scene;
  const chosen = [...ids].filter((id) => id in graph.nodes);
  if (!chosen.length) return undefined;
  const isIn = (port: string) => ids.has(splitPort(port).node);
  const inside: Graph = { name: title, nodes: {}, links: [], ui: { nodes: {} } };
  for (const id of Object.keys(graph.nodes)) {
    if (!ids.has(id)) continue;
    inside.nodes[id] = copyOf(graph.nodes[id]) as Graph["nodes"][string];
    Object.assign(touchLook(inside, id), copyOf(lookOf(graph, id)));
  }
  const isItem = ({ id }: { id: string }, key: (id: string) => string) => ids.has(key(id));
  const { frames = [], notes = [] } = graph.ui ?? {};
  copyItems(inside, { frames: frames.filter((one) => isItem(one, frameKey)), notes: notes.filter((one) => isItem(one, noteKey)) }, ({ x, y }) => ({ x, y }));
  removeItems(graph, ids);
  const inputs: InputEntry[] = [];
  const outputs: OutputEntry[] = [];
  const outer: Link[] = [];
  const inputBySource = new Map<string, string>();
  const outputBySource = new Map<string, string>();
  const name = (wanted: string, list: readonly { name: string }[]) =>
    freshId(wanted, (taken) => list.some((entry) => entry.name === taken));
  const outgoing: Link[] = [];
  for (const link of graph.links) {
    const from = isIn(link.from);
    const to = isIn(link.to);
    if (from && to) inside.links.push(copyOf(link));
    else if (to) {
      // Several inner ports fed by one outer output become one input of the subgraph.
      let port = inputBySource.get(link.from);
      if (!port) {
        inputBySource.set(link.from, (port = name(splitPort(link.to).port, inputs)));
        outer.push({ from: link.from, to: port, ...named(link) });
      }
      inputs.push({ name: port, to: link.to });
    } else if (from) {
      let port = outputBySource.get(link.from);
      if (!port) {
        outputBySource.set(link.from, (port = name(splitPort(link.from).port, outputs)));
        outputs.push({ name: port, from: link.from });
      }
      outgoing.push({ from: port, to: link.to, ...named(link) });
    }
  }
  const exposed = (graph.inputs ?? []).filter((entry) => isIn(entry.to));
  const shown = (graph.outputs ?? []).filter((entry) => isIn(entry.from));
  const inputNames = new Map(
    exposed.map((entry) => {
      const port = inputs.find((other) => other.to === entry.to)?.name ?? name(entry.name, inputs);
      if (!inputs.some((other) => other.to === entry.to)) inputs.push({ name: port, to: entry.to });
      return [entry.to, port];
    }),
  );
  const outputNames = new Map(
    shown.map((entry) => {
      const port = outputBySource.get(entry.from) ?? name(entry.name, outputs);
      if (!outputBySource.has(entry.from)) outputs.push({ name: port, from: entry.from });
      outputBySource.set(entry.from, port);
      return [entry.from, port];
    }),
  );
  if (inputs.length) inside.inputs = inputs;
  if (outputs.length) inside.outputs = outputs;

  const top = scene.scopes[0] as Graph;
  top.subgraphs ??= {};
  const subgraphs = top.subgraphs;
  const key = freshId(title, (taken) => scene.scopes.some((scope) => scope.subgraphs && taken in scope.subgraphs));
  subgraphs[key] = inside;
  const looks = chosen.map((id) => lookOf(graph, id));
  const at = middleOf(looks);
  // The ports of the whole workflow go on through the instance, in their order.
  const workflowInputs = graph.inputs?.map((entry) => copyOf(entry));
  const workflowOutputs = graph.outputs?.map((entry) => copyOf(entry));
  removeNodes(graph, ids);
  const instance = addNode(scene, SUBGRAPH + key, at, key);
  delete graph.nodes[instance]?.values;
  for (const link of outer) graph.links.push({ ...link, to: `${instance}.${link.to}` });
  for (const link of outgoing) graph.links.push({ ...link, from: `${instance}.${link.from}` });
  if (workflowInputs) {
    graph.inputs = workflowInputs.map((entry) =>
      inputNames.has(entry.to) ? { ...entry, to: `${instance}.${inputNames.get(entry.to)}` } : entry,
    );
  }
  if (workflowOutputs) {
    graph.outputs = workflowOutputs.map((entry) =>
      outputNames.has(entry.from) ? { ...entry, from: `${instance}.${outputNames.get(entry.from)}` } : entry,
    );
  }
  return instance;
}

/** Where an instance stands for nodes, and they for it. */
function middleOf(places: readonly Point[]): Point {
  return { x: places.reduce((sum, { x }) => sum + x, 0) / places.length, y: Math.min(...places.map(({ y }) => y)) };
}

/** The name that a link is shown as stays with it; its bends do not, where its ends are elsewhere. */
const named = ({ flag }: Drawing): Drawing => (flag ? { flag } : {});

/**
 * Puts the nodes of an instance in its place, with the frames and notes around them. What is muted or bypassed stays so; a
 * repetition goes. Returns the keys of what is there now.
 */
export function unpackSubgraph(scene: Scene, id: string): string[] {
  const { graph, scopes } = scene;
  const node = graph.nodes[id];
  const definition = node && definitionOf(scopes, node.type);
  if (!node || !definition) return [];
  const own = copyOf(node);
  const into = graph.links.filter((link) => splitPort(link.to).node === id).map((link) => copyOf(link));
  const out = graph.links.filter((link) => splitPort(link.from).node === id).map((link) => copyOf(link));
  const exposed = graph.inputs?.map((entry) => copyOf(entry));
  const shown = graph.outputs?.map((entry) => copyOf(entry));
  const place = copyOf(lookOf(graph, id));
  removeNodes(graph, new Set([id]));

  const inner = copyOf(definition);
  const looks = Object.keys(inner.nodes).map((name) => lookOf(inner, name));
  // The other way round than where a new instance is put, so that whoever unpacks it at once finds all where it was.
  const middle = looks.length ? middleOf(looks) : place;
  const move = ({ x, y }: Point) => ({ x: Math.round(x - middle.x + place.x), y: Math.round(y - middle.y + place.y) });
  const ids = new Map<string, string>();
  for (const [name, data] of Object.entries(inner.nodes)) {
    const fresh = freshId(name, (taken) => taken in graph.nodes);
    ids.set(name, fresh);
    graph.nodes[fresh] = { ...copyOf(data), ...(own.mode && own.mode !== "on" ? { mode: own.mode } : {}) };
    const look = lookOf(inner, name);
    Object.assign(touchLook(graph, fresh), copyOf(look), move(look));
  }
  const port = (text: string) => {
    const { node: name, port: at } = splitPort(text);
    return `${ids.get(name) ?? name}.${at}`;
  };
  const inputs = inner.inputs ?? [];
  const outputs = inner.outputs ?? [];
  for (const link of inner.links) graph.links.push({ ...movedLink(link, move), from: port(link.from), to: port(link.to) });
  for (const link of into) {
    for (const entry of inputs) {
      if (entry.name === splitPort(link.to).port) graph.links.push({ from: link.from, to: port(entry.to), ...named(entry), ...named(link) });
    }
  }
  for (const link of out) {
    const entry = outputs.find((candidate) => candidate.name === splitPort(link.from).port);
    if (entry) graph.links.push({ from: port(entry.from), to: link.to, ...named(entry), ...named(link) });
  }
  for (const [name, value] of Object.entries(own.values ?? {})) {
    for (const entry of inputs) {
      if (entry.name !== name) continue;
      const { node: target, port: at } = splitPort(port(entry.to));
      const data = graph.nodes[target];
      if (data) data.values = { ...data.values, [at]: value };
    }
  }
  if (exposed) {
    graph.inputs = exposed.flatMap((entry) =>
      splitPort(entry.to).node === id
        ? inputs.filter((inside) => inside.name === splitPort(entry.to).port).map((inside) => ({ ...entry, to: port(inside.to) }))
        : [entry],
    );
  }
  if (shown) {
    graph.outputs = shown.map((entry) => {
      const inside = outputs.find((candidate) => candidate.name === splitPort(entry.from).port);
      return splitPort(entry.from).node === id && inside ? { ...entry, from: port(inside.from) } : entry;
    });
  }
  for (const [name, sub] of Object.entries(inner.subgraphs ?? {})) {
    graph.subgraphs ??= {};
    graph.subgraphs[name] ??= copyOf(sub);
  }
  const items = copyItems(graph, inner.ui, move);
  dropUnused(scene);
  return [...ids.values(), ...items];
}

/** Takes definitions out of the document that no instance means any more. */
export function dropUnused(scene: Scene): void {
  const top = scene.scopes[0] as Graph;
  if (!top.subgraphs) return;
  const used = new Set<string>();
  const todo: Graph[] = [top];
  for (let graph = todo.pop(); graph; graph = todo.pop()) {
    for (const node of Object.values(graph.nodes)) {
      const name = node.type.startsWith(SUBGRAPH) ? node.type.slice(SUBGRAPH.length) : "";
      const definition = name && !used.has(name) ? top.subgraphs[name] : undefined;
      if (!definition) continue;
      used.add(name);
      todo.push(definition);
    }
    if (graph !== top) todo.push(...Object.values(graph.subgraphs ?? {}));
  }
  for (const name of Object.keys(top.subgraphs)) if (!used.has(name)) delete top.subgraphs[name];
  if (!Object.keys(top.subgraphs).length) delete top.subgraphs;
}
