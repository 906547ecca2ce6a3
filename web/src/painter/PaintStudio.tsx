import { readable } from "../ui/keyNames";
import { useEffect, useMemo, useRef, useState } from "react";
import { reached } from "../api/base";
import { blobUrl } from "../api/client";
import { useT } from "../i18n";
import { useFeed } from "../state/feed";
import { isLive, toggleLive } from "../state/live";
import { inputOf } from "../state/painting";
import type { Mark } from "../state/marks";
import { canRedoPaint, canUndoPaint, type Ground, groundOf, type Painting, type PaintLayer, paintingText, putPainting, readPainting, redoPaint, undoPaint } from "../state/paintings";
import { type PaintPlace, tabOf, useApp } from "../state/store";
import { Icon } from "../ui/icons";
import { SIZES, type Tool } from "./board";
import { MaskLayer, makeCanvas } from "./layer";
import { loadImage, PainterDialog } from "./Painter";
import { RegionFields, regionColor } from "./Regions";
import { SegmentFields, useSegments } from "./Segments";
import { Likeness, Range, Surface, ToolButton, Tools, useStudio } from "./useStudio";

const TOOLS: readonly Tool[] = ["brush", "eraser", "lasso", "similar", "segment", "picker", "move"];
const SWATCHES = 12;
/** What lies below a region is seen through it. */
const REGION = 0.6;

/** A painting of a node: layers of coloured strokes, each stroke a change of the document. */
export function PaintingPainter({ place, onClose }: { place: PaintPlace; onClose: () => void }) {
  const t = useT();
  const [ground] = useState(() => groundOf(place));
  const [image, setImage] = useState<HTMLImageElement | null | undefined>(undefined);
  useEffect(() => {
    let stopped = false;
    // Without its image it is painted on the sheet.
    void loadImage(ground.image).then(
      (found) => !stopped && setImage(found),
      () => !stopped && setImage(null),
    );
    return () => {
      stopped = true;
    };
  }, [ground]);
  return (
    <PainterDialog label={t("painting.title")} onClose={onClose}>
      {image !== undefined && <Studio place={place} ground={ground} image={image} onClose={onClose} />}
    </PainterDialog>
  );
}

