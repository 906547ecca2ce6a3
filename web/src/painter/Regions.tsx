/** A layer that is a region: a colour for the eye, the prompt that speaks there, and how strongly. */

import { useT } from "../i18n";
import type { PaintLayer } from "../state/paintings";

/** Told apart on most images, and from one another. */
const COLORS = ["#e4572e", "#2e86e4", "#f2b134", "#3fae5a", "#a05ad5", "#e06aa8", "#2ab7b0", "#8a6d3b"];

export const regionColor = (index: number): string => COLORS[index % COLORS.length] as string;

/** A layer in another colour, with all that is painted on it. */
export function recolored(layer: PaintLayer, color: string): Partial<PaintLayer> {
  return { color, marks: layer.marks.map((mark) => ("color" in mark && mark.color ? { ...mark, color } : mark)) };
}

interface Props {
  index: number;
  layer: PaintLayer;
  color: string;
  put: (change: Partial<PaintLayer>, group?: string) => void;
}

export function RegionFields({ index, layer, color, put }: Props) {
  const t = useT();
  const { strength = 1, prompt = "" } = layer;
  const said = `${t("painting.strength")} ${strength.toFixed(2)}`;
  return (
    <>
      <span className="region-head">
        <input type="color" aria-label={`${t("painting.color")}: ${layer.name}`} title={t("painting.color")} value={color} onChange={(event) => put(recolored(layer, event.target.value), `color${index}`)} />
        <span>{layer.name}</span>
        <output>{strength.toFixed(2)}</output>
      </span>
      <textarea rows={2} value={prompt} maxLength={20_000} placeholder={t("painting.prompt")} aria-label={`${t("painting.prompt")}: ${layer.name}`} onChange={(event) => put({ prompt: event.target.value }, `prompt${index}`)} />
      <input type="range" min="0" max="300" step="5" value={Math.round(strength * 100)} aria-label={`${t("painting.strength")}: ${layer.name}`} title={said} onChange={(event) => put({ strength: Number(event.target.value) / 100 }, `strength${index}`)} />
    </>
  );
}
