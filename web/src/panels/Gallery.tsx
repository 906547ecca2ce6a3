import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { call } from "../api/client";
import type { FacetsAnswer, GalleryItem } from "../api/types";
import { said, useT } from "../i18n";
import { labelOf } from "../graph";
import { DRAG_OUTPUT } from "../state/files";
import { emptyTrash, EVERYTHING, type GalleryQuery, putBack, trash, useGallery } from "../state/gallery";
import { openMedia } from "../results/MediaResult";
import { useApp } from "../state/store";
import { ImageDetail } from "./ImageDetail";

/** The smallest side of a cell; columns fill the width. */
const CELL = { narrow: 104, wide: 168 };
const GAP = 6;

/** What runs made, the newest first. Only what is in sight is loaded and drawn. */
export function Gallery({ wide, setWide }: { wide: boolean; setWide: (wide: boolean) => void }) {
  const t = useT();
  const [query, setQuery] = useState<GalleryQuery>(EVERYTHING);
  const [chosen, setChosen] = useState<ReadonlyMap<string, GalleryItem>>(new Map());
  const [anchor, setAnchor] = useState(0);
  const [comparing, setComparing] = useState<GalleryItem | null>(null);
  const [width, setWidth] = useState(328);
  const scroll = useRef<HTMLDivElement>(null);
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
    setChosen(new Map());
    scroll.current?.scrollTo({ top: 0 });
  };
  const view = (item: GalleryItem) => {
    const { media } = useApp.getState().catalogue;
    if (media.view(item.media_type) !== "image") return openMedia(item);
    const images = gallery.loaded().filter((one) => media.view(one.media_type) === "image");
    useApp.setState({ overlay: { kind: "viewer", images: images.map((one) => one.url), index: Math.max(0, images.findIndex((one) => one.id === item.id)) } });
  };
  const compare = (a: GalleryItem, b: GalleryItem) => {
    setComparing(null);
    useApp.setState({ overlay: { kind: "viewer", images: [a.url], index: 0, compare: b.url } });
  };
  const choose = (index: number, event: { ctrlKey: boolean; metaKey: boolean; shiftKey: boolean }) => {
    const item = at(index);
    if (!item) return;
    if (comparing) return comparing.id === item.id ? undefined : compare(comparing, item);
    if (event.shiftKey) {
      const [from, to] = [Math.min(anchor, index), Math.max(anchor, index)];
      const range = Array.from({ length: to - from + 1 }, (_, step) => at(from + step)).filter((one) => one !== undefined);
      return setChosen(new Map(range.map((one) => [one.id, one])));
    }
    setAnchor(index);
    if (event.ctrlKey || event.metaKey) {
      const next = new Map(chosen);
      if (!next.delete(item.id)) next.set(item.id, item);
      setChosen(next);
    } else setChosen(new Map([[item.id, item]]));
  };
  const remove = (items: GalleryItem[]) => {
    setChosen(new Map());
    void trash(items.map((item) => item.id));
  };
  /** Arrows walk through the images, Enter opens one, Delete throws away what is chosen. */
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
    } else if (event.key === "Enter") {
      const item = at(index);
      event.preventDefault();
      event.stopPropagation();
      if (item) view(item);
    } else if (event.key === "Delete" && chosen.size) {
      event.preventDefault();
      event.stopPropagation();
      remove([...chosen.values()]);
    } else if (event.key === "Escape" && (comparing || chosen.size)) {
      event.stopPropagation();
      setComparing(null);
      setChosen(new Map());
    }
  };

  const items = [...chosen.values()];
  return (
    <>
      <Filters query={query} ask={ask} total={total} wide={wide} setWide={setWide} />
      {comparing && (
        <p className="hint banner" role="status">
          {t("gallery.compare.pick")}{" "}
          <button type="button" onClick={() => setComparing(null)}>
            {t("cancel")}
          </button>
        </p>
      )}
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
                      onOpen={() => item && !comparing && view(item)}
                      onPress={(event) => press(event, index)}
                    />
                  );
                })}
              </div>
            ))}
          </div>
        </div>
        {items.length > 1 ? (
          <div className="image-detail">
            <strong>{t("gallery.chosen", { count: items.length })}</strong>
            <div className="buttons">
              {items.length === 2 && (
                <button type="button" className="primary" onClick={() => compare(items[0] as GalleryItem, items[1] as GalleryItem)}>
                  {t("gallery.compare.two")}
                </button>
              )}
              {query.trash ? (
                <button type="button" onClick={() => void putBack(items.map((item) => item.id))}>
                  {t("gallery.restore")}
                </button>
              ) : (
                <button type="button" onClick={() => remove(items)}>
                  {t("gallery.delete")}
                </button>
              )}
            </div>
          </div>
        ) : (
          items[0] && <ImageDetail key={items[0].id} item={items[0]} onCompare={setComparing} onRemove={(item) => remove([item])} onView={view} />
        )}
      </div>
    </>
  );
}

const isFiltered = (query: GalleryQuery) => Boolean(query.search.trim() || query.node || query.model || query.since || query.until);

