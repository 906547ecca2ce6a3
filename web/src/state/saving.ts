/**
 * Saving on the server: by itself a moment after each change, by hand, and what happens when the same workflow was saved
 * elsewhere. What cannot be sent stays in this browser (see persist.ts) and is sent when the server answers again.
 */

import { ApiError, call, Unreachable } from "../api/client";
import type { RevisionInfo, WorkflowInfo } from "../api/types";
import { t } from "../i18n";
import { errorText } from "../i18n/problems";
import * as m from "../graph";
import { isUnsaved, openTab, placed, tabTitle, titleOf } from "./documents";
import { replaceDocument } from "./edits";
import { amendClosed, keepClosed } from "./persist";
import { randomId } from "./session";
import { activeTab, keyOf, patchTab, type Tab, toast, useApp } from "./store";

/** How long nothing has to change before it is saved, and after how long it is saved anyhow; milliseconds. */
const QUIET = 1500;
const LONGEST = 10_000;

interface SaveOptions {
  /** The workflow that it is to be from now on. */
  name?: string;
  /** Of a new draft; by default the id of the tab that it is made in, which nobody else has. */
  key?: string;
  autosave?: boolean;
  /** The revision that this one is put on top of, when it is not the one that was edited. */
  over?: number;
}

/** What is under way for a tab: one request at a time, and news of it from elsewhere wait for its end. */
const flights = new Map<string, Promise<void>>();
/** Documents that the server does not take; they are not sent again before they change. */
const refused = new Map<string, m.Document>();

/** What was saved of tabs that were closed meanwhile. */
const late = new Map<string, Partial<Tab>>();

const tabById = (id: string): Tab | undefined => useApp.getState().tabs.find((tab) => tab.id === id);

function inFlight(id: string, action: () => Promise<void>): Promise<void> {
  const flight = (flights.get(id) ?? Promise.resolve()).then(action).finally(() => {
    if (flights.get(id) === flight) flights.delete(id);
  });
  flights.set(id, flight);
  return flight;
}

/** Saves a tab: as the workflow that it is or is to be, else as a draft. */
export function saveTab(id: string, options: SaveOptions = {}): Promise<void> {
  return inFlight(id, () => put(tabById(id), options));
}

async function put(tab: Tab | undefined, { name, key, autosave = false, over }: SaveOptions): Promise<void> {
  if (!tab) return;
  const { id, document } = tab;
  const named = name ?? tab.name;
  const target = named || tab.draft || (key ?? id);
  const known = target === tab.name || tab.draft !== "";
  let revision = over ?? (known ? tab.revision : 0);
  try {
    if (named && tab.draft) {
      // A draft becomes the workflow, with all its revisions.
      revision = (await call("POST /workflows/{name}/rename", { path: { name: tab.draft }, body: { name: named, revision } })).revision;
      patchTab(id, { name: named, draft: "" });
    }
    const saved = await call("PUT /workflows/{name}", { path: { name: target }, body: { document, revision, autosave, draft: !named } });
    refused.delete(id);
    const now = { name: named, draft: named ? "" : target, base: document, revision: saved.revision, conflict: null };
    if (tabById(id)) patchTab(id, now);
    else {
      late.set(id, now);
      await amendClosed({ ...tab, ...now });
    }
    if (!autosave) toast(t("save.saved", { name: named || tabTitle(tab) }));
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) {
      if (error.problems.some((problem) => problem.code === "name_taken") || (name && !known)) {
        if (tab.draft) patchTab(id, { name: "" });
        return toast(t("save.taken", { name: target }), "error");
      }
      const theirs = error.problems.find((problem) => typeof problem.value === "number")?.value;
      patchTab(id, { conflict: typeof theirs === "number" ? theirs : revision + 1, ...(named ? {} : { draft: target }) });
      if (!autosave) useApp.setState({ overlay: { kind: "conflict" } });
    } else if (error instanceof Unreachable) {
      if (name) patchTab(id, { name, base: null, ...(tab.draft ? {} : { revision: 0 }) });
      if (!autosave) toast(t("save.later"));
    } else {
      refused.set(id, document);
      toast(t("save.failed", { message: errorText(error) }), "error");
    }
  }
}

