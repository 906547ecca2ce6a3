/**
 * Keeps the open documents in this browser (IndexedDB), so that a closed tab, a crash or a stopped server loses nothing.
 * A gesture is written as soon as it ends; while changes come in a stream (a slider is dragged), four times a second. Closed tabs are kept too, the
 * newest fifty.
 */

import { HERE } from "../api/base";
import { parseJson, stringifyJson, type Document } from "../graph";
import { alone, livingSessions, openSession, rememberForm, showedForm } from "./session";
import { newTab, type Tab, useApp } from "./store";

/** Another server on the same host, below another path, has documents of its own. */
const DATABASE = HERE === "/" ? "safelight" : `safelight${HERE}`;
const TABS = "tabs";
const CLOSED = "closed";
const DELAY = 250;
/** So many writes within a second are no stream yet. */
const BURST = 6;
const CLOSED_KEPT = 50;

interface Kept {
  id: string;
  session: string;
  order: number;
  active: boolean;
  name: string;
  draft?: string;
  revision: number;
  saved: boolean;
  path: string[];
  viewports: Tab["viewports"];
  run: string | null;
  sameRun: boolean;
  queued?: string[];
  batch?: string | null;
  /** As text: numbers beyond 2^53 keep their digits. */
  text: string;
  /** When its tab was closed, in milliseconds. */
  closed?: number;
}

/** A tab that was closed and can be opened again. */
export interface ClosedTab {
  id: string;
  /** What the server keeps it under, if it was sent there. */
  key: string;
  title: string;
  closed: number;
  nodes: number;
}

let database: Promise<IDBDatabase> | null = null;
let session = "";

function open(): Promise<IDBDatabase> {
  database ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 2);
    request.onupgradeneeded = () => {
      for (const store of [TABS, CLOSED]) {
        if (!request.result.objectStoreNames.contains(store)) request.result.createObjectStore(store, { keyPath: "id" });
      }
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB"));
  });
  return database;
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("IndexedDB"));
  });
}

/** The documents of this window as it was left; in a new window those of windows that are gone. */
export async function restore(): Promise<boolean> {
  try {
    session = await openSession();
    const kept = await alone(adopt);
    if (!kept.length) return false;
    kept.sort((a, b) => a.order - b.order);
    const tabs = kept.map(tabOfKept);
    useApp.setState({ tabs, active: (kept.find((entry) => entry.active) ?? (kept[0] as Kept)).id, form: showedForm() });
    for (const tab of tabs) written.set(tab.id, tab);
    return true;
  } catch {
    return false; // a private window: the session lives as long as the page
  }
}

async function adopt(): Promise<Kept[]> {
  const living = await livingSessions();
  const store = (await open()).transaction(TABS, "readwrite").objectStore(TABS);
  const all = await answer(store.getAll() as IDBRequest<Kept[]>);
  const own = all.filter((entry) => entry.session === session);
  if (own.length) return own;
  const left = all.filter((entry) => !living.has(entry.session)).map((entry) => ({ ...entry, session }));
  for (const entry of left) store.put(entry);
  return left;
}

function tabOfKept(entry: Kept): Tab {
  const document = parseJson(entry.text) as Document;
  return newTab({
    id: entry.id,
    name: entry.name,
    draft: entry.draft ?? "",
    revision: entry.revision,
    document,
    base: entry.saved ? document : null,
    path: entry.path,
    viewports: entry.viewports,
    run: entry.run,
    runDocument: entry.sameRun ? document : null,
    queued: (entry.queued ?? []).map((id) => ({ id, document: null })),
    batch: entry.batch ?? null,
  });
}

function keptOf(tab: Tab, order: number, active: boolean): Kept {
  return {
    id: tab.id,
    session,
    order,
    active,
    name: tab.name,
    draft: tab.draft,
    revision: tab.revision,
    saved: tab.base === tab.document,
    path: tab.path,
    viewports: tab.viewports,
    run: tab.run,
    sameRun: tab.runDocument === tab.document,
    queued: tab.queued.map(({ id }) => id),
    batch: tab.batch,
    text: stringifyJson(tab.document),
  };
}

const written = new Map<string, Tab>();

