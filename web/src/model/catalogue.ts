/** The installed nodes as the server describes them: the shape of `NodeSpec`. */

export type Widget =
  | { widget: "slider"; min: number; max: number; step: number }
  | { widget: "number"; min: number | null; max: number | null; step: number | null; multiple_of: number | null }
  | { widget: "seed" }
  | { widget: "text"; multiline: boolean; placeholder: string; prompt: boolean; max_length: number }
  | { widget: "toggle" }
  | { widget: "choice" }
  | { widget: "file"; kind: "image" | "mask" | "video" | "audio" | "text" | "any" }
  | { widget: "model"; kind: string }
  | { widget: "color" }
  | { widget: "items"; max_items: number };

export interface InputSpec {
  name: string;
  type: string;
  socket: boolean;
  required: boolean;
  lazy: boolean;
  default: unknown;
  choices: string[];
  widget: Widget | null;
  help: string;
}

export interface OutputSpec {
  name: string;
  type: string;
  choices: string[];
  help: string;
}

export interface NodeSpec {
  id: string;
  version: number;
  title: string;
  category: string;
  help: string;
  inputs: InputSpec[];
  outputs: OutputSpec[];
  output: boolean;
  cache: boolean;
  pack: string;
}

/** All node types by id, and the names of the type variables that occur in them. */
export class Catalogue {
  readonly types: ReadonlyMap<string, NodeSpec>;
  readonly variables: ReadonlySet<string>;

  constructor(nodes: readonly NodeSpec[], variables: Iterable<string> = []) {
    this.types = new Map(nodes.map((spec) => [spec.id, spec]));
    this.variables = new Set(variables);
  }

  get(type: string): NodeSpec | undefined {
    return this.types.get(type);
  }

  get nodes(): NodeSpec[] {
    return [...this.types.values()];
  }
}

const SPELLED: Record<string, string> = { vae: "VAE", clip: "CLIP", lora: "LoRA", ip: "IP", id: "ID", controlnet: "ControlNet" };

/** `guidance_rescale` as a label: "Guidance rescale"; `clip_skip`: "CLIP skip". */
export function labelOf(name: string): string {
  const words = name.split(/[_ ]/).map((word) => SPELLED[word] ?? word).join(" ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
