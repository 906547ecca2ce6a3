import { useEffect, useRef } from "react";
import { boxes } from "./geometry";
import { Palette } from "./paint";
import { stage } from "./stage";
import { view } from "./view";
import { useT } from "../i18n";
import { boundsOf, type Point } from "../graph";
import { nodeStatus, flatId } from "../state/status";
import { activeTab, useApp } from "../state/store";

const W = 180;
const H = 120;

/** The whole graph in small, on a canvas of its own; a click or drag moves the view there. */
export function Minimap() {
  const t = useT();
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useApp((state) => state.preferences.theme);
  const scale = useRef({ x: 0, y: 0, k: 1 });
  const frame = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const palette = new Palette(document.documentElement);
    let pending = 0;
    const paint = () => {
      pending = 0;
      const context = canvas.current?.getContext("2d");
      if (!context) return;
      const ratio = Math.min(devicePixelRatio || 1, 2);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, W, H);
      const all = boxes(stage.geometry);
      const seen = view.visible();
      const bounds = boundsOf(Object.values(all), 40);
      if (!bounds) return;
      const k = Math.min(W / bounds.w, H / bounds.h);
      const x = (W - bounds.w * k) / 2 - bounds.x * k;
      const y = (H - bounds.h * k) / 2 - bounds.y * k;
      scale.current = { x, y, k };
      const state = useApp.getState();
      const { selection, path } = activeTab();
      const selected = new Set(selection);
      for (const [key, rect] of Object.entries(all)) {
        const frame = key.startsWith("/frame/");
        const kind = nodeStatus(state, flatId(path, key)).kind;
        context.globalAlpha = frame ? 0.25 : 0.9;
        const color = kind === "running" ? "--running" : kind === "failed" || kind === "problem" ? "--bad" : "--text-3";
        context.fillStyle = palette.get(selected.has(key) ? "--accent" : frame ? "--frame" : color);
        context.fillRect(rect.x * k + x, rect.y * k + y, Math.max(1.5, rect.w * k), Math.max(1.5, rect.h * k));
      }
      context.globalAlpha = 1;
      // What is in sight, as far as it lies on the map.
      const left = Math.max(0, seen.x * k + x);
      const top = Math.max(0, seen.y * k + y);
      const right = Math.min(W, (seen.x + seen.w) * k + x);
      const bottom = Math.min(H, (seen.y + seen.h) * k + y);
      if (frame.current) {
        frame.current.style.translate = `${left}px ${top}px`;
        frame.current.style.width = `${Math.max(0, right - left)}px`;
        frame.current.style.height = `${Math.max(0, bottom - top)}px`;
      }
    };
    // At most ten times a second: it is looked at from the corner of the eye, and must not slow the canvas.
    const ask = () => {
      pending ||= window.setTimeout(paint, 100);
    };
    const stops = [view.subscribe(ask), stage.onPaint(ask)];
    ask();
    return () => {
      for (const stop of stops) stop();
      clearTimeout(pending);
    };
  }, [theme]);

  const go = (client: Point) => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box) return;
    const { x, y, k } = scale.current;
    const at = { x: (client.x - box.left - x) / k, y: (client.y - box.top - y) / k };
    view.stop();
    view.set(view.width / 2 - at.x * view.zoom, view.height / 2 - at.y * view.zoom, view.zoom);
  };
  return (
    <div
      className="minimap"
      role="img"
      aria-label={t("minimap")}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        go({ x: event.clientX, y: event.clientY });
      }}
      onPointerMove={(event) => event.buttons === 1 && go({ x: event.clientX, y: event.clientY })}
    >
      <canvas ref={canvas} width={W * Math.min(devicePixelRatio || 1, 2)} height={H * Math.min(devicePixelRatio || 1, 2)} />
      <div ref={frame} className="seen" />
    </div>
  );
}
