/** A part of an image is painted again as the workflow that made it would: with its model, its prompts and its settings. */

import type { Catalogue } from "./catalogue";
import { definitionOf, type Document, freshId, type Graph, joinPort, splitPort, SUBGRAPH } from "./document";
import { removeNodes } from "./edit";
import { repeatOf } from "./repeat";
import { unpackSubgraph } from "./subgraph";

/** What the template has of its own, which a workflow that is known replaces. */
const OWN = ["model", "prompt", "negative"] as const;
const CONDITIONING = "Conditioning";
/** How much of the part is changed is the template's: that of the workflow is of the whole image, mostly all. */
const KEPT = new Set(["denoise"]);

const sourceOf = (graph: Graph, node: string, port: string) => graph.links.find((link) => link.to === joinPort(node, port))?.from;

/**
 * The template `crop_and_stitch` for an image and its mask, files of the input folder. `origin` is the workflow that made
 * the image: its last sampler's model (with LoRAs), VAE, prompts and settings come into the place of the template's. Of a
 * conditioning that is put together the first prompt is taken: what was told of places belongs to the whole image.
 * Where none samples on the outermost level those in subgraphs are looked at. Without any the template's own stay, as with `null`.
 */
export function repaint(template: Document, known: Document | null, catalogue: Catalogue, image: string, mask: string, size: { width: number; height: number }): Document {
  const made = structuredClone(template);
  const set = (node: string, values: Record<string, unknown>) => {
    const data = made.nodes[node];
    if (data) data.values = { ...data.values, ...values };
  };
  set("image", { file: image });
  set("mask", { file: mask });
  const origin = known && (samplerOf(known, catalogue) ? known : unpacked(known, catalogue));
  const sampler = origin && samplerOf(origin, catalogue);
  if (!origin || !sampler) return made;
  const sources = {
    model: sourceOf(origin, sampler, "model"),
    positive: promptOf(origin, catalogue, sourceOf(origin, sampler, "positive")),
    negative: promptOf(origin, catalogue, sourceOf(origin, sampler, "negative")),
    vae: vaeOf(origin, catalogue),
  };
  if (!sources.model || !sources.positive || !sources.vae) return made;
  removeNodes(made, new Set(OWN));
  const names = copied(made, origin, Object.values(sources).flatMap((source) => (source ? [source] : [])));
  const link = (source: string | undefined, ...to: string[]) => {
    if (!source) return;
    const { node, port } = splitPort(source);
    for (const one of to) made.links.push({ from: joinPort(names.get(node) ?? node, port), to: one });
  };
  link(sources.model, "sample.model");
  link(sources.positive, "sample.positive");
  link(sources.negative ?? sources.positive, "sample.negative");
  link(sources.vae, "encode.vae", "decode.vae");
  const ports = new Set(catalogue.get(made.nodes.sample?.type ?? "")?.inputs.filter((input) => input.widget).map((input) => input.name));
  const settings = Object.entries(origin.nodes[sampler]?.values ?? {}).filter(([port]) => ports.has(port) && !KEPT.has(port));
  set("sample", Object.fromEntries(settings));
  // What the model drew before suits it.
  set("crop", sizeOf(origin, sampler) ?? size);
  // Each comes to stand first in the form: the prompt is what is changed, so it is the last.
  for (const [name, source] of [["negative", sources.negative], ["prompt", sources.positive]] as const) {
    const node = names.get(splitPort(source ?? ".").node) ?? "";
    const text = catalogue.get(made.nodes[node]?.type ?? "")?.inputs.find((input) => input.widget?.widget === "text" && input.widget.prompt);
    if (text) made.inputs = [{ name, to: joinPort(node, text.name) }, ...(made.inputs ?? []).filter((entry) => entry.name !== name)];
  }
  // Nodes have come whose places are those of another graph.
  made.ui = { ...made.ui, nodes: {} };
  made.links = made.links.map(({ bend: _, ...rest }) => rest);
  return made;
}

/** The graph without its subgraphs, except for those that run several times: what they take and give are lists. */
function unpacked(origin: Document, catalogue: Catalogue): Document {
  const flat = structuredClone(origin);
  const instance = () => Object.entries(flat.nodes).find(([, node]) => node.type.startsWith(SUBGRAPH) && !repeatOf(node) && definitionOf([flat], node.type))?.[0];
  // A broken file may define a subgraph by itself, without an end.
  for (let id = instance(), left = MOST; id !== undefined && left > 0; id = instance(), left--) unpackSubgraph({ scopes: [flat], graph: flat, catalogue }, id);
  return flat;
}

const MOST = 500;

/** The last node, in the order in which it was written, that samples with a model and prompts. */
function samplerOf(graph: Graph, catalogue: Catalogue): string | undefined {
  return Object.keys(graph.nodes).reverse().find((id) => {
    const type = graph.nodes[id]?.type ?? "";
    return type.startsWith("sampling.") && catalogue.get(type) && sourceOf(graph, id, "model") && sourceOf(graph, id, "positive");
  });
}

function inputsOf(graph: Graph, catalogue: Catalogue, node: string, type: string): string[] {
  const spec = catalogue.get(graph.nodes[node]?.type ?? "");
  return (spec?.inputs ?? []).filter((input) => input.type === type).flatMap((input) => sourceOf(graph, node, input.name) ?? []);
}

/** Back to where a text is encoded; a node with both sides, as a ControlNet's, has each under its own name. */
function promptOf(graph: Graph, catalogue: Catalogue, source: string | undefined): string | undefined {
  const seen = new Set<string>();
  for (let at = source; at !== undefined && !seen.has(at); ) {
    seen.add(at);
    const { node, port } = splitPort(at);
    const taken = catalogue.get(graph.nodes[node]?.type ?? "")?.inputs.some((input) => input.name === port && input.type === CONDITIONING);
    const before = (taken && sourceOf(graph, node, port)) || inputsOf(graph, catalogue, node, CONDITIONING)[0];
    if (before === undefined) return at;
    at = before;
  }
  return source;
}

function vaeOf(graph: Graph, catalogue: Catalogue): string | undefined {
  return Object.keys(graph.nodes).reverse().flatMap((id) => inputsOf(graph, catalogue, id, "ModelRef[VAE]"))[0];
}

function sizeOf(graph: Graph, sampler: string): { width: number; height: number } | undefined {
  const giver = splitPort(sourceOf(graph, sampler, "latent") ?? ".").node;
  const { width, height } = graph.nodes[giver]?.values ?? {};
  return typeof width === "number" && typeof height === "number" && width && height ? { width, height } : undefined;
}

/** Brings nodes with all that leads to them; gives their new ids by the old ones. */
function copied(made: Document, origin: Document, sources: readonly string[]): Map<string, string> {
  const names = new Map<string, string>();
  const todo = sources.map((source) => splitPort(source).node);
  for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
    const data = origin.nodes[id];
    if (!data || names.has(id)) continue;
    const name = freshId(id, (taken) => taken in made.nodes);
    names.set(id, name);
    made.nodes[name] = structuredClone(data);
    for (const link of origin.links) if (splitPort(link.to).node === id) todo.push(splitPort(link.from).node);
    if (data.type.startsWith(SUBGRAPH)) made.subgraphs = { ...structuredClone(origin.subgraphs), ...made.subgraphs };
  }
  for (const { from, to } of origin.links) {
    const [source, target] = [splitPort(from), splitPort(to)];
    const [giver, taker] = [names.get(source.node), names.get(target.node)];
    if (giver && taker) made.links.push({ from: joinPort(giver, source.port), to: joinPort(taker, target.port) });
  }
  return names;
}
