/** Arithmetic on masks: one byte a pixel, row by row, 0 not chosen and 255 chosen. */

/** Softens edges over about `width` pixels: three box blurs, which come near a Gaussian. */
export function feathered(coverage: Uint8ClampedArray, columns: number, rows: number, width: number): Uint8ClampedArray {
  const sigma = width / 3;
  const reach = Math.round((Math.sqrt(4 * sigma * sigma + 1) - 1) / 2);
  if (reach < 1) return coverage;
  const from = Float32Array.from(coverage);
  const to = new Float32Array(from.length);
  for (let pass = 0; pass < 3; pass++) {
    blurLines(from, to, columns, rows, 1, columns, reach);
    blurLines(to, from, rows, columns, columns, 1, reach);
  }
  return Uint8ClampedArray.from(from, Math.round);
}

/** One box blur along lines of `length` pixels; beyond an edge the edge goes on. */
function blurLines(from: Float32Array, to: Float32Array, length: number, lines: number, step: number, jump: number, reach: number): void {
  const scale = 1 / (2 * reach + 1);
  for (let line = 0; line < lines; line++) {
    const start = line * jump;
    const at = (index: number) => from[start + Math.max(0, Math.min(length - 1, index)) * step] as number;
    let sum = 0;
    for (let index = -reach; index <= reach; index++) sum += at(index);
    for (let index = 0; index < length; index++) {
      to[start + index * step] = sum * scale;
      sum += at(index + reach + 1) - at(index - reach);
    }
  }
}

/**
 * Fills the region around a pixel that is as little (or, erasing, as much) covered as the pixel itself, changing
 * `coverage`. One pixel further than the region, so that no seam stays along soft edges. Returns whether it did anything.
 */
export function flood(coverage: Uint8ClampedArray, columns: number, rows: number, x: number, y: number, erase: boolean): boolean {
  if (x < 0 || y < 0 || x >= columns || y >= rows) return false;
  const inside = (index: number) => ((coverage[index] as number) >= 128) === erase;
  const first = y * columns + x;
  if (!inside(first)) return false;
  const region = new Uint8Array(columns * rows);
  const todo = [first];
  for (let index = todo.pop(); index !== undefined; index = todo.pop()) {
    if (region[index] || !inside(index)) continue;
    const row = index - (index % columns);
    let left = index;
    while (left > row && !region[left - 1] && inside(left - 1)) left--;
    let right = index;
    while (right < row + columns - 1 && !region[right + 1] && inside(right + 1)) right++;
    for (let at = left; at <= right; at++) {
      region[at] = 1;
      if (at >= columns && !region[at - columns]) todo.push(at - columns);
      if (at + columns < region.length && !region[at + columns]) todo.push(at + columns);
    }
  }
  const value = erase ? 0 : 255;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (!region[row * columns + column]) continue;
      for (let near = Math.max(0, row - 1); near <= Math.min(rows - 1, row + 1); near++) {
        coverage.fill(value, near * columns + Math.max(0, column - 1), near * columns + Math.min(columns - 1, column + 1) + 1);
      }
    }
  }
  return true;
}

/** The part of all pixels that is chosen, 0 to 1. */
export function share(coverage: Uint8ClampedArray): number {
  let sum = 0;
  for (const value of coverage) sum += value;
  return coverage.length ? sum / coverage.length / 255 : 0;
}
