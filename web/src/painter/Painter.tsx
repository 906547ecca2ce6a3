import { useCallback, useEffect, useRef, useState } from "react";
import { type TextKey, useT } from "../i18n";
import { errorText } from "../i18n/problems";
import type { Rect } from "../graph";
import { draftOf, keepDraft, putMask, putImage } from "../state/painting";
import { type PaintSource, toast } from "../state/store";
import { Board, SIZES, type Tool } from "./board";
import { Icon, type Sign } from "../ui/icons";
import { cropped, MaskLayer, toPng } from "./layer";
import { addMark, type Mark, type Marks, redoMark, undoMark } from "../state/marks";
import { withRatio } from "./crop";

const TOOLS: { tool: Tool; key: string }[] = [
  { tool: "brush", key: "b" },
  { tool: "eraser", key: "e" },
  { tool: "lasso", key: "l" },
  { tool: "fill", key: "g" },
  { tool: "crop", key: "c" },
  { tool: "move", key: "h" },
];
const RATIOS: Record<string, number> = { "1:1": 1, "4:3": 4 / 3, "3:4": 3 / 4, "3:2": 3 / 2, "2:3": 2 / 3, "16:9": 16 / 9, "9:16": 9 / 16 };

interface Loaded {
  background: HTMLImageElement | null;
  mask: HTMLImageElement | null;
  width: number;
  height: number;
}

/** An image with a mask to paint on it, as large as the window. */
export function Painter({ source, onClose }: { source: PaintSource; onClose: () => void }) {
  const t = useT();
  const dialog = useRef<HTMLDialogElement>(null);
  const [loaded, setLoaded] = useState<Loaded | "failed" | null>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  useEffect(() => {
    let stopped = false;
    void Promise.all([load(source.image), load(source.mask)]).then(
      ([background, mask]) => {
        const first = background ?? mask;
        if (!stopped) setLoaded(first ? { background, mask, width: first.naturalWidth, height: first.naturalHeight } : "failed");
      },
      () => !stopped && setLoaded("failed"),
    );
    return () => {
      stopped = true;
    };
  }, [source]);
  return (
    <dialog
      ref={dialog}
      className="painter"
      aria-label={t("painter.title")}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      {loaded === "failed" ? (
        <div className="painter-message">
          <p>{t("painter.failed", { name: source.name })}</p>
          <button type="button" onClick={onClose}>
            {t("close")}
          </button>
        </div>
      ) : (
        loaded && <Studio source={source} loaded={loaded} onClose={onClose} />
      )}
    </dialog>
  );
}

