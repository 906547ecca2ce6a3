/** Pixels of nearly one colour, found in an image and told as runs: where one begins, counted row by row, and its length. */

/**
 * `data` is RGBA, a byte each. A pixel is similar if none of its channels differs from those of the pixel at (x, y) by more
 * than `tolerance` (0 to 255). `touching` takes only those that hang together with it, side by side. No run crosses the end
 * of a row.
 */
export function similar(data: Uint8ClampedArray, columns: number, rows: number, x: number, y: number, tolerance: number, touching: boolean): number[] {
  if (x < 0 || y < 0 || x >= columns || y >= rows) return [];
  const first = (y * columns + x) * 4;
  const wanted = [0, 1, 2, 3].map((channel) => data[first + channel] as number);
  const fits = (index: number) => wanted.every((value, channel) => Math.abs((data[index * 4 + channel] as number) - value) <= tolerance);
  const region = new Uint8Array(columns * rows);
  if (!touching) for (let index = 0; index < region.length; index++) region[index] = fits(index) ? 1 : 0;
  else {
    const todo = [y * columns + x];
    for (let index = todo.pop(); index !== undefined; index = todo.pop()) {
      if (region[index] || !fits(index)) continue;
      region[index] = 1;
      const column = index % columns;
      if (column > 0) todo.push(index - 1);
      if (column < columns - 1) todo.push(index + 1);
      if (index >= columns) todo.push(index - columns);
      if (index + columns < region.length) todo.push(index + columns);
    }
  }
  return runsOf((index) => region[index] === 1, columns, rows);
}

export function runsOf(inside: (index: number) => boolean, columns: number, rows: number): number[] {
  const runs: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const start = row * columns + column;
      if (!inside(start)) continue;
      while (column < columns && inside(row * columns + column)) column++;
      runs.push(start, row * columns + column - start);
    }
  }
  return runs;
}

export const hex = (red: number, green: number, blue: number) => `#${[red, green, blue].map((value) => value.toString(16).padStart(2, "0")).join("")}`;
