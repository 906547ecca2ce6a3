/** Names that complete while a prompt is typed: embeddings, and LoRAs in the way of A1111's prompts. */

import type { ModelInfo } from "../api/types";
import { rank } from "../ui/fuzzy";

export interface Wanted {
  kind: "embedding" | "lora";
  /** What is being typed, from its first to its last letter in the text. */
  start: number;
  end: number;
  query: string;
  /** Given after the name of a LoRA: `<lora:name:0.8`. */
  weight?: number;
  /** Only the first letters of a name: offered where one begins with them. */
  bare: boolean;
}

export interface Suggestion {
  /** As the server calls it. */
  name: string;
  title: string;
  family: string;
}

const FOLDER = "embeddings/";
const ENDING = ".safetensors";
const BARE_LETTERS = 2;

/** What is being typed at the caret; undefined where nothing is to be completed. */
export function wantedAt(text: string, caret: number): Wanted | undefined {
  const before = text.slice(0, caret);
  const lora = /<lora:([^<>\n]*)$/i.exec(before);
  if (lora) {
    const rest = /^[^<>\s,]*>?/.exec(text.slice(caret))?.[0] ?? "";
    const [query = "", weight] = ((lora[1] ?? "") + rest.replace(">", "")).split(":");
    const number = Number.parseFloat(weight ?? "");
    return {
      kind: "lora",
      start: lora.index,
      end: caret + rest.length,
      query: query.trim(),
      bare: false,
      ...(Number.isFinite(number) ? { weight: number } : {}),
    };
  }
  const rest = /^[^\s,;:()[\]<>|"]*/.exec(text.slice(caret))?.[0] ?? "";
  const named = /(?<![\p{L}\p{N}_])embedding:((?:\\[()[\] ,;]|[^\s,;:()[\]<>|"])*)$/u.exec(before);
  if (named) return { kind: "embedding", start: named.index, end: caret + rest.length, query: unescaped(named[1] ?? ""), bare: false };
  // Inside a word there is nothing to begin.
  const word = rest ? null : /(?<![\p{L}\p{N}_.:/<-])[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.exec(before);
  if (!word || word[0].length < BARE_LETTERS) return undefined;
  return { kind: "embedding", start: word.index, end: caret, query: word[0], bare: true };
}

/** What may stand there, best first. */
export function suggestions(wanted: Wanted, models: readonly ModelInfo[]): Suggestion[] {
  const query = wanted.query.toLowerCase();
  const begins = ({ title }: Suggestion) => title.toLowerCase().startsWith(query) || last(title).toLowerCase().startsWith(query);
  const all = wanted.kind === "lora" ? loras(models) : embeddings(models);
  const known = wanted.bare ? all.filter(begins) : all;
  return query ? rank(known, query) : known;
}

export function embeddings(models: readonly ModelInfo[]): Suggestion[] {
  return listed(models.filter(({ kind, name }) => kind === "embedding" && name.startsWith(FOLDER)), (name) => name.slice(FOLDER.length));
}

export function loras(models: readonly ModelInfo[]): Suggestion[] {
  return listed(models.filter(({ kind }) => kind === "lora"), (name) => name);
}

function listed(models: readonly ModelInfo[], shorter: (name: string) => string): Suggestion[] {
  const title = (name: string) => (name.endsWith(ENDING) ? shorter(name).slice(0, -ENDING.length) : shorter(name));
  return models.map(({ name, family }) => ({ name, title: title(name), family })).sort((a, b) => a.title.localeCompare(b.title));
}

/** The text with an embedding put in, and where the caret is then. */
export function withEmbedding(text: string, wanted: Wanted, title: string): { text: string; caret: number } {
  const written = `embedding:${title.replace(/[()[\] ,;]/g, "\\$&")}`;
  return { text: text.slice(0, wanted.start) + written + text.slice(wanted.end), caret: wanted.start + written.length };
}

/** The text without what was typed, and where the caret is then; of two blanks around it one goes too. */
export function without(text: string, { start, end }: Wanted): { text: string; caret: number } {
  const before = text.slice(0, start);
  const after = text.slice(end);
  return { text: before + (/(^|\s)$/.test(before) ? after.replace(/^ /, "") : after), caret: start };
}

function unescaped(name: string): string {
  return name.replace(/\\([()[\] ,;])/g, "$1");
}

function last(title: string): string {
  return title.slice(title.lastIndexOf("/") + 1);
}
