/** Colour and shape of a type: colour says what it is, shape whether it is one value, a list, a model or anything. */

import { depthOf, innermost, portType } from "../graph";

export type Shape = "circle" | "square" | "diamond" | "ring";

export interface TypeStyle {
  /** The name of a CSS variable that holds the colour, so that both themes have their own. */
  variable: string;
  shape: Shape;
}

const VARIABLES: Record<string, string> = {
  Image: "--type-image",
  Mask: "--type-mask",
  Latent: "--type-latent",
  Conditioning: "--type-conditioning",
  ModelRef: "--type-model",
  str: "--type-text",
  choice: "--type-text",
  int: "--type-number",
  float: "--type-number",
  bool: "--type-bool",
  File: "--type-file",
  Video: "--type-image",
  Audio: "--type-file",
  Mesh: "--type-latent",
};

const MODELS: Record<string, string> = {
  Denoiser: "--type-denoiser",
  TextEncoder: "--type-encoder",
  VAE: "--type-vae",
};

const known = new Map<string, TypeStyle>();

export function typeStyle(text: string): TypeStyle {
  let style = known.get(text);
  if (!style) {
    const type = portType(text);
    const inner = innermost(type);
    const model = inner.name === "ModelRef" ? MODELS[inner.args[0]?.name ?? ""] : undefined;
    const variable = model ?? VARIABLES[inner.name] ?? "--type-any";
    let shape: Shape = "circle";
    if (depthOf(type) > 0) shape = "square";
    else if (inner.name === "ModelRef") shape = "diamond";
    else if (variable === "--type-any") shape = "ring";
    known.set(text, (style = { variable, shape }));
  }
  return style;
}