async function load(address: string | null): Promise<HTMLImageElement | null> {
  if (!address) return null;
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

function Studio({ source, loaded, onClose }: { source: PaintSource; loaded: Loaded; onClose: () => void }) {
  const t = useT();
  const surface = useRef<HTMLCanvasElement>(null);
  const board = useRef<Board | null>(null);
  const [tool, setTool] = useState<Tool>("brush");
  const [size, setSize] = useState(() => Math.max(4, Math.round(Math.max(loaded.width, loaded.height) / 12)));
  const [feather, setFeather] = useState(0);
  const [marks, setMarks] = useState<Marks>(() => draftOf(source));
  const [crop, setCrop] = useState<Rect | null>(null);
  const [ratio, setRatio] = useState("");
  const [zoom, setZoom] = useState(1);
  const [penDown, setPenDown] = useState(false);
  const [busy, setBusy] = useState(false);

  const put = useCallback((mark: Mark, drawn: boolean) => {
    if (drawn) board.current?.layer.adopt(mark);
    setMarks((before) => addMark(before, mark));
  }, []);
  const changeSize = useCallback((next: number) => setSize(Math.round(Math.max(SIZES[0], Math.min(SIZES[1], next)))), []);

  useEffect(() => {
    if (!surface.current) return;
    const color = getComputedStyle(surface.current).getPropertyValue("--paint").trim() || "#2f9bff";
    const layer = new MaskLayer(loaded.width, loaded.height, color, loaded.mask);
    const made = new Board(surface.current, loaded.background, layer, { mark: put, crop: setCrop, zoom: setZoom, size: changeSize });
    board.current = made;
    surface.current.focus({ preventScroll: true });
    return () => made.dispose();
  }, [loaded, put, changeSize]);
  useEffect(() => {
    board.current?.layer.show(marks.done);
    board.current?.refresh();
    keepDraft(source, marks);
  }, [marks, source]);
  useEffect(() => {
    if (!board.current) return;
    Object.assign(board.current, { tool, size, feather, ratio: RATIOS[ratio] ?? 0 });
    board.current.refresh();
  }, [tool, size, feather, ratio]);

  const undo = () => setMarks(undoMark);
  const redo = () => setMarks(redoMark);
  const choose = (next: Tool) => {
    setTool(next);
    if (next === "crop" && !crop) board.current?.setCrop({ x: 0, y: 0, w: loaded.width, h: loaded.height });
  };
  const chooseRatio = (next: string) => {
    setRatio(next);
    const wanted = RATIOS[next];
    if (wanted && crop && board.current) {
      board.current.ratio = wanted;
      board.current.setCrop(withRatio(crop, wanted));
    }
  };
  const finish = async (action: (layer: MaskLayer) => Promise<void>) => {
    const layer = board.current?.layer;
    if (!layer || busy) return;
    setBusy(true);
    try {
      await action(layer);
      keepDraft(source, { done: [], undone: [] });
      onClose();
    } catch (error) {
      setBusy(false);
      toast(t("file.failed", { message: errorText(error) }), "error");
    }
  };
  const takeMask = () => finish(async (layer) => putMask(source, await toPng(layer.grey(feather))));
  const cutOut = () =>
    finish(async (layer) => {
      if (loaded.background) await putImage(source, await toPng(layer.cutout(loaded.background, feather)), "cutout");
    });
  const takeCrop = () =>
    finish(async () => {
      if (loaded.background && crop) await putImage(source, await toPng(cropped(loaded.background, crop)), "crop");
    });

  const press = (event: React.KeyboardEvent) => {
    const mod = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    const field = (event.target as HTMLElement).closest("input, select, button");
    const act = (run: () => void) => {
      event.preventDefault();
      event.stopPropagation();
      run();
    };
    if (mod && key === "z") return act(event.shiftKey ? redo : undo);
    if (mod && key === "y") return act(redo);
    if (mod && key === "enter") return act(() => void (tool === "crop" ? takeCrop() : takeMask()));
    if (mod || event.altKey || field) return;
    const named = TOOLS.find((entry) => entry.key === key);
    if (named) return act(() => choose(named.tool));
    if (key === "i") return act(() => put({ kind: "invert" }, false));
    if (key === "delete" || key === "backspace") return act(() => put({ kind: "clear" }, false));
    if (key === "[") return act(() => changeSize(size / 1.2 - 0.5));
    if (key === "]") return act(() => changeSize(size * 1.2 + 0.5));
    if (key === "+" || key === "=") return act(() => board.current?.zoomBy(1.25));
    if (key === "-") return act(() => board.current?.zoomBy(0.8));
    if (key === "0" || key === ".") return act(() => board.current?.fit());
    if (key === " ") return act(() => board.current?.holdSpace(true));
    if (key === "enter") {
      return act(() => {
        if (!penDown) board.current?.dab();
        setPenDown(!penDown && tool !== "fill");
      });
    }
    const by: Record<string, [number, number]> = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };
    const step = by[key];
    const times = event.shiftKey ? 4 : 1;
    if (step) act(() => board.current?.step(step[0] * times, step[1] * times, penDown));
  };

  return (
    <div className="painter-frame" onKeyDown={press} onKeyUp={(event) => event.key === " " && board.current?.holdSpace(false)}>
      <div className="painter-tools" role="toolbar" aria-label={t("painter.tools")} aria-orientation="vertical">
        {TOOLS.filter((entry) => entry.tool !== "crop" || (loaded.background && !source.forMask)).map((entry) => (
          <ToolButton key={entry.tool} name={entry.tool} hint={entry.key.toUpperCase()} pressed={tool === entry.tool} onClick={() => choose(entry.tool)} />
        ))}
        <hr />
        <ToolButton name="undo" hint="Ctrl+Z" disabled={!marks.done.length} onClick={undo} />
        <ToolButton name="redo" hint="Ctrl+Shift+Z" disabled={!marks.undone.length} onClick={redo} />
        <hr />
        <ToolButton name="invert" hint="I" onClick={() => put({ kind: "invert" }, false)} />
        <ToolButton name="all" onClick={() => put({ kind: "all" }, false)} />
        <ToolButton name="clear" hint="Del" onClick={() => put({ kind: "clear" }, false)} />
        <hr />
        <ToolButton name="fit" hint="0" onClick={() => board.current?.fit()} />
      </div>
      <header className="painter-bar">
        <strong>{source.name}</strong>
        <small>{`${loaded.width} × ${loaded.height} · ${Math.round(zoom * 100)} %`}</small>
        {tool === "crop" ? (
          <>
            <label className="painter-field">
              <span>{t("painter.ratio")}</span>
              <select value={ratio} onChange={(event) => chooseRatio(event.target.value)}>
                <option value="">{t("painter.ratio.free")}</option>
                {Object.keys(RATIOS).map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
            {crop && <CropFields crop={crop} onChange={(next) => board.current?.setCrop(next)} />}
          </>
        ) : (
          <>
            <label className="painter-field">
              <span>{t("painter.size")}</span>
              <input type="range" min={SIZES[0]} max={SIZES[1]} value={size} onChange={(event) => changeSize(Number(event.target.value))} />
              <output>{size}</output>
            </label>
            <label className="painter-field">
              <span>{t("painter.feather")}</span>
              <input type="range" min="0" max="128" value={feather} onChange={(event) => setFeather(Number(event.target.value))} />
              <output>{feather}</output>
            </label>
          </>
        )}
        <span className="painter-actions">
          <button type="button" onClick={onClose}>
            {t("painter.close")}
          </button>
          {tool === "crop" ? (
            <button type="button" className="primary" disabled={!crop || busy} title="Ctrl+Enter" onClick={() => void takeCrop()}>
              {t("painter.useCrop")}
            </button>
          ) : (
            <>
              {loaded.background && !source.forMask && (
                <button type="button" disabled={busy} onClick={() => void cutOut()}>
                  {t("painter.cutOut")}
                </button>
              )}
              <button type="button" className="primary" disabled={busy} title="Ctrl+Enter" onClick={() => void takeMask()}>
                {t("painter.useMask")}
              </button>
            </>
          )}
        </span>
      </header>
      <canvas ref={surface} tabIndex={0} role="application" aria-label={t("painter.surface")} aria-describedby="painter-hint" />
      <p className="painter-hint" id="painter-hint">
        {t("painter.hint")}
      </p>
      <p className="unseen" role="status">
        {penDown ? t("painter.penDown") : ""}
      </p>
    </div>
  );
}

function ToolButton({ name, hint, pressed, disabled, onClick }: { name: Sign; hint?: string; pressed?: boolean; disabled?: boolean; onClick: () => void }) {
  const t = useT();
  const title = t(`painter.${name}` as TextKey);
  return (
    <button type="button" className="icon" data-tool={name} aria-label={title} title={hint ? `${title} (${hint})` : title} aria-pressed={pressed} disabled={disabled} onClick={onClick}>
      <Icon name={name} />
    </button>
  );
}

function CropFields({ crop, onChange }: { crop: Rect; onChange: (crop: Rect) => void }) {
  const t = useT();
  return (
    <>
      {(["x", "y", "w", "h"] as const).map((side) => (
        <label className="painter-field" key={side}>
          <span>{t(`painter.crop.${side}`)}</span>
          <input type="number" min={side === "x" || side === "y" ? 0 : 1} value={crop[side]} onChange={(event) => onChange({ ...crop, [side]: Number(event.target.value) })} />
        </label>
      ))}
    </>
  );
}
