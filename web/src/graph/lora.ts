/** Puts a LoRA on the model that a prompt is drawn with. */

import type { NodeSpec } from "./catalogue";
import { type Graph, lookOf, type Point, type Rect, splitPort } from "./document";
import { addNode, connect, moveLinks, type Scene, setValue } from "./edit";
import { overlaps } from "./items";
import { layoutNode } from "./layout";
import { portsOf } from "./ports";

const DENOISER = "ModelRef[Denoiser]";
const ENCODER = "ModelRef[TextEncoder]";
const GAP = 40;

export interface Applied {
  id: string;
  /** The node whose model it was put on; undefined where the graph has no clear model for the prompt. */
  on?: string;
}

/**
 * Adds the node that applies `lora` and wires it between the model of the prompt's sampler and all that use this model;
 * the text encoders go along. Where the graph has no model for the prompt, or several, the node is left unconnected
 * beside the prompt. Undefined when no installed node applies LoRAs.
 */
export function applyLora(scene: Scene, prompt: string, lora: string, weight?: number): Applied | undefined {
  const { graph, catalogue } = scene;
  const models = sourcesBelow(scene, prompt, DENOISER);
  const model = models.size === 1 ? [...models][0] : undefined;
  const encoder = sourceOf(scene, prompt, ENCODER);
  const spec = applier(catalogue.nodes, encoder !== undefined || model === undefined);
  const pick = spec?.inputs.find(picksLora);
  if (!spec || !pick) return undefined;
  const beside = model === undefined ? prompt : splitPort(model).node;
  const id = addNode(scene, spec.id, { x: 0, y: 0 });
  setValue(graph, id, pick.name, lora);
  if (weight !== undefined) {
    for (const input of spec.inputs) if (input.type === "float" && /weight/.test(input.name)) setValue(graph, id, input.name, weight);
  }
  Object.assign(lookOf(graph, id), freePlace(scene, id, beside, model !== undefined));
  if (model === undefined) return { id };
  insert(scene, spec, id, DENOISER, model);
  if (encoder !== undefined) insert(scene, spec, id, ENCODER, encoder);
  return { id, on: beside };
}

const picksLora = (input: NodeSpec["inputs"][number]) => input.widget?.widget === "model" && input.widget.kind === "lora";

/** The node type that applies LoRAs to a denoiser, and with `text` to its text encoders as well. */
function applier(specs: readonly NodeSpec[], text: boolean): NodeSpec | undefined {
  const fits = specs.filter((spec) => spec.inputs.some(picksLora) && spec.inputs.some((input) => input.type === DENOISER));
  return fits.find((spec) => spec.inputs.some((input) => input.type === ENCODER) === text) ?? fits[0];
}

/** Moves all links of an output behind the new node, and feeds the node from it. */
function insert(scene: Scene, spec: NodeSpec, id: string, type: string, from: string): void {
  const input = spec.inputs.find((port) => port.type === type);
  const output = spec.outputs.find((port) => port.type === type);
  if (!input || !output) return;
  // Fed first: what leads to the new node would then run in a circle, and keeps its link.
  connect(scene, from, `${id}.${input.name}`);
  moveLinks(scene, from, `${id}.${output.name}`);
}

/** The output that feeds the first linked input of a type; undefined where none is linked. */
function sourceOf(scene: Scene, id: string, type: string): string | undefined {
  const node = scene.graph.nodes[id];
  if (!node) return undefined;
  const names = portsOf(scene.scopes, id, node, scene.catalogue).inputs.filter((input) => input.type === type);
  const ports = new Set(names.map((input) => `${id}.${input.name}`));
  return scene.graph.links.find((link) => ports.has(link.to))?.from;
}

/** The outputs that feed inputs of a type, at a node or the first ones below it that have such inputs. */
function sourcesBelow(scene: Scene, start: string, type: string): Set<string> {
  const found = new Set<string>();
  const seen = new Set([start]);
  const waiting = [start];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    const source = sourceOf(scene, id, type);
    if (source !== undefined) {
      found.add(source);
      continue;
    }
    for (const next of below(scene.graph, id)) {
      if (seen.has(next)) continue;
      seen.add(next);
      waiting.push(next);
    }
  }
  return found;
}

function below(graph: Graph, id: string): string[] {
  return graph.links.filter((link) => splitPort(link.from).node === id).map((link) => splitPort(link.to).node);
}

/** The free place nearest to a node: to its right where it feeds the new one, else to its left. */
function freePlace(scene: Scene, id: string, beside: string, right: boolean): Point {
  const boxes = Object.keys(scene.graph.nodes)
    .filter((other) => other !== id)
    .map((other) => boxOf(scene, other));
  const anchor = boxOf(scene, beside);
  const own = boxOf(scene, id);
  const x = right ? anchor.x + anchor.w + GAP : anchor.x - own.w - GAP;
  const isFree = (place: Point) => {
    const around = { x: place.x - GAP / 2, y: place.y - GAP / 2, w: own.w + GAP, h: own.h + GAP };
    return !boxes.some((box) => overlaps(around, box));
  };
  for (let step = 0; step < 400; step++) {
    for (const y of [anchor.y + step * 20, anchor.y - step * 20]) if (isFree({ x, y })) return { x, y };
  }
  return { x, y: anchor.y };
}

function boxOf(scene: Scene, id: string): Rect {
  const { scopes, graph, catalogue } = scene;
  const look = lookOf(graph, id);
  const node = graph.nodes[id];
  if (!node) return { x: look.x, y: look.y, w: 0, h: 0 };
  const ports = portsOf(scopes, id, node, catalogue);
  // Images are shown once a node has run; those that may have one keep room for it.
  const result = ports.outputs.some((output) => output.type === "Image" || output.type === "File") ? "image" : null;
  const { w, h } = layoutNode(ports, look, { sockets: new Set(look.sockets), result, values: node.values });
  return { x: look.x, y: look.y, w, h };
}