/** `wanted`, or with the first number behind it that no other workflow has. */
export function freeName(wanted: string): string {
  const { workflows, tabs } = useApp.getState();
  const taken = new Set([...workflows.map((workflow) => workflow.name), ...tabs.map((tab) => tab.name)]);
  const base = nameOf(wanted);
  if (!taken.has(base)) return base;
  const stem = base.replace(/ \d+$/, "");
  for (let number = 2; ; number++) if (!taken.has(`${stem} ${number}`)) return `${stem} ${number}`;
}

/** What the server takes as a name: one line without slashes. */
export function nameOf(text: string): string {
  const clean = text.replace(/[/\\\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\ufeff]+/g, " ").replace(/\s+/g, " ").trim();
  return clean.slice(0, 110).trim().replace(/^\.{1,2}$/, "") || t("tab.untitled");
}

export async function refreshWorkflows(): Promise<void> {
  try {
    const all = await call("GET /workflows", { query: { drafts: true } });
    useApp.setState({ workflows: all.filter((one) => !one.draft), drafts: all.filter((one) => one.draft) });
  } catch {
    // It is asked for again at the next change.
  }
}

/** Watches the tabs, and saves each a moment after it changed. */
export function startAutosave(): () => void {
  const waiting = new Map<string, { first: number; last: number; document: m.Document }>();
  // What is closed before it was sent is sent at once: the list of drafts is to have it, not this browser alone.
  const left = new Map<string, Tab>();
  let timer = 0;
  const due = ({ first, last }: { first: number; last: number }) => Math.min(last + QUIET, first + LONGEST);
  const wants = (tab: Tab) => isUnsaved(tab) && tab.conflict === null && refused.get(tab.id) !== tab.document;
  const look = () => {
    const { tabs, connection } = useApp.getState();
    const now = performance.now();
    const open = new Map(tabs.filter(wants).map((tab) => [tab.id, tab.document]));
    for (const id of waiting.keys()) if (!open.has(id)) waiting.delete(id);
    for (const [id, document] of open) {
      const known = waiting.get(id);
      if (!known) waiting.set(id, { first: now, last: now, document });
      else if (known.document !== document) Object.assign(known, { last: now, document });
    }
    clearTimeout(timer);
    if (connection !== "online" || !waiting.size) return;
    timer = window.setTimeout(() => void send(), Math.max(0, Math.min(...[...waiting.values()].map(due)) - now));
  };
  const send = async () => {
    const now = performance.now();
    const ready = [...waiting].filter(([, one]) => due(one) <= now).map(([id]) => id);
    for (const id of ready) waiting.delete(id);
    for (const id of ready) await saveTab(id, { autosave: true });
    look();
  };
  const stop = useApp.subscribe((state, before) => {
    if (state.tabs === before.tabs && state.connection === before.connection) return;
    const open = new Set(state.tabs.map((tab) => tab.id));
    for (const tab of before.tabs) if (!open.has(tab.id) && wants(tab)) left.set(tab.id, tab);
    for (const id of left.keys()) if (open.has(id)) left.delete(id);
    look();
    if (state.connection !== "online") return;
    for (const [id, tab] of left) void inFlight(id, () => put({ ...tab, ...late.get(id) }, { autosave: true }).finally(() => late.delete(id)));
    left.clear();
  });
  look();
  return () => {
    stop();
    clearTimeout(timer);
  };
}

/** A workflow was saved (`revision` 0: deleted) by somebody, perhaps by this window. Unchanged tabs follow. */
export async function followWorkflow(name: string, revision: number): Promise<void> {
  for (const tab of useApp.getState().tabs.filter((one) => keyOf(one) === name)) {
    await flights.get(tab.id);
    const now = tabById(tab.id);
    if (!now || keyOf(now) !== name || now.revision >= revision || isUnsaved(now)) continue;
    try {
      const theirs = await readWorkflow(name);
      replaceDocument(tab.id, "elsewhere", theirs.document);
      patchTab(tab.id, { base: tabById(tab.id)?.document ?? null, revision: theirs.revision });
    } catch {
      // Deleted, or out of reach: the next save finds out.
    }
  }
}

