/** Weights in prompts: `(word:1.1)`, raised and lowered from the keyboard. */

const STEP = 0.1;

export interface Edited {
  text: string;
  start: number;
  end: number;
}

/** Changes the weight of the chosen words (or of the word at the cursor) by `steps` tenths. */
export function changeWeight(text: string, start: number, end: number, steps: number): Edited {
  const around = weighted(text, start, end);
  if (around) {
    const weight = round(around.weight + steps * STEP);
    const inner = text.slice(around.innerStart, around.innerEnd);
    const fresh = weight === 1 ? inner : `(${inner}:${weight})`;
    const from = around.start + (weight === 1 ? 0 : 1);
    return { text: text.slice(0, around.start) + fresh + text.slice(around.end), start: from, end: from + inner.length };
  }
  let [from, to] = [start, end];
  if (from === to) {
    while (from > 0 && !/[\s,()]/.test(text[from - 1] ?? "")) from--;
    while (to < text.length && !/[\s,()]/.test(text[to] ?? "")) to++;
  }
  while (from < to && /\s/.test(text[from] ?? "")) from++;
  while (to > from && /\s/.test(text[to - 1] ?? "")) to--;
  if (from === to) return { text, start, end };
  const inner = text.slice(from, to);
  const fresh = `(${inner}:${round(1 + steps * STEP)})`;
  return { text: text.slice(0, from) + fresh + text.slice(to), start: from + 1, end: from + 1 + inner.length };
}

/** The bracket with a weight that holds the selection. */
function weighted(text: string, start: number, end: number) {
  for (const found of text.matchAll(/\(([^()]*):(-?\d*\.?\d+)\)/g)) {
    const from = found.index;
    const to = from + found[0].length;
    if (start < from || end > to) continue;
    const inner = found[1] ?? "";
    return { start: from, end: to, innerStart: from + 1, innerEnd: from + 1 + inner.length, weight: Number(found[2]) };
  }
  return undefined;
}

function round(weight: number): number {
  return Math.max(0, Math.round(weight * 100) / 100);
}
