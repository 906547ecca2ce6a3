/** Ratings, tags and boards of what was made. They are the server's: every window sees them. */

import { useEffect } from "react";
import { create } from "zustand";
import { call } from "../api/client";
import type { Board, GalleryItem, MarkBody } from "../api/types";
import { t } from "../i18n";
import { errorText } from "../i18n/problems";
import { refreshGallery } from "./gallery";
import { toast, useApp } from "./store";

export const STARS = [1, 2, 3, 4, 5] as const;
/** Images of the gallery that are dragged, by id. */
export const DRAG_ITEMS = "application/x-safelight-items";

interface Known {
  boards: Board[];
  tags: string[];
}

const useKnown = create<Known>()(() => ({ boards: [], tags: [] }));

/** The boards and the tags that there are. */
export function useBoards(): Known {
  const version = useApp((state) => state.filesVersion);
  useEffect(() => {
    const timer = setTimeout(() => {
      void call("GET /boards").then((boards) => useKnown.setState({ boards }), () => undefined);
      void call("GET /gallery/facets").then(({ tags }) => useKnown.setState({ tags: Object.keys(tags).sort((a, b) => a.localeCompare(b)) }), () => undefined);
    }, 100);
    return () => clearTimeout(timer);
  }, [version]);
  return useKnown();
}

async function done<T>(work: Promise<T>): Promise<T | null> {
  try {
    const answer = await work;
    refreshGallery();
    return answer;
  } catch (error) {
    toast(errorText(error), "error");
    return null;
  }
}

/** Rates images, tags them, lays them on boards. */
export async function mark(items: readonly string[], change: Partial<Omit<MarkBody, "items">>): Promise<void> {
  if (items.length) await done(call("PATCH /gallery", { body: { items: [...items], ...change } }));
}

/** 0 to 5 rate; gives whether the key was one of them. */
export function rateByKey(event: { key: string; ctrlKey: boolean; metaKey: boolean; altKey: boolean }, items: readonly string[]): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || !/^[0-5]$/.test(event.key) || !items.length) return false;
  void mark(items, { rating: Number(event.key) });
  return true;
}

export async function layOn(board: Board, items: readonly string[]): Promise<void> {
  await mark(items, { add_boards: [board.id] });
  toast(t(items.length === 1 ? "gallery.board.laid.one" : "gallery.board.laid", { count: items.length, name: board.name }), "info", {
    label: t("command.undo"),
    run: () => void mark(items, { remove_boards: [board.id] }),
  });
}

export const makeBoard = (name: string, items: readonly string[] = []): Promise<Board | null> => done(call("POST /boards", { body: { name, items: [...items] } }));

export const renameBoard = (id: string, name: string): Promise<Board | null> => done(call("PATCH /boards/{board}", { path: { board: id }, body: { name } }));

/** Deletes a board and nothing else; the message that says so restores it. */
export async function removeBoard({ id, name }: Board): Promise<void> {
  const lay = await done(call("DELETE /boards/{board}", { path: { board: id } }));
  if (lay) toast(t("gallery.board.deleted", { name }), "info", { label: t("command.undo"), run: () => void makeBoard(name, lay.items) });
}

/** The output with these bytes, as long as it is on record and not in the trash. */
export async function outputOf(url: string): Promise<GalleryItem | null> {
  const digest = /\/blobs\/([0-9a-f]{40})$/.exec(url)?.[1];
  if (!digest) return null;
  const { items } = await call("GET /gallery", { query: { digest, limit: 1 } });
  return items[0] ?? null;
}
