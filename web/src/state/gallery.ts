/** The gallery's list: as long as the answer says, and loaded where it is looked at. */

import { useCallback, useEffect, useRef, useState } from "react";
import { call } from "../api/client";
import type { GalleryItem, Routes } from "../api/types";
import { t } from "../i18n";
import { errorText } from "../i18n/problems";
import { toast, useApp } from "./store";

const PAGE = 120;
const TYPING = 200;
const CHANGED = 40;

export interface GalleryQuery {
  search: string;
  node: string;
  model: string;
  /** Times in seconds since 1970; 0: no bound. */
  since: number;
  until: number;
  trash: boolean;
  /** The lowest; 0: any. */
  rating: number;
  tag: string;
  /** The id of a board. */
  board: string;
}

export const EVERYTHING: GalleryQuery = { search: "", node: "", model: "", since: 0, until: 0, trash: false, rating: 0, tag: "", board: "" };

type Asked = Routes["GET /gallery"]["query"];

/** What is asked, without what asks for nothing. */
function parameters({ search, trash, ...others }: GalleryQuery): Asked {
  const text = search.trim();
  return { trash, ...(text && { search: text }), ...Object.fromEntries(Object.entries(others).filter(([, value]) => value)) };
}

interface List {
  total: number;
  pages: ReadonlyMap<number, GalleryItem[]>;
  /** False until the first answer to this question. */
  known: boolean;
}

export interface Gallery extends List {
  at: (index: number) => GalleryItem | undefined;
  /** What is in sight: its pages are fetched. */
  show: (first: number, last: number) => void;
  loaded: () => GalleryItem[];
}

/** Items by their place. What was loaded stays on screen until the newer answer is there. */
export function useGallery(query: GalleryQuery): Gallery {
  const version = useApp((state) => state.filesVersion);
  const [list, setList] = useState<List>({ total: 0, pages: new Map(), known: false });
  const seen = useRef({ first: 0, last: 0 });
  const round = useRef(0);
  const asked = useRef("");
  const pending = useRef(new Set<number>());
  const text = JSON.stringify(parameters(query));

  const fetchPage = useCallback(
    async (page: number, now: number, fresh: boolean) => {
      if (pending.current.has(page)) return;
      pending.current.add(page);
      try {
        const answer = await call("GET /gallery", { query: { ...(JSON.parse(text) as Asked), offset: page * PAGE, limit: PAGE } });
        if (round.current !== now) return;
        setList((before) => ({
          total: answer.total,
          pages: new Map([...(fresh ? [] : before.pages), [page, answer.items]]),
          known: true,
        }));
      } catch {
        // The connection is away; what is seen is asked for again at the next change.
      } finally {
        if (round.current === now) pending.current.delete(page);
      }
    },
    [text],
  );

  useEffect(() => {
    const now = ++round.current;
    pending.current = new Set();
    // What the user types is waited for; what came in or was rated is shown at once.
    const wait = asked.current === text ? CHANGED : TYPING;
    asked.current = text;
    const timer = setTimeout(() => void fetchPage(Math.floor(seen.current.first / PAGE), now, true).then(() => rest()), wait);
    const rest = () => {
      const last = Math.floor(seen.current.last / PAGE);
      if (round.current === now && last !== Math.floor(seen.current.first / PAGE)) void fetchPage(last, now, false);
    };
    return () => clearTimeout(timer);
  }, [fetchPage, text, version]);

  // Files that came into the folder by other ways are found by the server while it is asked: look again a little later.
  useEffect(() => {
    const timers = [2500, 8000].map((wait) => setTimeout(refreshGallery, wait));
    return () => timers.forEach(clearTimeout);
  }, []);

  const show = useCallback(
    (first: number, last: number) => {
      seen.current = { first, last };
      if (!list.known) return;
      for (let page = Math.floor(first / PAGE); page <= Math.floor(last / PAGE); page++) {
        if (page * PAGE < list.total && !list.pages.has(page)) void fetchPage(page, round.current, false);
      }
    },
    [list, fetchPage],
  );
  const at = useCallback((index: number) => list.pages.get(Math.floor(index / PAGE))?.[index % PAGE], [list]);
  const loaded = useCallback(() => [...list.pages].sort(([a], [b]) => a - b).flatMap(([, items]) => items), [list]);
  return { ...list, at, show, loaded };
}

/** Throws images away; the message that says so takes it back, and the trash does later. */
export async function trash(ids: string[]): Promise<void> {
  if (!ids.length) return;
  try {
    const { items } = await call("POST /gallery/trash", { body: { items: ids } });
    refreshGallery();
    toast(t(items.length === 1 ? "gallery.trashed.one" : "gallery.trashed", { count: items.length }), "info", {
      label: t("command.undo"),
      run: () => void putBack(items),
    });
  } catch (error) {
    toast(errorText(error), "error");
  }
}

export async function putBack(ids: string[]): Promise<void> {
  try {
    await call("POST /gallery/restore", { body: { items: ids } });
    refreshGallery();
  } catch (error) {
    toast(errorText(error), "error");
  }
}

export async function emptyTrash(): Promise<void> {
  try {
    await call("POST /gallery/empty");
    refreshGallery();
  } catch (error) {
    toast(errorText(error), "error");
  }
}

export function refreshGallery(): void {
  useApp.setState((state) => ({ filesVersion: state.filesVersion + 1 }));
}
