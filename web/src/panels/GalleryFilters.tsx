import { useEffect, useMemo, useState } from "react";
import { call } from "../api/client";
import type { FacetsAnswer } from "../api/types";
import { labelOf } from "../graph";
import { said, useT } from "../i18n";
import { STARS } from "../state/boards";
import { emptyTrash, EVERYTHING, type GalleryQuery } from "../state/gallery";
import { useApp } from "../state/store";
import { BoardStrip } from "./BoardStrip";

/** Whether anything is asked for but all that there is, in the trash or out of it. */
export const isFiltered = (query: GalleryQuery) => Object.entries({ ...query, search: query.search.trim(), trash: false }).some(([key, value]) => value !== EVERYTHING[key as keyof GalleryQuery]);

const DAYS = { today: 1, week: 7, month: 30 } as const;

interface FilterProps {
  query: GalleryQuery;
  ask: (change: Partial<GalleryQuery>) => void;
  total: number;
  wide: boolean;
  setWide: (wide: boolean) => void;
}

/** What is looked for, by words and by what was said of it; the boards; how much is shown. */
export function GalleryFilters({ query, ask, total, wide, setWide }: FilterProps) {
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
      <div className="filter-row">
        <select aria-label={t("gallery.rating.any")} value={query.rating} onChange={(event) => ask({ rating: Number(event.target.value) })}>
          <option value={0}>{t("gallery.rating.any")}</option>
          {STARS.map((star) => (
            <option key={star} value={star}>
              {star === 5 ? "★".repeat(5) : t("gallery.rating.least", { stars: "★".repeat(star) })}
            </option>
          ))}
        </select>
        <select aria-label={t("gallery.tag.any")} value={query.tag} onChange={(event) => ask({ tag: event.target.value })}>
          <option value="">{t("gallery.tag.any")}</option>
          {Object.entries(facets?.tags ?? {})
            .sort(([a], [b]) => a.localeCompare(b))
            .map(([name, count]) => (
              <option key={name} value={name}>{`${name} (${Number(count)})`}</option>
            ))}
        </select>
      </div>
      {when === "between" && (
        <div className="filter-row">
          <input type="date" aria-label={t("gallery.when.from")} onChange={(event) => ask({ since: day(event.target.value, 0) })} />
          <input type="date" aria-label={t("gallery.when.to")} onChange={(event) => ask({ until: day(event.target.value, 1) })} />
        </div>
      )}
      {!query.trash && <BoardStrip board={query.board} setBoard={(board) => ask({ board })} />}
      <div className="filter-row quiet">
        <span aria-live="polite">{t(query.trash ? "gallery.trash.count" : "gallery.count", { count: total })}</span>
        {query.trash && total > 0 && (
          <button type="button" onClick={() => void emptyTrash()}>
            {t("gallery.trash.clear")}
          </button>
        )}
        <button type="button" aria-pressed={query.trash} onClick={() => ask({ trash: !query.trash, board: "" })}>
          {t("gallery.trash")}
        </button>
        <button type="button" aria-pressed={wide} onClick={() => setWide(!wide)}>
          {t(wide ? "gallery.narrow" : "gallery.wide")}
        </button>
      </div>
    </div>
  );
}
