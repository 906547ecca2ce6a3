/** What all painting has in common: the surface, tools, brush size, zoom and the keys of all that. */

import { useCallback, useEffect, useRef, useState } from "react";
import { type TextKey, useT } from "../i18n";
import type { Point, Rect } from "../graph";
import type { Mark } from "../state/marks";
import { Icon, type Sign } from "../ui/icons";
import { Board, SIZES, type Tool } from "./board";
import { MaskLayer } from "./layer";

export const KEYS: Record<Tool, string> = { brush: "b", eraser: "e", lasso: "l", fill: "g", similar: "w", segment: "s", picker: "k", crop: "c", move: "h" };

interface Options {
  width: number;
  height: number;
  image: CanvasImageSource | null;
  /** The layer that is there at first. */
  mask?: CanvasImageSource | null;
  tools: readonly Tool[];
  put: (mark: Mark, drawn: boolean) => void;
  onCrop?: (crop: Rect) => void;
  onColor?: (color: string) => void;
  onSegment?: (at: Point, erase: boolean) => void;
  onTool?: (tool: Tool) => void;
  undo: () => void;
  redo: () => void;
  finish: () => void;
  /** Keys of this kind of painting alone. */
  more: Readonly<Record<string, () => void>>;
}

export function useStudio(options: Options) {
  const { width, height, image, mask = null, tools, undo, redo, finish, more } = options;
  const surface = useRef<HTMLCanvasElement>(null);
  const board = useRef<Board | null>(null);
  const [tool, setTool] = useState<Tool>("brush");
  const [size, setSize] = useState(() => Math.max(4, Math.round(Math.max(width, height) / 12)));
  const [zoom, setZoom] = useState(1);
  const [penDown, setPenDown] = useState(false);
  // The board lives as long as its image; whom it tells changes with each drawing of the page.
  const heard = useRef(options);
  useEffect(() => void (heard.current = options));
  const changeSize = useCallback((next: number) => setSize(Math.round(Math.max(SIZES[0], Math.min(SIZES[1], next)))), []);
  useEffect(() => {
    if (!surface.current) return;
    const color = getComputedStyle(surface.current).getPropertyValue("--paint").trim() || "#2f9bff";
    const made = new Board(surface.current, image, new MaskLayer(width, height, color, mask), {
      mark: (mark, drawn) => heard.current.put(mark, drawn),
      crop: (rect) => heard.current.onCrop?.(rect),
      color: (picked) => heard.current.onColor?.(picked),
      segment: (at, erase) => heard.current.onSegment?.(at, erase),
      zoom: setZoom,
      size: changeSize,
    });
    board.current = made;
    surface.current.focus({ preventScroll: true });
    return () => made.dispose();
  }, [image, mask, width, height, changeSize]);
  const set = useCallback((change: Partial<Board>) => {
    if (!board.current) return;
    Object.assign(board.current, change);
    board.current.refresh();
  }, []);
  useEffect(() => set({ tool, size }), [set, tool, size]);
  const choose = (next: Tool) => {
    setTool(next);
    options.onTool?.(next);
  };

  const press = (event: React.KeyboardEvent) => {
    const mod = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const field = (event.target as HTMLElement).closest("input, textarea, select, button");
    const act = (run: () => void) => {
      event.preventDefault();
      event.stopPropagation();
      run();
    };
    if (mod && key === "z") return act(event.shiftKey ? redo : undo);
    if (mod && key === "y") return act(redo);
    if (mod && key === "enter") return act(finish);
    if (mod || event.altKey || field) return;
    const named = tools.find((one) => KEYS[one] === key);
    if (named) return act(() => choose(named));
    const own = more[key];
    if (own) return act(own);
    if (key === "[") return act(() => changeSize(size / 1.2 - 0.5));
    if (key === "]") return act(() => changeSize(size * 1.2 + 0.5));
    if (key === "+" || key === "=") return act(() => board.current?.zoomBy(1.25));
    if (key === "-") return act(() => board.current?.zoomBy(0.8));
    if (key === "0" || key === ".") return act(() => board.current?.fit());
    if (key === " ") return act(() => board.current?.holdSpace(true));
    if (key === "enter") {
      return act(() => {
        if (!penDown) board.current?.dab();
        setPenDown(!penDown && (tool === "brush" || tool === "eraser"));
      });
    }
    const by: Record<string, [number, number]> = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };
    const step = by[key];
    const times = event.shiftKey ? 4 : 1;
    if (step) act(() => board.current?.step(step[0] * times, step[1] * times, penDown));
  };
  const release = (event: React.KeyboardEvent) => event.key === " " && board.current?.holdSpace(false);
  return { surface, board, set, tool, choose, size, changeSize, zoom, penDown, press, release };
}

export type Studio = ReturnType<typeof useStudio>;

export function ToolButton({ name, hint, pressed, disabled, onClick }: { name: Sign; hint?: string; pressed?: boolean; disabled?: boolean; onClick: () => void }) {
  const t = useT();
  const title = t(`painter.${name}` as TextKey);
  return (
    <button type="button" className="icon" data-tool={name} aria-label={title} title={hint ? `${title} (${hint})` : title} aria-pressed={pressed} disabled={disabled} onClick={onClick}>
      <Icon name={name} />
    </button>
  );
}

export function Tools({ studio, tools, children }: { studio: Studio; tools: readonly Tool[]; children: React.ReactNode }) {
  const t = useT();
  return (
    <div className="painter-tools" role="toolbar" aria-label={t("painter.tools")} aria-orientation="vertical">
      {tools.map((one) => (
        <ToolButton key={one} name={one} hint={KEYS[one].toUpperCase()} pressed={studio.tool === one} onClick={() => studio.choose(one)} />
      ))}
      <hr />
      {children}
      <hr />
      <ToolButton name="fit" hint="0" onClick={() => studio.board.current?.fit()} />
    </div>
  );
}

export function Range({ label, value, min = 0, max, onChange }: { label: TextKey; value: number; min?: number; max: number; onChange: (value: number) => void }) {
  const t = useT();
  return (
    <label className="painter-field">
      <span>{t(label)}</span>
      <input type="range" min={min} max={max} value={value} onChange={(event) => onChange(Number(event.target.value))} />
      <output>{value}</output>
    </label>
  );
}

/** How alike colours are that count as the same, and whether they must hang together. */
export function Likeness({ studio }: { studio: Studio }) {
  const t = useT();
  const [tolerance, setTolerance] = useState(32);
  const [touching, setTouching] = useState(true);
  const { set } = studio;
  useEffect(() => set({ tolerance, touching }), [set, tolerance, touching]);
  return (
    <>
      <Range label="painter.tolerance" value={tolerance} max={255} onChange={setTolerance} />
      <label className="painter-field">
        <input type="checkbox" checked={touching} onChange={(event) => setTouching(event.target.checked)} />
        <span>{t("painter.touching")}</span>
      </label>
    </>
  );
}

/** Surface, hint, what is told of the brush by keyboard, and what there is to say beyond. */
export function Surface({ studio, label, said = "" }: { studio: Studio; label: TextKey; said?: string }) {
  const t = useT();
  return (
    <>
      <canvas ref={studio.surface} tabIndex={0} role="application" aria-label={t(label)} aria-describedby="painter-hint" />
      <p className="painter-hint" id="painter-hint">
        {t("painter.hint")}
      </p>
      <p className="painter-said" role="status">
        {said}
      </p>
      <p className="unseen" role="status">
        {studio.penDown ? t("painter.penDown") : ""}
      </p>
    </>
  );
}
