/** What the painting surface shows besides the image and its layers. */

import type { Rect } from "../graph";

/** Behind transparent images, and where no image is known. */
export function drawGround(context: CanvasRenderingContext2D, width: number, height: number, bare: boolean): void {
  context.fillStyle = "#8a8d93";
  context.fillRect(0, 0, width, height);
  if (!bare) return;
  context.fillStyle = "#777a80";
  const side = Math.max(8, Math.round(Math.max(width, height) / 48));
  for (let y = 0; y < height; y += side) {
    for (let x = (y / side) % 2 ? side : 0; x < width; x += 2 * side) {
      context.fillRect(x, y, Math.min(side, width - x), Math.min(side, height - y));
    }
  }
}

export function drawCrop(context: CanvasRenderingContext2D, { x, y, w, h }: Rect, width: number, height: number, thin: number): void {
  context.fillStyle = "#000000a0";
  context.beginPath();
  context.rect(0, 0, width, height);
  context.rect(x, y, w, h);
  context.fill("evenodd");
  twice(context, thin, (one) => one.strokeRect(x, y, w, h));
  context.fillStyle = "#ffffff";
  const side = 8 * thin;
  for (const across of [0, 0.5, 1]) {
    for (const down of [0, 0.5, 1]) {
      if (across !== 0.5 || down !== 0.5) context.fillRect(x + w * across - side / 2, y + h * down - side / 2, side, side);
    }
  }
}

/** A line that is seen on anything: dark below, light above. */
export function twice(context: CanvasRenderingContext2D, thin: number, stroke: (context: CanvasRenderingContext2D) => void): void {
  context.strokeStyle = "#000000b0";
  context.lineWidth = 3 * thin;
  stroke(context);
  context.strokeStyle = "#ffffff";
  context.lineWidth = 1.25 * thin;
  stroke(context);
}
