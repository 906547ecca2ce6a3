/** What the runs of this page made, the newest first, whichever workflow it was. It lives as long as the page. */

import { create } from "zustand";
import type { NodeFile } from "./status";

export interface FeedItem {
  run: string;
  tab: string;
  /** Flat id of the node that made it. */
  node: string;
  file: NodeFile;
}

const MOST = 300;

export const useFeed = create<{ items: readonly FeedItem[] }>()(() => ({ items: [] }));

/** The same file of the same node, from the cache, is no second item: it comes to the front. */
export function addToFeed(run: string, tab: string, node: string, files: readonly NodeFile[]): void {
  if (!files.length) return;
  useFeed.setState(({ items }) => {
    const known = files.every((file) => items.some((one) => one.run === run && one.node === node && one.file.digest === file.digest));
    if (known) return {};
    const fresh = files.map((file): FeedItem => ({ run, tab, node, file })).reverse();
    const rest = items.filter((one) => !(one.tab === tab && one.node === node && files.some((file) => file.digest === one.file.digest)));
    return { items: [...fresh, ...rest].slice(0, MOST) };
  });
}

export const clearFeed = () => useFeed.setState({ items: [] });