export function startPersisting(): () => void {
  let timer = 0;
  let recent: number[] = [];
  let moved = false;
  const write = async () => {
    clearTimeout(timer);
    timer = 0;
    recent = [...recent, performance.now()].slice(-BURST);
    const { tabs, active } = useApp.getState();
    const changed = tabs.filter((tab) => moved || !sameForStorage(written.get(tab.id), tab));
    const gone = [...written.keys()].filter((id) => !tabs.some((tab) => tab.id === id));
    moved = false;
    for (const tab of changed) written.set(tab.id, tab);
    for (const id of gone) written.delete(id);
    const again = () => {
      for (const tab of changed) written.delete(tab.id);
    };
    try {
      const transaction = (await open()).transaction(TABS, "readwrite");
      transaction.onabort = again;
      const store = transaction.objectStore(TABS);
      for (const tab of changed) store.put(keptOf(tab, tabs.indexOf(tab), tab.id === active));
      for (const id of gone) store.delete(id);
      transaction.commit();
    } catch {
      again(); // storage is full or forbidden; the next change tries again
    }
  };
  const stop = useApp.subscribe((state, before) => {
    if (state.form !== before.form) rememberForm(state.form);
    if (state.tabs === before.tabs && state.active === before.active) return;
    if (state.active !== before.active || state.tabs.length !== before.tabs.length) moved = true;
    const stream = recent.length === BURST && performance.now() - (recent[0] ?? 0) < 1000;
    if (!timer) timer = window.setTimeout(() => void write(), stream ? DELAY : 0);
  });
  const hide = () => void write();
  window.addEventListener("pagehide", hide);
  document.addEventListener("visibilitychange", hide);
  void write();
  return () => {
    stop();
    clearTimeout(timer);
    window.removeEventListener("pagehide", hide);
    document.removeEventListener("visibilitychange", hide);
  };
}

function sameForStorage(a: Tab | undefined, b: Tab): boolean {
  return (
    a !== undefined &&
    a.document === b.document &&
    a.name === b.name &&
    a.draft === b.draft &&
    a.revision === b.revision &&
    a.base === b.base &&
    a.path === b.path &&
    a.viewports === b.viewports &&
    a.run === b.run &&
    a.queued === b.queued &&
    a.batch === b.batch &&
    a.runDocument === b.runDocument
  );
}

/** Puts a document where closed tabs are kept; a version that is replaced by another goes there too. */
export async function keepClosed(tab: Tab): Promise<void> {
  try {
    const store = (await open()).transaction(CLOSED, "readwrite").objectStore(CLOSED);
    store.put({ ...keptOf(tab, 0, false), closed: Date.now() });
    const all = await answer(store.getAll() as IDBRequest<Kept[]>);
    all.sort((a, b) => (b.closed ?? 0) - (a.closed ?? 0));
    for (const old of all.slice(CLOSED_KEPT)) store.delete(old.id);
  } catch {
    // Storage is full or forbidden: what was closed can be brought back as long as its message is shown.
  }
}

/** A closed tab was saved on the server after all: what is kept of it here says so. */
export async function amendClosed(tab: Tab): Promise<void> {
  try {
    const store = (await open()).transaction(CLOSED, "readwrite").objectStore(CLOSED);
    const entry = await answer(store.get(tab.id) as IDBRequest<Kept | undefined>);
    if (entry) store.put({ ...keptOf(tab, 0, false), closed: entry.closed });
  } catch {
    // As for `keepClosed`.
  }
}

/** The newest first. */
export async function closedTabs(): Promise<ClosedTab[]> {
  try {
    const store = (await open()).transaction(CLOSED).objectStore(CLOSED);
    const all = await answer(store.getAll() as IDBRequest<Kept[]>);
    return all
      .sort((a, b) => (b.closed ?? 0) - (a.closed ?? 0))
      .map((entry) => {
        const document = parseJson(entry.text) as Document;
        return { id: entry.id, key: entry.draft || entry.name, title: entry.name || document.name || "", closed: entry.closed ?? 0, nodes: Object.keys(document.nodes).length };
      });
  } catch {
    return [];
  }
}

export async function takeClosed(id: string): Promise<Tab | undefined> {
  const store = (await open()).transaction(CLOSED, "readwrite").objectStore(CLOSED);
  const entry = await answer(store.get(id) as IDBRequest<Kept | undefined>);
  if (!entry) return undefined;
  store.delete(id);
  return tabOfKept(entry);
}