interface CellProps {
  index: number;
  item: GalleryItem | undefined;
  chosen: boolean;
  focusable: boolean;
  onChoose: (event: React.MouseEvent) => void;
  onOpen: () => void;
  onPress: (event: React.KeyboardEvent) => void;
}

function Cell({ index, item, chosen, focusable, onChoose, onOpen, onPress }: CellProps) {
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
      aria-label={prompt ? `${prompt} (${item.name})` : item.name}
      title={prompt || item.name}
      draggable
      onDragStart={(event) => {
        event.dataTransfer.setData(DRAG_OUTPUT, item.name);
        event.dataTransfer.setData("DownloadURL", `${item.media_type}:${item.name.split("/").pop() ?? ""}:${new URL(item.url, location.href).href}`);
      }}
      onClick={onChoose}
      onDoubleClick={onOpen}
      onKeyDown={onPress}
    >
      {item.thumbnail ? <img src={item.thumbnail} alt="" decoding="async" draggable={false} /> : <span className="file-name">{item.name}</span>}
      {item.seconds > 0 && <span className="file-length">{lengthText(item.seconds)}</span>}
    </button>
  );
}

/** Seconds as 1:05. */
function lengthText(seconds: number): string {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

const DAYS = { today: 1, week: 7, month: 30 } as const;

interface FilterProps {
  query: GalleryQuery;
  ask: (change: Partial<GalleryQuery>) => void;
  total: number;
  wide: boolean;
  setWide: (wide: boolean) => void;
}

function Filters({ query, ask, total, wide, setWide }: FilterProps) {
  const t = useT();
  const version = useApp((state) => state.filesVersion);
  const catalogue = useApp((state) => state.catalogue);
  const [facets, setFacets] = useState<FacetsAnswer | null>(null);
  const [when, setWhen] = useState<"any" | keyof typeof DAYS | "between">("any");
  useEffect(() => {
    const timer = setTimeout(() => void call("GET /gallery/facets").then(setFacets, () => undefined), 400);
    return () => clearTimeout(timer);
  }, [version, total]);
  const nodes = useMemo(() => {
    const title = (type: string) => said(catalogue.get(type)?.title ?? labelOf(type));
    return Object.entries(facets?.nodes ?? {})
      .map(([type, count]): [string, string, number] => [type, title(type), Number(count)])
      .sort((a, b) => a[1].localeCompare(b[1]));
  }, [facets, catalogue]);
  const setDays = (choice: typeof when) => {
    setWhen(choice);
    if (choice === "any" || choice === "between") return ask({ since: 0, until: 0 });
    const midnight = new Date();
    midnight.setHours(0, 0, 0, 0);
    ask({ since: midnight.getTime() / 1000 - (DAYS[choice] - 1) * 86_400, until: 0 });
  };
  const day = (text: string, after: number) => (text ? new Date(`${text}T00:00`).getTime() / 1000 + after * 86_400 : 0);
  return (
    <div className="gallery-filters">
      <input type="search" placeholder={t("gallery.search")} aria-label={t("gallery.search")} value={query.search} onChange={(event) => ask({ search: event.target.value })} />
      <div className="filter-row">
        <select aria-label={t("gallery.filter.node")} value={query.node} onChange={(event) => ask({ node: event.target.value })}>
          <option value="">{t("gallery.filter.node")}</option>
          {nodes.map(([type, title, count]) => (
            <option key={type} value={type}>{`${title} (${count})`}</option>
          ))}
        </select>
        <select aria-label={t("gallery.filter.model")} value={query.model} onChange={(event) => ask({ model: event.target.value })}>
          <option value="">{t("gallery.filter.model")}</option>
          {Object.entries(facets?.models ?? {}).map(([name, count]) => (
            <option key={name} value={name}>{`${name} (${Number(count)})`}</option>
          ))}
        </select>
        <select aria-label={t("gallery.filter.when")} value={when} onChange={(event) => setDays(event.target.value as typeof when)}>
          <option value="any">{t("gallery.filter.when")}</option>
          <option value="today">{t("gallery.when.today")}</option>
          <option value="week">{t("gallery.when.week")}</option>
          <option value="month">{t("gallery.when.month")}</option>
          <option value="between">{t("gallery.when.between")}</option>
        </select>
      </div>
      {when === "between" && (
        <div className="filter-row">
          <input type="date" aria-label={t("gallery.when.from")} onChange={(event) => ask({ since: day(event.target.value, 0) })} />
          <input type="date" aria-label={t("gallery.when.to")} onChange={(event) => ask({ until: day(event.target.value, 1) })} />
        </div>
      )}
      <div className="filter-row quiet">
        <span aria-live="polite">{t(query.trash ? "gallery.trash.count" : "gallery.count", { count: total })}</span>
        {query.trash && total > 0 && (
          <button type="button" onClick={() => void emptyTrash()}>
            {t("gallery.trash.clear")}
          </button>
        )}
        <button type="button" aria-pressed={query.trash} onClick={() => ask({ trash: !query.trash })}>
          {t("gallery.trash")}
        </button>
        <button type="button" aria-pressed={wide} onClick={() => setWide(!wide)}>
          {t(wide ? "gallery.narrow" : "gallery.wide")}
        </button>
      </div>
    </div>
  );
}