function Studio({ place, ground, image, onClose }: { place: PaintPlace; ground: Ground; image: HTMLImageElement | null; onClose: () => void }) {
  const t = useT();
  const text = useApp((state) => paintingText(place, tabOf(state).document));
  const { prompts } = ground;
  const called = (number: number) => t(prompts ? "painting.region" : "painting.layer", { number });
  const first = called(1);
  const painting = useMemo(
    () => readPainting(text ?? "", image?.naturalWidth ?? ground.width, image?.naturalHeight ?? ground.height, first),
    [text, image, ground, first],
  );
  const { width, height } = painting;
  const below = useMemo(() => {
    if (image) return image;
    const [canvas, context] = makeCanvas(width, height);
    context.fillStyle = ground.background;
    context.fillRect(0, 0, width, height);
    return canvas;
  }, [image, ground, width, height]);
  const [chosen, setChosen] = useState(() => painting.layers.length - 1);
  const active = Math.min(chosen, painting.layers.length - 1);
  const [chosenColor, setColor] = useState(() => colorsOf(painting)[0] ?? "#d8412f");
  const colorOf = (index: number) => painting.layers[index]?.color ?? regionColor(index);
  const color = prompts ? colorOf(active) : chosenColor;
  const live = useApp(isLive);
  /** Pixels of the layers, by their place from below. */
  const drawn = useRef<MaskLayer[]>([]);
  const put = (change: Partial<Painting>, group = "") => putPainting(place, { ...painting, ...change }, group);
  const putLayer = (at: number, change: Partial<PaintLayer>, group = "") => put({ layers: painting.layers.map((layer, index) => (index === at ? { ...layer, ...change } : layer)) }, group);
  const addMark = (mark: Mark, already: boolean) => {
    const layer = painting.layers[active];
    if (!layer) return;
    if (already) drawn.current[active]?.adopt(mark);
    putLayer(active, { marks: [...layer.marks, mark], visible: true, ...(prompts ? { color } : {}) });
  };
  const segments = useSegments(
    image,
    { width, height },
    () => inputOf(ground.image ?? ""),
    (runs, erase) => addMark({ kind: "region", erase, runs, color }, false),
  );
  const tools = TOOLS.filter((tool) => (image || tool !== "segment") && (!prompts || tool !== "picker"));
  const studio = useStudio({
    width,
    height,
    image: below,
    tools,
    onSegment: segments.choose,
    put: addMark,
    onColor: (picked) => {
      setColor(picked);
      studio.choose("brush");
    },
    undo: undoPaint,
    redo: redoPaint,
    finish: onClose,
    more: {},
  });
  const { board, set } = studio;
  useEffect(() => {
    const layers = painting.layers.map(({ marks }, index) => {
      const known = drawn.current[index];
      const layer = known?.width === width && known.height === height ? known : new MaskLayer(width, height, "#000000");
      layer.show(marks);
      return layer;
    });
    drawn.current = layers;
    const layer = layers[active];
    if (layer) set({ layer, color, sheets: layers.map((one, index) => ({ layer: one, opacity: prompts ? REGION : (painting.layers[index]?.opacity ?? 1), visible: painting.layers[index]?.visible ?? true })) });
  }, [board, set, painting, active, color, width, height, prompts]);
  // The node is gone: undone, or deleted in another window.
  useEffect(() => {
    if (text === null) onClose();
  }, [text, onClose]);

  const move = (by: number) => {
    const layers = [...painting.layers];
    const [layer] = layers.splice(active, 1);
    if (!layer) return;
    layers.splice(active + by, 0, layer);
    put({ layers });
    setChosen(active + by);
  };
  const add = () => {
    const layer: PaintLayer = { name: called(painting.layers.length + 1), opacity: 1, visible: true, marks: [], ...(prompts ? { color: freeColor(painting) } : {}) };
    put({ layers: [...painting.layers.slice(0, active + 1), layer, ...painting.layers.slice(active + 1)] });
    setChosen(active + 1);
  };
  const remove = () => {
    put({ layers: painting.layers.filter((_, index) => index !== active) });
    setChosen(Math.max(0, active - 1));
  };

  return (
    <div className="painter-frame painting" onKeyDown={studio.press} onKeyUp={studio.release}>
      <Tools studio={studio} tools={tools}>
        <ToolButton name="undo" hint={readable("$mod+z")} disabled={!canUndoPaint()} onClick={undoPaint} />
        <ToolButton name="redo" hint={readable("$mod+Shift+z")} disabled={!canRedoPaint()} onClick={redoPaint} />
      </Tools>
      <header className="painter-bar">
        <strong>{t("painting.title")}</strong>
        <small>{`${width} × ${height} · ${Math.round(studio.zoom * 100)} %`}</small>
        <Range label="painter.size" value={studio.size} min={SIZES[0]} max={SIZES[1]} onChange={studio.changeSize} />
        {studio.tool === "similar" && <Likeness studio={studio} />}
        {studio.tool === "segment" && <SegmentFields segments={segments} />}
        <span className="painter-actions">
          <button type="button" data-live={live} aria-pressed={live} onClick={toggleLive}>
            <i className="live-dot" aria-hidden="true" />
            {t("run.live")}
          </button>
          <button type="button" className="primary" title={readable("$mod+Enter")} onClick={onClose}>
            {t("painting.done")}
          </button>
        </span>
      </header>
      <Surface studio={studio} label="painter.surface" said={segments.said || (studio.tool === "segment" ? segments.note : "")} />
      <aside className="painting-side">
        <LiveResult />
        {!prompts && (
          <section>
            <h3>{t("painting.color")}</h3>
            <div className="swatches">
              <input type="color" aria-label={t("painting.color")} value={color} onChange={(event) => setColor(event.target.value)} />
              {colorsOf(painting).slice(0, SWATCHES).map((one) => (
                <button key={one} type="button" data-swatch={one} aria-label={one} title={one} aria-pressed={one === color} style={{ background: one }} onClick={() => setColor(one)} />
              ))}
            </div>
          </section>
        )}
        <section className={`layers${prompts ? " regions" : ""}`}>
          <header>
            <h3>{t(prompts ? "painting.regions" : "painting.layers")}</h3>
            <button type="button" className="icon" data-layer-act="add" aria-label={t("painting.add")} title={t("painting.add")} onClick={add}>
              <Icon name="plus" />
            </button>
            <button type="button" className="icon" data-layer-act="up" aria-label={t("form.up")} title={t("form.up")} disabled={active === painting.layers.length - 1} onClick={() => move(1)}>
              ↑
            </button>
            <button type="button" className="icon" data-layer-act="down" aria-label={t("form.down")} title={t("form.down")} disabled={active === 0} onClick={() => move(-1)}>
              ↓
            </button>
            <button type="button" className="icon" data-layer-act="remove" aria-label={t("painting.remove")} title={t("painting.remove")} disabled={painting.layers.length < 2} onClick={remove}>
              <Icon name="clear" />
            </button>
          </header>
          <ul>
            {[...painting.layers.entries()].reverse().map(([index, layer]) => (
              <li key={index} data-layer={index} className={index === active ? "active" : ""} onPointerDown={() => setChosen(index)} onFocus={() => setChosen(index)}>
                <input type="checkbox" checked={layer.visible} aria-label={`${t("painting.visible")}: ${layer.name}`} title={t("painting.visible")} onChange={(event) => putLayer(index, { visible: event.target.checked })} />
                {prompts ? <RegionFields index={index} layer={layer} color={colorOf(index)} put={(change, group) => putLayer(index, change, group)} /> : (
                  <>
                <input type="text" value={layer.name} maxLength={200} aria-label={t("painting.name")} onChange={(event) => putLayer(index, { name: event.target.value }, `name${index}`)} />
                <input
                  type="range"
                  min="0"
                  max="100"
                  value={Math.round(layer.opacity * 100)}
                  aria-label={`${t("painting.opacity")}: ${layer.name}`}
                  title={`${t("painting.opacity")} ${Math.round(layer.opacity * 100)} %`}
                  onChange={(event) => putLayer(index, { opacity: Number(event.target.value) / 100 }, `opacity${index}`)}
                />
                  </>
                )}
              </li>
            ))}
          </ul>
        </section>
      </aside>
    </div>
  );
}

/** A colour that no region has yet, as long as there is one. */
function freeColor({ layers }: Painting): string {
  const taken = layers.map(({ color }, index) => color ?? regionColor(index));
  const free = layers.findIndex((_, index) => !taken.includes(regionColor(index)));
  return regionColor(free < 0 ? layers.length : free);
}

/** The newest colours of a painting, each once. */
function colorsOf({ layers }: Painting): string[] {
  const all = layers.flatMap(({ marks }) => marks.flatMap((mark) => ("color" in mark && mark.color ? [mark.color] : [])));
  return [...new Set(all.reverse())];
}

/** The newest image that this workflow made: in live mode, what became of the last stroke. */
function LiveResult() {
  const t = useT();
  const tab = useApp((state) => state.active);
  const media = useApp((state) => state.catalogue.media);
  const newest = useFeed(({ items }) => items.find((item) => item.tab === tab && media.view(item.file.media_type) === "image"));
  if (!newest) return null;
  return (
    <section>
      <h3>{t("painting.result")}</h3>
      <img className="live-result" src={reached(blobUrl(newest.file.digest))} alt={t("painting.result")} />
    </section>
  );
}
