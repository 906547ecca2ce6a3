/**
 * A layer as pixels: marks drawn on a canvas of the image's size. Of a mask, what is chosen is opaque, and its one colour is
 * for the eye; on a layer of a painting each mark has a colour of its own.
 */

import type { Point } from "../graph";
import { feathered, flood } from "./coverage";
import type { Mark, Spot } from "../state/marks";

/** Every so many marks a copy is kept, so that undoing draws only a few again. */
const STRIDE = 10;
const COPIES = 8;

export function makeCanvas(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return [canvas, canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D];
}

export class MaskLayer {
  readonly canvas: HTMLCanvasElement;
  private readonly context: CanvasRenderingContext2D;
  private readonly base: HTMLCanvasElement | null;
  private drawn: Mark[] = [];
  private copies: { count: number; canvas: HTMLCanvasElement }[] = [];

  /** `base` is a mask to go on with: white is chosen. */
  constructor(
    readonly width: number,
    readonly height: number,
    readonly color: string,
    base: CanvasImageSource | null = null,
  ) {
    [this.canvas, this.context] = makeCanvas(width, height);
    this.base = base && this.fromGrey(base);
    this.restart();
  }

  /** Draws what is new in `marks`, or goes back to the newest copy that they begin with. */
  show(marks: readonly Mark[]): void {
    let same = 0;
    while (same < this.drawn.length && this.drawn[same] === marks[same]) same++;
    if (same < this.drawn.length) {
      this.copies = this.copies.filter((copy) => copy.count <= same);
      const copy = this.copies.at(-1);
      this.restart(copy);
    }
    for (const mark of marks.slice(this.drawn.length)) {
      this.draw(mark);
      this.adopt(mark);
    }
  }

  /** Takes note of a mark that is on the canvas already. */
  adopt(mark: Mark): void {
    this.drawn.push(mark);
    if (this.drawn.length % STRIDE) return;
    const [canvas, context] = makeCanvas(this.width, this.height);
    context.drawImage(this.canvas, 0, 0);
    this.copies = [...this.copies.slice(1 - COPIES), { count: this.drawn.length, canvas }];
  }

  /** Takes back what is on the canvas and belongs to no mark: a stroke that was broken off. */
  redraw(): void {
    const all = this.drawn;
    this.restart(this.copies.at(-1));
    this.show(all);
  }

  /** A piece of a stroke, also while it is being drawn. */
  segment(from: Spot, to: Spot, erase: boolean, color = this.color): void {
    const { context } = this;
    this.pen(erase, color);
    context.lineCap = "round";
    context.lineWidth = Math.max(1, from.r + to.r);
    context.beginPath();
    context.moveTo(from.x, from.y);
    // A line without length draws nothing in some browsers.
    context.lineTo(to.x + (from.x === to.x && from.y === to.y ? 0.01 : 0), to.y);
    context.stroke();
  }

  /** One byte a pixel: how much it is chosen. */
  coverage(): Uint8ClampedArray {
    const { data } = this.context.getImageData(0, 0, this.width, this.height);
    const found = new Uint8ClampedArray(this.width * this.height);
    for (let index = 0; index < found.length; index++) found[index] = data[index * 4 + 3] as number;
    return found;
  }

  /** As it will be used: in the layer's colour, with soft edges. */
  soft(feather: number): HTMLCanvasElement {
    if (!feather) return this.canvas;
    const [canvas, context] = makeCanvas(this.width, this.height);
    this.put(context, feathered(this.coverage(), this.width, this.height, feather));
    return canvas;
  }

  /** White where it is chosen, black where not. */
  grey(feather: number): HTMLCanvasElement {
    const [canvas, context] = makeCanvas(this.width, this.height);
    const values = feathered(this.coverage(), this.width, this.height, feather);
    const image = context.createImageData(this.width, this.height);
    for (let index = 0; index < values.length; index++) image.data.fill(values[index] as number, index * 4, index * 4 + 3);
    for (let index = 3; index < image.data.length; index += 4) image.data[index] = 255;
    context.putImageData(image, 0, 0);
    return canvas;
  }

