import { reached } from "../api/base";
import { readable } from "../ui/keyNames";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useT } from "../i18n";
import { errorText } from "../i18n/problems";
import type { Rect } from "../graph";
import { draftOf, inputOf, keepDraft, putMask, putImage, runHere } from "../state/painting";
import type { PaintSource } from "../state/store";
import { SIZES, type Tool } from "./board";
import { cropped, type MaskLayer, toPng } from "./layer";
import { addMark, type Mark, type Marks, redoMark, undoMark } from "../state/marks";
import { Likeness, Range, Surface, ToolButton, Tools, useStudio } from "./useStudio";
import { SegmentFields, useSegments } from "./Segments";
import { share } from "./coverage";
import { keepFocus } from "../ui/focus";
import { withRatio } from "./crop";

const TOOLS: readonly Tool[] = ["brush", "eraser", "lasso", "fill", "similar", "segment", "crop", "move"];
const NEED_IMAGE: readonly Tool[] = ["crop", "similar", "segment"];
const RATIOS: Record<string, number> = { "1:1": 1, "4:3": 4 / 3, "3:4": 3 / 4, "3:2": 3 / 2, "2:3": 2 / 3, "16:9": 16 / 9, "9:16": 9 / 16 };

interface Loaded {
  background: HTMLImageElement | null;
  mask: HTMLImageElement | null;
  width: number;
  height: number;
}

