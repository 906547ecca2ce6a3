/**
 * Keeps the open documents in this browser (IndexedDB), so that a closed tab, a crash or a stopped server loses nothing.
 * Each document is written a moment after it changed, and when the page is hidden.
 */

import { parseJson, stringifyJson, type Document } from "../model";
import { newTab, type Tab, useApp } from "./store";

const STORE = "tabs";
const DELAY = 250;

interface Kept {
  id: string;
  order: number;
  active: boolean;
  name: string;
  revision: number;
  saved: boolean;
  path: string[];
  viewports: Tab["viewports"];
  run: string | null;
  sameRun: boolean;
  /** As text: numbers beyond 2^53 keep their digits. */
  text: string;
}

let database: Promise<IDBDatabase> | null = null;

function open(): Promise<IDBDatabase> {
  database ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("safelight", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB"));
  });
  return database;
}

export async function restore(): Promise<boolean> {
  try {
    const store = (await open()).transaction(STORE).objectStore(STORE);
    const kept = await new Promise<Kept[]>((resolve, reject) => {
      const request = store.getAll() as IDBRequest<Kept[]>;
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("IndexedDB"));
    });
    if (!kept.length) return false;
    kept.sort((a, b) => a.order - b.order);
    const tabs = kept.map((entry) => {
      const document = parseJson(entry.text) as Document;
      return newTab({
        id: entry.id,
        name: entry.name,
        revision: entry.revision,
        document,
        base: entry.saved ? document : null,
        path: entry.path,
        viewports: entry.viewports,
        run: entry.run,
        runDocument: entry.sameRun ? document : null,
      });
    });
    useApp.setState({ tabs, active: (kept.find((entry) => entry.active) ?? (kept[0] as Kept)).id });
    for (const tab of tabs) written.set(tab.id, tab);
    return true;
  } catch {
    return false; // a private window: the session lives as long as the page
  }
}

const written = new Map<string, Tab>();

export function startPersisting(): () => void {
  let timer = 0;
  const write = async () => {
    clearTimeout(timer);
    const { tabs, active } = useApp.getState();
    try {
      const transaction = (await open()).transaction(STORE, "readwrite");
      const store = transaction.objectStore(STORE);
      tabs.forEach((tab, order) => {
        const before = written.get(tab.id);
        if (before && sameForStorage(before, tab) && !moved) return;
        store.put({
          id: tab.id,
          order,
          active: tab.id === active,
          name: tab.name,
          revision: tab.revision,
          saved: tab.base === tab.document,
          path: tab.path,
          viewports: tab.viewports,
          run: tab.run,
          sameRun: tab.runDocument === tab.document,
          text: stringifyJson(tab.document),
        } satisfies Kept);
        written.set(tab.id, tab);
      });
      for (const id of [...written.keys()]) {
        if (tabs.some((tab) => tab.id === id)) continue;
        store.delete(id);
        written.delete(id);
      }
      moved = false;
    } catch {
      // Storage is full or forbidden; the next change tries again.
    }
  };
  let moved = false;
  const stop = useApp.subscribe((state, before) => {
    if (state.tabs === before.tabs && state.active === before.active) return;
    if (state.active !== before.active || state.tabs.length !== before.tabs.length) moved = true;
    clearTimeout(timer);
    timer = window.setTimeout(() => void write(), DELAY);
  });
  const hide = () => void write();
  window.addEventListener("pagehide", hide);
  document.addEventListener("visibilitychange", hide);
  return () => {
    stop();
    clearTimeout(timer);
    window.removeEventListener("pagehide", hide);
    document.removeEventListener("visibilitychange", hide);
  };
}

function sameForStorage(a: Tab, b: Tab): boolean {
  return (
    a.document === b.document &&
    a.name === b.name &&
    a.revision === b.revision &&
    a.base === b.base &&
    a.path === b.path &&
    a.viewports === b.viewports &&
    a.run === b.run &&
    a.runDocument === b.runDocument
  );
}
