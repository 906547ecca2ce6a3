/** The thing at a place, as the server finds it: by a SAM, or by colours and edges alone. */

import { reached } from "../api/base";
import { blobUrl, call } from "../api/client";
import type { ModelInfo } from "../api/types";
import type { Point } from "../graph";
import { makeCanvas } from "./layer";
import { runsOf } from "./similar";

export interface SegmentWay {
  /** A SAM by its name; empty without a model. */
  model: string;
  /** Without a model: more makes larger segments. */
  scale: number;
}

/** What can find the thing at a place. */
export const segmenters = (models: readonly ModelInfo[]): ModelInfo[] => models.filter(({ kind, sort = "", problem }) => kind === "preprocessor" && /^sam(2?model)?$/i.test(sort) && !problem);

/** The segment at a place of an image of the input folder, as runs of a canvas of this size. Throws ApiError. */
export async function segmentAt(image: string, at: Point, { model, scale }: SegmentWay, width: number, height: number, natural: { width: number; height: number }): Promise<number[]> {
  const point: [number, number] = [Math.min(natural.width - 0.5, (at.x * natural.width) / width), Math.min(natural.height - 0.5, (at.y * natural.height) / height)];
  const { digest } = await call("POST /segments", { body: { image, point, model, scale } });
  const mask = new Image();
  mask.src = reached(blobUrl(digest));
  await mask.decode();
  const [, context] = makeCanvas(width, height);
  context.drawImage(mask, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return runsOf((index) => (data[index * 4] as number) >= 128, width, height);
}