  /** The image where it is chosen, nothing elsewhere. */
  cutout(background: CanvasImageSource, feather: number): HTMLCanvasElement {
    const [canvas, context] = makeCanvas(this.width, this.height);
    context.drawImage(background, 0, 0, this.width, this.height);
    context.globalCompositeOperation = "destination-in";
    context.drawImage(this.soft(feather), 0, 0);
    return canvas;
  }

  private restart(copy?: { count: number; canvas: HTMLCanvasElement }): void {
    this.drawn = this.drawn.slice(0, copy?.count ?? 0);
    this.context.globalCompositeOperation = "source-over";
    this.context.clearRect(0, 0, this.width, this.height);
    const from = copy?.canvas ?? this.base;
    if (from) this.context.drawImage(from, 0, 0);
  }

  private draw(mark: Mark): void {
    const { context, width, height } = this;
    switch (mark.kind) {
      case "stroke":
        mark.spots.forEach((spot, index) => this.segment(mark.spots[Math.max(0, index - 1)] as Spot, spot, mark.erase, mark.color));
        break;
      case "area":
        this.pen(mark.erase, mark.color);
        context.fill(outline(mark.points));
        break;
      case "region":
        this.pen(mark.erase, mark.color);
        for (let at = 0; at < mark.runs.length; at += 2) {
          const start = mark.runs[at] as number;
          context.fillRect(start % width, Math.floor(start / width), mark.runs[at + 1] as number, 1);
        }
        break;
      case "fill": {
        const values = this.coverage();
        if (flood(values, width, height, Math.floor(mark.at.x), Math.floor(mark.at.y), mark.erase)) this.put(context, values);
        break;
      }
      case "invert":
        this.pen(false);
        context.globalCompositeOperation = "xor";
        context.fillRect(0, 0, width, height);
        break;
      case "clear":
        context.clearRect(0, 0, width, height);
        break;
      case "all":
        this.pen(false);
        context.fillRect(0, 0, width, height);
        break;
    }
  }

  private pen(erase: boolean, color = this.color): void {
    this.context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    this.context.strokeStyle = this.context.fillStyle = color;
  }

  private put(context: CanvasRenderingContext2D, values: Uint8ClampedArray): void {
    const image = context.createImageData(this.width, this.height);
    const [red, green, blue] = [1, 3, 5].map((place) => parseInt(this.color.slice(place, place + 2), 16));
    for (let index = 0; index < values.length; index++) {
      image.data[index * 4] = red ?? 0;
      image.data[index * 4 + 1] = green ?? 0;
      image.data[index * 4 + 2] = blue ?? 0;
      image.data[index * 4 + 3] = values[index] as number;
    }
    context.putImageData(image, 0, 0);
  }

  private fromGrey(source: CanvasImageSource): HTMLCanvasElement {
    const [canvas, context] = makeCanvas(this.width, this.height);
    context.drawImage(source, 0, 0, this.width, this.height);
    const { data } = context.getImageData(0, 0, this.width, this.height);
    const values = new Uint8ClampedArray(this.width * this.height);
    for (let index = 0; index < values.length; index++) {
      const at = index * 4;
      const light = 0.2126 * (data[at] as number) + 0.7152 * (data[at + 1] as number) + 0.0722 * (data[at + 2] as number);
      values[index] = (light * (data[at + 3] as number)) / 255;
    }
    this.put(context, values);
    return canvas;
  }
}

export function outline(points: readonly Point[]): Path2D {
  const path = new Path2D();
  points.forEach((point, index) => (index ? path.lineTo(point.x, point.y) : path.moveTo(point.x, point.y)));
  path.closePath();
  return path;
}

export function toPng(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((done, fail) => canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("no PNG"))), "image/png"));
}

/** A rectangle of an image. */
export function cropped(background: CanvasImageSource, { x, y, w, h }: { x: number; y: number; w: number; h: number }): HTMLCanvasElement {
  const [canvas, context] = makeCanvas(w, h);
  context.drawImage(background, x, y, w, h, 0, 0, w, h);
  return canvas;
}
