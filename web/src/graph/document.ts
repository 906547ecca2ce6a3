/** The workflow document, in the shape that is saved, shared, sent to the API and run. */

import { parseJson, stringifyJson } from "./json";

export const FORMAT = "safelight/1";
export const SUBGRAPH = "subgraph:";

export type Mode = "on" | "mute" | "bypass";
export type Point = { x: number; y: number };
export type Rect = Point & { w: number; h: number };

export interface NodeData {
  type: string;
  version?: number;
  values?: Record<string, unknown>;
  mode?: Mode;
  title?: string;
  [unknown: string]: unknown;
}

/**
 * How a wire is drawn; it never changes a result. `bend` holds the reroute points that it runs through, `flag` the name
 * that is shown at both ends in its place.
 */
export interface Drawing {
  bend?: [number, number][];
  flag?: string;
}

export interface Link extends Drawing {
  from: string;
  to: string;
  [unknown: string]: unknown;
}

/** Inside a subgraph an entry is a wire as well: from its border to a port, or the other way round. */
export interface InputEntry extends Drawing {
  name: string;
  to: string;
  help?: string;
  [unknown: string]: unknown;
}

export interface OutputEntry extends Drawing {
  name: string;
  from: string;
  [unknown: string]: unknown;
}

export type SeedMode = "fixed" | "random" | "step";

/** How a node looks. `sockets` are the widgets shown as sockets, `seeds` what happens to a seed after a run. */
export interface NodeLook {
  x: number;
  y: number;
  w?: number;
  h?: number;
  collapsed?: boolean;
  /** Whether the fold of its advanced fields is open. */
  advanced?: boolean;
  pinned?: boolean;
  color?: string;
  sockets?: string[];
  seeds?: Record<string, SeedMode>;
  preview?: boolean;
  [unknown: string]: unknown;
}

export interface Frame extends Rect {
  id: string;
  title: string;
  color?: string;
  [unknown: string]: unknown;
}

export interface Note extends Rect {
  id: string;
  text: string;
  color?: string;
  [unknown: string]: unknown;
}

export interface Viewport {
  x: number;
  y: number;
  zoom: number;
}

export interface Ui {
  nodes?: Record<string, NodeLook>;
  frames?: Frame[];
  notes?: Note[];
  viewport?: Viewport;
  [unknown: string]: unknown;
}

/** A workflow or a subgraph: both have this shape. */
export interface Graph {
  name?: string;
  description?: string;
  nodes: Record<string, NodeData>;
  links: Link[];
  inputs?: InputEntry[];
  outputs?: OutputEntry[];
  subgraphs?: Record<string, Graph>;
  ui?: Ui;
  [unknown: string]: unknown;
}

export interface Document extends Graph {
  format: string;
}

export interface PortName {
  node: string;
  port: string;
}

