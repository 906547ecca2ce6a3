/** The installed nodes as the server describes them. */

import type { InputSpec, NodeSpec, OutputSpec } from "../api/types";
import { Media, type MediumInfo } from "./media";

export type { InputSpec, NodeSpec, OutputSpec };
export type Widget = NonNullable<InputSpec["widget"]>;

/** All node types by id, the names of the type variables that occur in them, the media, and which have a small image. */
export class Catalogue {
  readonly types: ReadonlyMap<string, NodeSpec>;
  readonly variables: ReadonlySet<string>;
  readonly media: Media;
  readonly images: ReadonlySet<string>;

  constructor(nodes: readonly NodeSpec[], variables: Iterable<string> = [], media: readonly MediumInfo[] = [], images: Iterable<string> = []) {
    this.media = new Media(media);
    this.types = new Map(nodes.map((spec) => [spec.id, spec]));
    this.variables = new Set(variables);
    this.images = new Set(images);
  }

  get(type: string): NodeSpec | undefined {
    return this.types.get(type);
  }

  get nodes(): NodeSpec[] {
    return [...this.types.values()];
  }
}

const SPELLED: Record<string, string> = { vae: "VAE", clip: "CLIP", lora: "LoRA", ip: "IP", id: "ID", controlnet: "ControlNet", ema: "EMA", warmup: "warm-up", kl: "KL" };

/** `guidance_rescale` as a label: "Guidance rescale"; `clip_skip`: "CLIP skip". */
export function labelOf(name: string): string {
  const words = name.split(/[_ ]/).map((word) => SPELLED[word] ?? word).join(" ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
