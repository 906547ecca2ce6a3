/** Select by segment: a touch of a thing chooses all of it. */

import { useEffect, useRef, useState } from "react";
import { useT } from "../i18n";
import { errorText } from "../i18n/problems";
import type { Point } from "../graph";
import { useApp } from "../state/store";
import { segmentAt, segmenters } from "./segment";
import { Range } from "./useStudio";

/**
 * `size` is that of what is painted on, `file` names the image in the input folder, and `put` takes what was found.
 * `said` is what there is to say: that it is being looked for, or why it was not found.
 */
export function useSegments(image: HTMLImageElement | null, size: { width: number; height: number }, file: () => Promise<string>, put: (runs: number[], erase: boolean) => void) {
  const t = useT();
  const models = useApp((state) => state.models);
  const there = segmenters(models);
  const [wanted, setModel] = useState<string | null>(null);
  const model = wanted ?? there[0]?.name ?? "";
  const [scale, setScale] = useState(200);
  const [said, tell] = useState<string | null>(null);
  const name = useRef<Promise<string> | null>(null);
  // What is painted goes on while it is looked for: it is put into what there is by then.
  const found = useRef(put);
  useEffect(() => void (found.current = put));
  const choose = async (at: Point, erase: boolean) => {
    if (!image) return;
    tell(t("painter.segment.busy"));
    try {
      name.current ??= file();
      const runs = await segmentAt(await name.current, at, { model, scale }, size.width, size.height, { width: image.naturalWidth, height: image.naturalHeight });
      if (runs.length) found.current(runs, erase);
      tell(runs.length ? "" : t("painter.segment.nothing"));
    } catch (error) {
      name.current = null;
      tell(t("painter.segment.failed", { message: errorText(error) }));
    }
  };
  // Before the first touch: what a model would do that is not there.
  const note = said === null && !there.length ? t("painter.segment.get") : "";
  return { there, model, setModel, scale, setScale, said: said ?? "", note, tell, choose: (at: Point, erase: boolean) => void choose(at, erase) };
}

export function SegmentFields({ segments }: { segments: ReturnType<typeof useSegments> }) {
  const t = useT();
  const { there, model, setModel, scale, setScale } = segments;
  return (
    <>
      <label className="painter-field">
        <span>{t("painter.segment.by")}</span>
        <select value={model} onChange={(event) => setModel(event.target.value)}>
          {there.map(({ name, title }) => (
            <option key={name} value={name}>
              {title || name}
            </option>
          ))}
          <option value="">{t("painter.segment.none")}</option>
        </select>
      </label>
      {!model && <Range label="painter.segment.scale" value={scale} min={10} max={1000} onChange={setScale} />}
    </>
  );
}
