/**
 * Live mode: a tab runs by itself whenever its document has changed in what it computes. A run that is overtaken by the
 * next change is cancelled, and leaves no trace in the history.
 */

import { call } from "../api/client";
import type { Document } from "../graph";
import { cancelRun, isActive, run } from "./runs";
import { type AppState, historyOf, tabOf, useApp } from "./store";

/** Milliseconds without a change before a run: a gesture that is over, such as a stroke, waits for no other; keys and sliders do. */
const PAUSE = { gesture: 20, stream: 250 };

let timer = 0;
/** Counts what was asked for: an answer to an older question is overtaken. */
let turn = 0;
/** The runs of live mode that no change has overtaken, and those that one has. */
const current = new Set<string>();
const overtaken = new Set<string>();

/** Of the tab on screen. */
export const isLive = (state: AppState): boolean => state.live !== null && state.live === state.active;

export function toggleLive(): void {
  const on = !isLive(useApp.getState());
  useApp.setState((state) => ({ live: on ? state.active : null }));
  clearTimeout(timer);
  if (on) void runNow();
  else overtake();
}

/** Where two documents compute the same, places and titles apart. */
function sameWork(a: Document, b: Document): boolean {
  return a.nodes === b.nodes && a.links === b.links && a.subgraphs === b.subgraphs && a.outputs === b.outputs;
}

export function startLive(): () => void {
  return useApp.subscribe((state, before) => {
    if (state.runs !== before.runs) forget(state);
    if (!isLive(state) || state.active !== before.active) return;
    const now = tabOf(state).document;
    const was = tabOf(before).document;
    if (now === was || sameWork(now, was)) return;
    clearTimeout(timer);
    const stream = historyOf(tabOf(state)).canUndo?.group;
    timer = window.setTimeout(() => void runNow(), stream ? PAUSE.stream : PAUSE.gesture);
  });
}

async function runNow(): Promise<void> {
  const own = ++turn;
  overtake();
  const id = await run({ front: true, live: true });
  if (!id) return;
  current.add(id);
  if (own !== turn) overtake(id);
}

function overtake(...only: string[]): void {
  for (const id of only.length ? only : current) {
    current.delete(id);
    const known = useApp.getState().runs[id];
    if (known && !isActive(known)) continue;
    overtaken.add(id);
    void cancelRun(id);
  }
}

/** What was cancelled half-way has nothing to show. What was done before it heard of that stays. */
function forget({ runs }: AppState): void {
  for (const id of overtaken) {
    const known = runs[id];
    if (!known || isActive(known)) continue;
    overtaken.delete(id);
    if (known.status === "cancelled") void call("DELETE /runs/{id}", { path: { id } }).catch(() => undefined);
  }
}
