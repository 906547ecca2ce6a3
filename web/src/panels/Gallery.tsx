import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState } from "react";
import { reached } from "../api/base";
import type { GalleryItem } from "../api/types";
import { useT } from "../i18n";
import { DRAG_ITEMS, rateByKey } from "../state/boards";
import { chooseSecond } from "../state/comparing";
import { dragImage } from "../state/files";
import { EVERYTHING, type GalleryQuery, trash, useGallery } from "../state/gallery";
import { openMedia } from "../results/MediaResult";
import { useApp } from "../state/store";
import { GalleryFilters, isFiltered } from "./GalleryFilters";
import { ImageDetail } from "./ImageDetail";
import { SeveralImages } from "./SeveralImages";

/** The smallest side of a cell; columns fill the width. */
const CELL = { narrow: 104, wide: 168 };
const GAP = 6;

/** What runs made, the newest first. Only what is in sight is loaded and drawn. */
export function Gallery({ wide, setWide }: { wide: boolean; setWide: (wide: boolean) => void }) {
  const t = useT();
  const [query, setQuery] = useState<GalleryQuery>(EVERYTHING);
  const [chosen, setChosen] = useState<ReadonlyMap<string, GalleryItem>>(new Map());
  const [anchor, setAnchor] = useState(0);
  const comparing = useApp((state) => state.comparing !== null);
  const [width, setWidth] = useState(328);
  const scroll = useRef<HTMLDivElement>(null);
  // A long press of a finger began a choice: further taps add to it, until nothing is chosen.
  const collecting = useRef(false);
  const gallery = useGallery(query);
  const { total, at, show } = gallery;

  useEffect(() => {
    const element = scroll.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth - 32));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const columns = Math.max(2, Math.floor((width + GAP) / (CELL[wide ? "wide" : "narrow"] + GAP)));
  const side = Math.floor((width - GAP * (columns - 1)) / columns);
  const rows = useVirtualizer({ count: Math.ceil(total / columns), getScrollElement: () => scroll.current, estimateSize: () => side + GAP, overscan: 4 });
  useEffect(() => rows.measure(), [rows, side]);
  const visible = rows.getVirtualItems();
  const first = (visible[0]?.index ?? 0) * columns;
  const last = Math.min(total - 1, ((visible.at(-1)?.index ?? 5) + 1) * columns - 1);
  useEffect(() => show(first, Math.max(first, last)), [show, first, last]);

  const ask = (change: Partial<GalleryQuery>) => {
    setQuery((before) => ({ ...before, ...change }));
    collecting.current = false;
    setChosen(new Map());
    scroll.current?.scrollTo({ top: 0 });
  };
  const view = (item: GalleryItem) => {
    const { media } = useApp.getState().catalogue;
    if (media.view(item.media_type) !== "image") return openMedia(item);
    const images = gallery.loaded().filter((one) => media.view(one.media_type) === "image");
    useApp.setState({ overlay: { kind: "viewer", images: images.map((one) => one.url), index: Math.max(0, images.findIndex((one) => one.id === item.id)) } });
  };
  const toggle = (item: GalleryItem) => {
    const next = new Map(chosen);
    if (!next.delete(item.id)) next.set(item.id, item);
    if (!next.size) collecting.current = false;
    setChosen(next);
  };
  const choose = (index: number, event: { ctrlKey: boolean; metaKey: boolean; shiftKey: boolean }) => {
    const item = at(index);
    if (!item) return;
    if (chooseSecond(item.url)) return;
    if (event.shiftKey) {
      const [from, to] = [Math.min(anchor, index), Math.max(anchor, index)];
      const range = Array.from({ length: to - from + 1 }, (_, step) => at(from + step)).filter((one) => one !== undefined);
      return setChosen(new Map(range.map((one) => [one.id, one])));
    }
    setAnchor(index);
    if (event.ctrlKey || event.metaKey || collecting.current) toggle(item);
    else setChosen(new Map([[item.id, item]]));
  };
  const unchoose = () => {
    collecting.current = false;
    setChosen(new Map());
  };
  const remove = (items: GalleryItem[]) => {
    unchoose();
    void trash(items.map((item) => item.id));
  };
  /** Arrows walk through the images, Space chooses, Enter opens one, 0 to 5 rate, Delete throws away what is chosen. */
  const press = (event: React.KeyboardEvent, index: number) => {
    const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const by = steps[event.key];
    if (by !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      const target = Math.max(0, Math.min(total - 1, index + by));
      choose(target, event.shiftKey ? event : { ctrlKey: false, metaKey: false, shiftKey: false });
      rows.scrollToIndex(Math.floor(target / columns));
      requestAnimationFrame(() => scroll.current?.querySelector<HTMLElement>(`[data-index="${target}"]`)?.focus());
    } else if (event.key === " " || ((event.ctrlKey || event.metaKey) && event.key === "a")) {
      const item = at(index);
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "a") setChosen(new Map(gallery.loaded().map((one) => [one.id, one])));
      else if (item) toggle(item);
    } else if (!query.trash && rateByKey(event, chosen.size ? [...chosen.keys()] : [at(index)?.id ?? []].flat())) {
      event.preventDefault();
      event.stopPropagation();
    } else if (event.key === "Enter") {
      const item = at(index);
      event.preventDefault();
      event.stopPropagation();
      if (item) view(item);
    } else if (event.key === "Delete" && chosen.size) {
      event.preventDefault();
      event.stopPropagation();
      remove([...chosen.values()]);
    } else if (event.key === "Escape" && chosen.size && !comparing) {
      event.stopPropagation();
      unchoose();
    }
  };

  // As they are now: what is said of them changes here and in other windows.
  const now = new Map(gallery.loaded().map((item) => [item.id, item]));
  const items = [...chosen.values()].map((item) => now.get(item.id) ?? item);
  return (
    <>
      <GalleryFilters query={query} ask={ask} total={total} wide={wide} setWide={setWide} />
      <div className="gallery-body">
        <div className="scroll gallery-grid" ref={scroll} {...(total ? { role: "listbox", "aria-label": t("panel.gallery"), "aria-multiselectable": true } : {})}>
          {gallery.known && !total && <p className="hint">{t(isFiltered(query) ? "search.empty" : query.trash ? "gallery.trash.empty" : "gallery.empty")}</p>}
          <div style={{ height: rows.getTotalSize(), position: "relative" }}>
            {visible.map((row) => (
              <div key={row.key} className="gallery-row" style={{ transform: `translateY(${row.start}px)`, height: side, gridTemplateColumns: `repeat(${columns}, ${side}px)` }}>
                {Array.from({ length: Math.max(0, Math.min(columns, total - row.index * columns)) }, (_, column) => {
                  const index = row.index * columns + column;
                  const item = at(index);
                  return (
                    <Cell
                      key={index}
                      index={index}
                      item={item}
                      chosen={item !== undefined && chosen.has(item.id)}
                      focusable={index === anchor || (index === first && (anchor < first || anchor > last))}
                      onChoose={(event) => choose(index, event)}
                      onHold={() => {
                        collecting.current = true;
                        setAnchor(index);
                        if (item && !chosen.has(item.id)) toggle(item);
                      }}
                      onDrag={(data) => item && data.setData(DRAG_ITEMS, JSON.stringify(chosen.has(item.id) ? [...chosen.keys()] : [item.id]))}
                      onOpen={() => item && !comparing && !collecting.current && view(item)}
                      onPress={(event) => press(event, index)}
                    />
                  );
                })}
              </div>
            ))}
          </div>
        </div>
        {items.length > 1 ? (
          <SeveralImages items={items} trashed={query.trash} onRemove={() => remove(items)} onClear={unchoose} />
        ) : (
          items[0] && <ImageDetail key={items[0].id} item={items[0]} onRemove={(item) => remove([item])} onView={view} />
        )}
      </div>
    </>
  );
}

