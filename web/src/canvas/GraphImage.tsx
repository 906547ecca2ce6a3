import { useEffect, useRef } from "react";
import { Geometer } from "./geometry";
import { Palette } from "./paint";
import { typeStyle } from "../ui/typeStyle";
import { said } from "../i18n";
import { boundsOf, type Document } from "../graph";
import { useApp } from "../state/store";

interface Props {
  document: Document;
  width: number;
  height: number;
  /** Nodes that are different from those of another version: they are drawn in the accent colour. */
  marked?: ReadonlySet<string>;
  label: string;
  /** Pixels of the canvas for one of the page: more for images that are saved. */
  scale?: number;
}

/** A workflow in small: boxes and wires in their colours. */
export function GraphImage({ document: shown, width, height, marked, label, scale }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const catalogue = useApp((state) => state.catalogue);
  const theme = useApp((state) => state.preferences.theme);
  const ratio = scale ?? Math.min(devicePixelRatio || 1, 2);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const palette = new Palette(document.documentElement);
    const { nodes, wires, flagged } = new Geometer().compute({ scopes: [shown], graph: shown, catalogue, types: {} }, new Map());
    const bounds = boundsOf([...nodes.values()].map((box) => box.rect), 60);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!bounds) return;
    const k = Math.min(width / bounds.w, height / bounds.h, 0.5);
    context.translate((width - bounds.w * k) / 2 - bounds.x * k, (height - bounds.h * k) / 2 - bounds.y * k);
    context.scale(k, k);
    context.lineWidth = 1.6 / k;
    for (const wire of [...wires, ...flagged]) {
      context.strokeStyle = palette.get(typeStyle(wire.type).variable);
      context.beginPath();
      wire.points.forEach((point, index) => {
        const before = wire.points[index - 1];
        if (!before) return context.moveTo(point.x, point.y);
        const reach = Math.max(40, Math.abs(point.x - before.x) / 2);
        context.bezierCurveTo(before.x + reach, before.y, point.x - reach, point.y, point.x, point.y);
      });
      context.stroke();
    }
    for (const [id, { rect, ports }] of nodes) {
      context.beginPath();
      context.roundRect(rect.x, rect.y, rect.w, rect.h, 10);
      context.fillStyle = palette.get("--field-2");
      context.fill();
      context.fillStyle = palette.get("--node-header");
      context.fillRect(rect.x, rect.y, rect.w, Math.min(34, rect.h));
      context.strokeStyle = palette.get(marked?.has(id) ? "--accent" : "--text-3");
      context.lineWidth = (marked?.has(id) ? 3 : 1) / k;
      context.stroke();
      // Titles a little larger than on the canvas, cut off at the edge of their node.
      context.save();
      context.clip();
      context.fillStyle = palette.get("--text");
      context.font = `600 ${Math.min(26, 10.5 / k)}px system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif`;
      context.textBaseline = "middle";
      context.fillText(said(shown.nodes[id]?.title || ports.title), rect.x + 12, rect.y + Math.min(34, rect.h) / 2 + 1);
      context.restore();
    }
  }, [shown, width, height, marked, catalogue, theme, ratio]);
  return <canvas ref={canvas} className="graph-image" style={{ width, height }} width={width * ratio} height={height * ratio} role="img" aria-label={label} />;
}