export class DocumentError extends Error {
  /** `code` is that of the problem, as docs/problems.md has it. */
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export function emptyDocument(name = ""): Document {
  return { format: FORMAT, ...(name ? { name } : {}), nodes: {}, links: [] };
}

/** `node.port` taken apart at the last dot; node ids hold none. */
export function splitPort(text: string): PortName {
  const dot = text.lastIndexOf(".");
  return { node: text.slice(0, dot), port: text.slice(dot + 1) };
}

export function joinPort(node: string, port: string): string {
  return `${node}.${port}`;
}

export function linkId(link: Link): string {
  return `${link.from}>${link.to}`;
}

/**
 * Reads a document and makes sure of the shape that the editor relies on; everything else is left as written.
 * Throws DocumentError with a sentence for the user.
 */
export function readDocument(text: string): Document {
  let data: unknown;
  try {
    data = parseJson(text);
  } catch (error) {
    throw new DocumentError("not_json", `This is not JSON: ${(error as Error).message}`);
  }
  return asDocument(data);
}

export function asDocument(data: unknown): Document {
  if (!isObject(data) || data.format !== FORMAT) {
    const format = isObject(data) ? data.format : undefined;
    const newer = typeof format === "string" && format.startsWith("safelight/");
    throw new DocumentError(
      newer ? "newer_format" : "not_workflow",
      newer
        ? `The file has the format ${format}; this version reads ${FORMAT}.`
        : "This file is not a Safelight workflow.",
    );
  }
  return sound(data, 0) as Document;
}

export function writeDocument(document: Document): string {
  return stringifyJson(document, 2);
}

function sound(data: Record<string, unknown>, depth: number): Graph {
  if (depth > 50) throw new DocumentError("too_deep", "Subgraphs are defined inside each other more than 50 levels deep.");
  const graph = { ...data } as unknown as Graph;
  graph.nodes = isObject(data.nodes) ? (data.nodes as Graph["nodes"]) : {};
  for (const [id, node] of Object.entries(graph.nodes)) {
    if (!isObject(node) || typeof node.type !== "string") throw new DocumentError("bad_shape", `The node "${id}" names no type.`);
  }
  graph.links = Array.isArray(data.links) ? (data.links as Link[]) : [];
  if (!graph.links.every((link) => isObject(link) && isPort(link.from) && isPort(link.to))) {
    throw new DocumentError("bad_port", 'A link must say "from" and "to", each as node.port.');
  }
  if (isObject(data.subgraphs)) {
    graph.subgraphs = Object.fromEntries(
      Object.entries(data.subgraphs).map(([name, sub]) => [
        name,
        sound(isObject(sub) ? sub : {}, depth + 1),
      ]),
    );
  }
  if ("ui" in data && !isObject(data.ui)) delete graph.ui;
  return graph;
}

function isObject(data: unknown): data is Record<string, unknown> {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}

function isPort(text: unknown): boolean {
  return typeof text === "string" && text.lastIndexOf(".") > 0;
}

/** The definition that an instance means: its own file's, or that of a document around it. */
export function definitionOf(scopes: readonly Graph[], type: string): Graph | undefined {
  const name = type.slice(SUBGRAPH.length);
  for (let i = scopes.length - 1; i >= 0; i--) {
    const found = scopes[i]?.subgraphs?.[name];
    if (found) return found;
  }
  return undefined;
}

/**
 * The graphs from the document down to where `path` leads; `path` is a list of ids of subgraph instances.
 * Stops early where the path no longer exists.
 */
export function scopesAt(document: Document, path: readonly string[]): Graph[] {
  const scopes: Graph[] = [document];
  for (const id of path) {
    const type = scopes[scopes.length - 1]?.nodes[id]?.type;
    const next = type?.startsWith(SUBGRAPH) ? definitionOf(scopes, type) : undefined;
    if (!next) break;
    scopes.push(next);
  }
  return scopes;
}

export function graphAt(document: Document, path: readonly string[]): Graph {
  const scopes = scopesAt(document, path);
  return scopes[scopes.length - 1] ?? document;
}

/** A readable id made from a type or title, not yet taken: `sample`, `sample_2`. */
export function freshId(wanted: string, taken: (id: string) => boolean): string {
  const slug =
    (wanted.split(/[.:/]/).pop() ?? "")
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_-]+/gu, "_")
      .replace(/^_+|_+$/g, "")
      .slice(0, 60) || "node";
  const base = slug.replace(/_\d+$/, "") || slug;
  if (!taken(slug)) return slug;
  for (let number = 2; ; number++) {
    const id = `${base}_${number}`;
    if (!taken(id)) return id;
  }
}

/** Always the same object, so that whoever watches it sees no change where there is none. */
const NOWHERE: NodeLook = Object.freeze({ x: 0, y: 0 });

export function lookOf(graph: Graph, id: string): NodeLook {
  return graph.ui?.nodes?.[id] ?? NOWHERE;
}

/** The look of a node for writing: made where there is none yet. Only for drafts inside an edit. */
export function touchLook(graph: Graph, id: string): NodeLook {
  graph.ui ??= {};
  graph.ui.nodes ??= {};
  return (graph.ui.nodes[id] ??= { x: 0, y: 0 });
}

/** A deep copy of JSON data, also of drafts and of data with drafts in it. */
export function copyOf<T>(data: T): T {
  if (Array.isArray(data)) return data.map(copyOf) as T;
  if (typeof data !== "object" || data === null) return data;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, copyOf<unknown>(value)])) as T;
}