export async function readWorkflow(name: string, revision?: number): Promise<{ document: m.Document; revision: number }> {
  const found = await (revision === undefined
    ? call("GET /workflows/{name}", { path: { name } })
    : call("GET /workflows/{name}/revisions/{number}", { path: { name, number: revision } }));
  return { document: await placed(m.asDocument(found.document)), revision: found.revision };
}

// Two versions of one workflow. None of the ways out loses either of them.

/** Ours becomes the newest revision; theirs stays in the history. */
export function keepMine(id = activeTab().id): Promise<void> {
  return saveTab(id, { over: tabById(id)?.conflict ?? 0 });
}

/** Theirs takes the place of ours, which goes to the closed workflows. */
export async function takeTheirs(theirs: { document: m.Document; revision: number }, id = activeTab().id): Promise<void> {
  const tab = tabById(id);
  if (!tab) return;
  await keepClosed({ ...tab, id: randomId(), name: "", draft: "", revision: 0, base: null, document: { ...tab.document, name: tabTitle(tab) } });
  replaceDocument(id, "elsewhere", theirs.document);
  patchTab(id, { base: tabById(id)?.document ?? null, revision: theirs.revision, conflict: null });
}

/** Ours goes on under a name of its own, or as a draft of its own; theirs is opened beside it. */
export async function keepBoth(theirs: { document: m.Document; revision: number } | null, id = activeTab().id): Promise<void> {
  const tab = tabById(id);
  if (!tab) return;
  patchTab(id, { name: "", draft: "", revision: 0, base: null, conflict: null });
  if (theirs) openTab({ document: theirs.document, base: theirs.document, name: tab.name, draft: tab.draft, revision: theirs.revision });
  await saveTab(id, tab.name ? { name: freeName(`${tab.name} 2`) } : { key: randomId(), autosave: true });
}

// History

export function readRevisions(name: string): Promise<RevisionInfo[]> {
  return call("GET /workflows/{name}/revisions", { path: { name } });
}

/** Brings an earlier state back as a change of its own, which can be undone. */
export function restoreRevision(document: m.Document): void {
  replaceDocument(activeTab().id, "restore", document);
}

// The list of saved workflows

export async function renameWorkflow(name: string, wanted: string): Promise<boolean> {
  const { workflows, tabs } = useApp.getState();
  const target = nameOf(wanted);
  if (target === name) return true;
  const open = tabs.filter((tab) => keyOf(tab) === name);
  let renamed = false;
  const action = async () => {
    try {
      const revision = tabById(open[0]?.id ?? "")?.revision ?? workflows.find((one) => one.name === name)?.revision ?? 0;
      const made = await call("POST /workflows/{name}/rename", { path: { name }, body: { name: target, revision } });
      for (const tab of open) patchTab(tab.id, { name: target, revision: made.revision });
      renamed = true;
    } catch (error) {
      toast(errorText(error), "error");
    }
  };
  await (open[0] ? inFlight(open[0].id, action) : action());
  return renamed;
}

/** What the server takes as a folder: names parted by slashes. */
export function folderOf(text: string): string {
  return text.split("/").filter((part) => part.trim()).map(nameOf).join("/").slice(0, 250);
}

/** A workflow or a draft: gone from the list at once; from the disk when there is no way back any more. */
export function removeWorkflow({ name, draft, title }: WorkflowInfo): void {
  const without = (list: WorkflowInfo[]) => list.filter((one) => one.name !== name);
  useApp.setState((state) => ({ workflows: without(state.workflows), drafts: without(state.drafts) }));
  const timer = setTimeout(() => {
    void call("DELETE /workflows/{name}", { path: { name } }).then(
      () => {
        // A workflow goes on as a draft where it is open; a draft is not made again before it is changed.
        for (const tab of useApp.getState().tabs) if (keyOf(tab) === name) patchTab(tab.id, { name: "", draft: "", revision: 0, base: draft ? tab.document : null });
      },
      (error: Error) => toast(errorText(error), "error"),
    );
  }, 5500);
  toast(t("workflows.deleted", { name: draft ? titleOf(title) : name }), "info", {
    label: t("command.undo"),
    run: () => {
      clearTimeout(timer);
      void refreshWorkflows();
    },
  });
}
