/** Port types, and the rule of what may be connected to what: that of `safelight.sdk.types.can_connect`. */

export interface PortType {
  name: string;
  args: PortType[];
  choices: readonly string[];
  variable: boolean;
}

/** Why a link may not be made; the page says it in words. */
export type Refusal =
  | { why: "type" | "model" | "depth"; source: PortType; target: PortType }
  | { why: "choice"; choice: string }
  | { why: "node" | "port" | "circle" };

export type Fit = { ok: true; how: "same" | "widen" | "wrap" | "map" } | { ok: false; how: "no"; refusal: Refusal };

const NONE: ReadonlySet<string> = new Set();
const cache = new Map<string, PortType>();

/** Reads a type as the catalogue writes it: `Latent`, `list[Image]`, `ModelRef[VAE]`. */
export function portType(
  text: string,
  choices: readonly string[] = [],
  variables: ReadonlySet<string> = NONE,
): PortType {
  const plain = choices.length === 0 && variables.size === 0;
  const known = plain ? cache.get(text) : undefined;
  if (known) return known;
  const open = text.indexOf("[");
  const name = open < 0 ? text : text.slice(0, open);
  const args = open < 0 ? [] : [portType(text.slice(open + 1, -1), choices, variables)];
  const made: PortType = { name, args, choices: name === "choice" ? choices : [], variable: variables.has(name) };
  if (plain) cache.set(text, made);
  return made;
}

export function typeText(type: PortType): string {
  return type.args.length ? `${type.name}[${type.args.map(typeText).join(", ")}]` : type.name;
}

export function innermost(type: PortType): PortType {
  let inner = type;
  while (inner.name === "list" && inner.args[0]) inner = inner.args[0];
  return inner;
}

export function depthOf(type: PortType): number {
  let depth = 0;
  for (let inner = type; inner.name === "list" && inner.args[0]; inner = inner.args[0]) depth++;
  return depth;
}

const same: Fit = { ok: true, how: "same" };
export const no = (refusal: Refusal): Fit => ({ ok: false, how: "no", refusal });

/** Whether an output of type `source` may feed an input of type `target`, and why not. */
export function canConnect(source: PortType, target: PortType): Fit {
  const from = innermost(source);
  const to = innermost(target);
  if (to.variable || from.variable || target.name === "Any") return same;
  const inner = innerFit(from, to);
  if (!inner.ok) return inner;
  const excess = depthOf(source) - depthOf(target);
  if (excess === 0) return inner;
  if (excess === -1) return { ok: true, how: "wrap" };
  if (excess > 0) return { ok: true, how: "map" };
  return no({ why: "depth", source, target });
}

function innerFit(source: PortType, target: PortType): Fit {
  if (source.name === "choice" && target.name === "choice") {
    const missing = source.choices.find((choice) => !target.choices.includes(choice));
    return missing === undefined ? same : no({ why: "choice", choice: missing });
  }
  if (typeText(source) === typeText(target)) return same;
  if (source.name === "int" && target.name === "float") return { ok: true, how: "widen" };
  // A text may turn out to be one of the choices: that is seen, and said, when the value is there.
  const pair = `${source.name}>${target.name}`;
  if (pair === "choice>str" || pair === "str>choice") return same;
  return no({ why: source.name === "ModelRef" && target.name === "ModelRef" ? "model" : "type", source, target });
}