interface CellProps {
  index: number;
  item: GalleryItem | undefined;
  chosen: boolean;
  focusable: boolean;
  onChoose: (event: React.MouseEvent) => void;
  onHold: () => void;
  onDrag: (data: DataTransfer) => void;
  onOpen: () => void;
  onPress: (event: React.KeyboardEvent) => void;
}

/** How long a finger rests on an image to choose it, in milliseconds, and how far it may slip, in pixels. */
const HOLD = { time: 450, slip: 8 };
const FINGERS = matchMedia("(pointer: coarse)").matches;

function Cell({ index, item, chosen, focusable, onChoose, onHold, onDrag, onOpen, onPress }: CellProps) {
  const finger = useRef<{ x: number; y: number; timer: number; held: boolean } | null>(null);
  const lift = () => clearTimeout(finger.current?.timer);
  useEffect(() => lift, []);
  if (!item) return <span className="gallery-cell loading" data-index={index} />;
  const prompt = item.prompts[0] ?? "";
  return (
    <button
      type="button"
      role="option"
      aria-selected={chosen}
      tabIndex={focusable ? 0 : -1}
      className="gallery-cell"
      data-index={index}
      data-image={item.name}
      aria-label={`${prompt ? `${prompt} (${item.name})` : item.name}${item.rating ? ` · ${"★".repeat(item.rating)}` : ""}`}
      title={prompt || item.name}
      draggable={!FINGERS}
      onDragStart={(event) => {
        dragImage(event.dataTransfer, item.url, item.name, item.media_type);
        onDrag(event.dataTransfer);
      }}
      onPointerDown={(event) => {
        if (event.pointerType !== "touch") return void (finger.current = null);
        const timer = window.setTimeout(() => {
          if (finger.current) finger.current.held = true;
          onHold();
        }, HOLD.time);
        finger.current = { x: event.clientX, y: event.clientY, timer, held: false };
      }}
      onPointerMove={(event) => {
        const from = finger.current;
        if (from && Math.hypot(event.clientX - from.x, event.clientY - from.y) > HOLD.slip) lift();
      }}
      onPointerUp={lift}
      onPointerCancel={lift}
      onContextMenu={(event) => finger.current && event.preventDefault()}
      onClick={(event) => !finger.current?.held && onChoose(event)}
      onDoubleClick={onOpen}
      onKeyDown={onPress}
    >
      {item.thumbnail ? <img src={reached(item.thumbnail)} alt="" decoding="async" draggable={false} /> : <span className="file-name">{item.name}</span>}
      {item.rating > 0 && <span className="cell-stars">{"★".repeat(item.rating)}</span>}
      {item.seconds > 0 && <span className="file-length">{lengthText(item.seconds)}</span>}
    </button>
  );
}

/** Seconds as 1:05. */
function lengthText(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
