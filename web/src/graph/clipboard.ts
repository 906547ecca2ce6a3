/** Copies of parts of a graph. What is copied is itself a workflow document, as text: it can be pasted, mailed, opened. */

import { asDocument, copyOf, DocumentError, freshId, type Document, FORMAT, type Graph, lookOf, type NodeData, type Point } from "./document";
import { splitPort, SUBGRAPH, touchLook } from "./document";
import type { Scene } from "./edit";
import { clearCorner, connect } from "./edit";
import { holdsItself } from "./interface";
import { copyItems, frameKey, movedLink, noteKey } from "./items";
import { parseJson, stringifyJson } from "./json";

/** The chosen nodes, frames and notes, the links between them, and the subgraphs that they are instances of. */
export function copyPart(scopes: readonly Graph[], keys: readonly string[]): Document {
  const graph = scopes[scopes.length - 1] as Graph;
  const ids = new Set(keys.filter((key) => key in graph.nodes));
  const part: Document = { format: FORMAT, nodes: {}, links: [], ui: { nodes: {} } };
  for (const id of Object.keys(graph.nodes)) {
    if (!ids.has(id)) continue;
    part.nodes[id] = copyOf(graph.nodes[id]) as NodeData;
    (part.ui as { nodes: Record<string, unknown> }).nodes[id] = { ...lookOf(graph, id) };
  }
  part.links = graph.links
    .filter((link) => ids.has(splitPort(link.from).node) && ids.has(splitPort(link.to).node))
    .map(copyOf);
  const frames = graph.ui?.frames?.filter((frame) => keys.includes(frameKey(frame.id)));
  const notes = graph.ui?.notes?.filter((note) => keys.includes(noteKey(note.id)));
  if (frames?.length && part.ui) part.ui.frames = copyOf(frames);
  if (notes?.length && part.ui) part.ui.notes = copyOf(notes);
  const subgraphs = usedSubgraphs(scopes, Object.values(part.nodes));
  if (Object.keys(subgraphs).length) part.subgraphs = subgraphs;
  return part;
}

function usedSubgraphs(scopes: readonly Graph[], nodes: readonly { type: string }[]): Record<string, Graph> {
  const found: Record<string, Graph> = {};
  const todo = nodes.map((node) => node.type);
  for (let type = todo.pop(); type !== undefined; type = todo.pop()) {
    if (!type.startsWith(SUBGRAPH)) continue;
    const name = type.slice(SUBGRAPH.length);
    const definition = scopes.findLast((scope) => scope.subgraphs?.[name])?.subgraphs?.[name];
    if (!definition || found[name]) continue;
    found[name] = copyOf(definition);
    for (const node of Object.values(definition.nodes)) {
      const inner = node.type.slice(SUBGRAPH.length);
      if (!definition.subgraphs?.[inner]) todo.push(node.type);
    }
  }
  return found;
}

export function copyText(scopes: readonly Graph[], keys: readonly string[]): string {
  return stringifyJson(copyPart(scopes, keys), 2);
}

/** What a pasted text holds; undefined when it is no workflow. */
export function readPart(text: string): Document | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  try {
    return asDocument(parseJson(text));
  } catch (error) {
    if (error instanceof DocumentError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Puts a part into the graph with new ids, its top left corner at `at`.
 * `outside`: links from outside the part into it, by its old ids, that are to be made again.
 * Returns the keys of what was added.
 */
export function pastePart(
  scene: Scene,
  part: Document,
  at: Point,
  outside: readonly { from: string; to: string }[] = [],
): string[] {
  const { graph } = scene;
  const top = scene.scopes[0] as Graph;
  const corner = cornerOf(part);
  const move = (place: Point) => ({
    x: Math.round(place.x - corner.x + at.x),
    y: Math.round(place.y - corner.y + at.y),
  });
  const names = new Map<string, string>();
  for (const [name, definition] of Object.entries(part.subgraphs ?? {})) {
    const there = scene.scopes.findLast((scope) => scope.subgraphs?.[name])?.subgraphs?.[name];
    if (there && stringifyJson(there) === stringifyJson(definition)) continue;
    top.subgraphs ??= {};
    const subgraphs = top.subgraphs;
    const fresh = there ? freshId(name, (taken) => taken in subgraphs) : name;
    subgraphs[fresh] = copyOf(definition);
    names.set(SUBGRAPH + name, SUBGRAPH + fresh);
  }
  const ids = new Map<string, string>();
  for (const [id, node] of Object.entries(part.nodes)) {
    const type = names.get(node.type) ?? node.type;
    if (type.startsWith(SUBGRAPH) && holdsItself(scene.scopes, type)) continue; // it would never end
    const fresh = freshId(id, (taken) => taken in graph.nodes);
    ids.set(id, fresh);
    graph.nodes[fresh] = { ...copyOf(node), type };
    const look = lookOf(part, id);
    Object.assign(touchLook(graph, fresh), copyOf(look), move(look));
  }
  const renamed = (port: string) => {
    const { node, port: name } = splitPort(port);
    return `${ids.get(node) ?? node}.${name}`;
  };
  for (const link of part.links) {
    if (!ids.has(splitPort(link.from).node) || !ids.has(splitPort(link.to).node)) continue;
    graph.links.push({ ...movedLink(link, move), from: renamed(link.from), to: renamed(link.to) });
  }
  for (const link of outside) connect(scene, link.from, renamed(link.to));
  return [...ids.values(), ...copyItems(graph, part.ui, move)];
}

/** Duplicates what is chosen, moved by `offset`; with `incoming`, wires into it from outside as well. */
export function duplicate(scene: Scene, keys: readonly string[], offset: Point, incoming = false): string[] {
  const part = copyPart(scene.scopes, keys);
  const corner = cornerOf(part);
  const outside = incoming
    ? scene.graph.links.filter(
        (link) => splitPort(link.to).node in part.nodes && !(splitPort(link.from).node in part.nodes),
      )
    : [];
  const copies = outside.map((link) => ({ from: link.from, to: link.to }));
  const beside = { x: corner.x + offset.x, y: corner.y + offset.y };
  return pastePart(scene, part, offset.x || offset.y ? clearCorner(scene.graph, beside) : beside, copies);
}

function cornerOf(part: Graph): Point {
  const places: Point[] = [
    ...Object.keys(part.nodes).map((id) => lookOf(part, id)),
    ...(part.ui?.frames ?? []),
    ...(part.ui?.notes ?? []),
  ];
  return {
    x: places.length ? Math.min(...places.map((place) => place.x)) : 0,
    y: places.length ? Math.min(...places.map((place) => place.y)) : 0,
  };
}
