/** Port types, and the rule of what may be connected to what: that of `safelight.sdk.types.can_connect`. */

export interface PortType {
  name: string;
  args: PortType[];
  choices: readonly string[];
  variable: boolean;
}

export interface Fit {
  ok: boolean;
  how: "same" | "widen" | "wrap" | "map" | "no";
  reason: string;
}

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

const same: Fit = { ok: true, how: "same", reason: "" };
const no = (reason: string): Fit => ({ ok: false, how: "no", reason });

/** Whether an output of type `source` may feed an input of type `target`, and in words why not. */
export function canConnect(source: PortType, target: PortType): Fit {
  const from = innermost(source);
  const to = innermost(target);
  if (to.variable || from.variable || target.name === "Any") return same;
  const inner = innerFit(from, to);
  if (!inner.ok) return inner;
  const excess = depthOf(source) - depthOf(target);
  if (excess === 0) return inner;
  if (excess === -1) return { ok: true, how: "wrap", reason: "" };
  if (excess > 0) return { ok: true, how: "map", reason: "" };
  return no(`${typeText(target)} needs lists inside lists, and ${typeText(source)} is too shallow for it.`);
}

function innerFit(source: PortType, target: PortType): Fit {
  if (source.name === "choice" && target.name === "choice") {
    const missing = source.choices.find((choice) => !target.choices.includes(choice));
    return missing === undefined ? same : no(`the choice '${missing}' is not among those that the input takes.`);
  }
  if (typeText(source) === typeText(target)) return same;
  if (source.name === "int" && target.name === "float") return { ok: true, how: "widen", reason: "" };
  // A text may turn out to be one of the choices: that is seen, and said, when the value is there.
  const pair = `${source.name}>${target.name}`;
  if (pair === "choice>str" || pair === "str>choice") return same;
  if (source.name === "ModelRef" && target.name === "ModelRef") {
    return no(`this is a ${source.args[0]?.name} model, and the input needs a ${target.args[0]?.name}.`);
  }
  const advice = ADVICE[pair];
  return no(`the output gives ${said(source)}, and the input needs ${said(target)}.${advice ? ` ${advice}` : ""}`);
}

const GIVES: Record<string, string> = {
  Image: "pictures",
  Latent: "a latent",
  Conditioning: "conditioning",
  Mask: "a mask",
  str: "text",
  int: "a whole number",
  float: "a number",
  bool: "yes or no",
  choice: "a choice",
};

/** The node that usually belongs between the two, for the mix-ups that beginners make. */
const ADVICE: Record<string, string> = {
  "Latent>Image": "Decode it first.",
  "Image>Latent": "Encode it first.",
  "str>Conditioning": "Encode the text first.",
  "float>int": "Round it first.",
  "Image>Mask": "Make a mask of it first.",
};

function said(type: PortType): string {
  if (type.name === "ModelRef") return `a ${type.args[0]?.name} model`;
  const words = GIVES[type.name];
  if (!words) return `a value of type ${type.name}`;
  return /^[A-Z]/.test(type.name) ? `${words} (${type.name})` : words;
}