/** A window of its own, above everything. */
export function PainterDialog({ label, onClose, children }: { label: string; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    const giveBack = keepFocus();
    element?.showModal();
    return () => {
      element?.close();
      giveBack();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className="painter"
      aria-label={label}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      {children}
    </dialog>
  );
}

/** An image with a mask to paint on it, as large as the window. */
export function Painter({ source, onClose }: { source: PaintSource; onClose: () => void }) {
  const t = useT();
  const [loaded, setLoaded] = useState<Loaded | "failed" | null>(null);
  useEffect(() => {
    let stopped = false;
    void Promise.all([loadImage(source.image), loadImage(source.mask)]).then(
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
    <PainterDialog label={t("painter.title")} onClose={onClose}>
      {loaded === "failed" ? (
        <div className="painter-message">
          <p>{t("painter.failed", { name: source.name })}</p>
          <button type="button" onClick={onClose}>
            {t("close")}
          </button>
        </div>
      ) : (
        loaded && <MaskStudio source={source} loaded={loaded} onClose={onClose} />
      )}
    </PainterDialog>
  );
}

export async function loadImage(address: string | null): Promise<HTMLImageElement | null> {
  if (!address) return null;
  const image = new Image();
  image.src = reached(address);
  await image.decode();
  return image;
}

function MaskStudio({ source, loaded, onClose }: { source: PaintSource; loaded: Loaded; onClose: () => void }) {
  const t = useT();
  const [feather, setFeather] = useState(0);
  const [marks, setMarks] = useState<Marks>(() => draftOf(source));
  const [crop, setCrop] = useState<Rect | null>(null);
  const [ratio, setRatio] = useState("");
  const [busy, setBusy] = useState(false);
  const put = (mark: Mark, drawn = false) => {
    if (drawn) studio.board.current?.layer.adopt(mark);
    setMarks((before) => addMark(before, mark));
  };
  const undo = () => setMarks(undoMark);
  const redo = () => setMarks(redoMark);
  const chooseRatio = (next: string) => {
    setRatio(next);
    const wanted = RATIOS[next];
    const { board } = studio;
    if (wanted && crop && board.current) {
      board.current.ratio = wanted;
      board.current.setCrop(withRatio(crop, wanted));
    }
  };
  const finish = async (action: (layer: MaskLayer) => Promise<void>) => {
    const layer = studio.board.current?.layer;
    if (!layer || busy) return;
    setBusy(true);
    try {
      await action(layer);
      keepDraft(source, { done: [], undone: [] });
      onClose();
    } catch (error) {
      setBusy(false);
      segments.tell(t("file.failed", { message: errorText(error) }));
    }
  };
  const takeMask = () => finish(async (layer) => putMask(source, await toPng(layer.grey(feather))));
  const cutOut = () =>
    finish(async (layer) => {
      if (loaded.background) await putImage(source, await toPng(layer.cutout(loaded.background, feather)), "cutout");
    });
  const paintAgain = () => {
    const layer = studio.board.current?.layer;
    if (layer && !share(layer.coverage())) return segments.tell(t("painter.runHere.empty"));
    void finish(async (chosen) => runHere(source, await toPng(chosen.grey(feather)), { width: loaded.width, height: loaded.height }));
  };
  const takeCrop = () =>
    finish(async () => {
      if (loaded.background && crop) await putImage(source, await toPng(cropped(loaded.background, crop)), "crop");
    });

  const segments = useSegments(
    loaded.background,
    { width: loaded.width, height: loaded.height },
    () => inputOf(source.image ?? "", source.name),
    (runs, erase) => put({ kind: "region", erase, runs }),
  );
  const tools = TOOLS.filter((tool) => (tool !== "crop" || !source.forMask) && (loaded.background || !NEED_IMAGE.includes(tool)));
  const studio = useStudio({
    width: loaded.width,
    height: loaded.height,
    image: loaded.background,
    mask: loaded.mask,
    tools,
    put,
    onCrop: setCrop,
    onSegment: segments.choose,
    onTool: (next) => {
      if (next === "crop" && !crop) studio.board.current?.setCrop({ x: 0, y: 0, w: loaded.width, h: loaded.height });
    },
    undo,
    redo,
    finish: () => void (studio.tool === "crop" ? takeCrop() : takeMask()),
    more: { i: () => put({ kind: "invert" }), delete: () => put({ kind: "clear" }), backspace: () => put({ kind: "clear" }) },
  });
  const { board, tool, set } = studio;
  useEffect(() => {
    board.current?.layer.show(marks.done);
    board.current?.refresh();
    keepDraft(source, marks);
  }, [board, marks, source]);
  useEffect(() => set({ feather, ratio: RATIOS[ratio] ?? 0 }), [set, feather, ratio]);

  return (
    <div className="painter-frame" onKeyDown={studio.press} onKeyUp={studio.release}>
      <Tools studio={studio} tools={tools}>
        <ToolButton name="undo" hint={readable("$mod+z")} disabled={!marks.done.length} onClick={undo} />
        <ToolButton name="redo" hint={readable("$mod+Shift+z")} disabled={!marks.undone.length} onClick={redo} />
        <hr />
        <ToolButton name="invert" hint="I" onClick={() => put({ kind: "invert" })} />
        <ToolButton name="all" onClick={() => put({ kind: "all" })} />
        <ToolButton name="clear" hint="Del" onClick={() => put({ kind: "clear" })} />
      </Tools>
      <header className="painter-bar">
        <strong>{source.name}</strong>
        <small>{`${loaded.width} × ${loaded.height} · ${Math.round(studio.zoom * 100)} %`}</small>
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
            {tool !== "segment" && <Range label="painter.size" value={studio.size} min={SIZES[0]} max={SIZES[1]} onChange={studio.changeSize} />}
            <Range label="painter.feather" value={feather} max={128} onChange={setFeather} />
            {tool === "similar" && <Likeness studio={studio} />}
            {tool === "segment" && <SegmentFields segments={segments} />}
          </>
        )}
        <span className="painter-actions">
          <button type="button" onClick={onClose}>
            {t("painter.close")}
          </button>
          {tool === "crop" ? (
            <button type="button" className="primary" disabled={!crop || busy} title={readable("$mod+Enter")} onClick={() => void takeCrop()}>
              {t("painter.useCrop")}
            </button>
          ) : (
            <>
              {loaded.background && !source.forMask && (
                <>
                  <button type="button" disabled={busy} onClick={() => void cutOut()}>
                    {t("painter.cutOut")}
                  </button>
                  <button type="button" data-act="run-here" disabled={busy} title={t("painter.runHere.help")} onClick={paintAgain}>
                    {t("painter.runHere")}
                  </button>
                </>
              )}
              <button type="button" className="primary" disabled={busy} title={readable("$mod+Enter")} onClick={() => void takeMask()}>
                {t("painter.useMask")}
              </button>
            </>
          )}
        </span>
      </header>
      <Surface studio={studio} label="painter.surface" said={segments.said || (studio.tool === "segment" ? segments.note : "")} />
    </div>
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
