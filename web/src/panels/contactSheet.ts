import { reached } from "../api/base";
/** A grid of images with its labels as one image. */

const CELL = 256;
const GAP = 6;
const LINE = 20;
const LABEL = 180;
const FONT = '14px system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif';

export async function contactSheet(rows: string[], heads: string[], urls: (string | undefined)[][]): Promise<Blob> {
  const side = rows.length > 1 ? LABEL : 0;
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  if (!context) throw new Error("canvas");
  context.font = FONT;
  const headLines = heads.map((head) => wrap(context, head, CELL));
  const top = Math.max(...headLines.map((lines) => lines.length)) * LINE + GAP * 2;
  canvas.width = side + heads.length * (CELL + GAP) + GAP;
  canvas.height = top + rows.length * (CELL + GAP);
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = "#1b1d21";
  context.font = FONT;
  context.textBaseline = "top";
  headLines.forEach((lines, column) => lines.forEach((line, index) => context.fillText(line, side + GAP + column * (CELL + GAP), GAP + index * LINE)));
  for (const [row, line] of urls.entries()) {
    const y = top + row * (CELL + GAP);
    if (side) wrap(context, rows[row] ?? "", side - GAP * 2).forEach((text, index) => context.fillText(text, GAP, y + index * LINE));
    const images = await Promise.all(line.map((url) => (url ? load(url) : undefined)));
    images.forEach((image, column) => {
      if (!image) return;
      const scale = Math.min(CELL / image.naturalWidth, CELL / image.naturalHeight);
      const [w, h] = [image.naturalWidth * scale, image.naturalHeight * scale];
      context.drawImage(image, side + GAP + column * (CELL + GAP) + (CELL - w) / 2, y + (CELL - h) / 2, w, h);
    });
  }
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("canvas"))), "image/png"));
}

function load(url: string): Promise<HTMLImageElement> {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error(url));
    image.src = reached(url);
  });
}

function wrap(context: CanvasRenderingContext2D, text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(/(?<=\s)/)) {
      if (line && context.measureText(line + word).width > width) {
        lines.push(line.trimEnd());
        line = "";
      }
      line += word;
    }
    lines.push(line.trimEnd());
  }
  return lines.slice(0, 6);
}
