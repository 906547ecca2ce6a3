/** At every change of a document the server is asked what is wrong with it, what of it would run, and what the cache has. */

import { ApiError, call, Unreachable } from "../api/client";
import type { PlanAnswer } from "../api/types";
import * as m from "../graph";
import { amendDocument } from "./edits";
import { around, type NodeFile, resultKey, setResult, useResults } from "./status";
import { activeTab, patchTab, useApp } from "./store";

let asked: AbortController | null = null;

/** Asks what is wrong and what would run; an answer to an older document is thrown away. */
export async function checkAndPlan(): Promise<void> {
  const { ready } = useApp.getState();
  const { id, document } = activeTab();
  if (!ready || !id) return;
  if (!Object.keys(document.nodes).length) {
    // An empty canvas is a beginning, not a mistake.
    patchTab(id, { problems: [], types: {}, plan: null });
    return;
  }
  asked?.abort();
  const own = (asked = new AbortController());
  const sent = forServer(document);
  try {
    const [checked, plan] = await Promise.all([
      call("POST /check", { body: { document: sent }, signal: own.signal }),
      call("POST /plan", { body: { document: sent }, signal: own.signal }),
    ]);
    if (own.signal.aborted || tabDocument(id) !== document) return;
    if (checked.document) {
      // Older names: the document goes on in those of today, with what the screen keeps of ports. Then it is asked again.
      const whole = await call("POST /check", { body: { document }, signal: own.signal });
      if (whole.document && tabDocument(id) === document) amendDocument(id, whole.document);
      return;
    }
    const problems = checked.problems.length ? checked.problems : plan.problems;
    patchTab(id, { problems, types: checked.types, plan });
    showKept(id, plan);
  } catch (error) {
    if ((error as Error).name === "AbortError") return;
    if (error instanceof ApiError) patchTab(id, { problems: error.problems, plan: null });
    else if (!(error instanceof Unreachable)) throw error;
  }
}

/** What the cache has of the output nodes, where it is not what the newest run has just made. */
function showKept(id: string, { nodes }: PlanAnswer): void {
  const tab = useApp.getState().tabs.find((one) => one.id === id);
  const fresh = tab?.runDocument === tab?.document;
  const kept = new Map<string, NodeFile[]>();
  for (const [node, { files }] of Object.entries(nodes)) {
    if (files.length) for (const place of around(node)) kept.set(place, [...(kept.get(place) ?? []), ...files]);
  }
  for (const [node, files] of kept) {
    const before = useResults.getState().results[resultKey(id, node)];
    const known = before?.kept ?? [];
    if (fresh && before?.files.length) continue;
    if (known.length !== files.length || known.some(({ digest }, at) => digest !== files[at]?.digest)) setResult(resultKey(id, node), { kept: files });
  }
}

function tabDocument(id: string): m.Document | undefined {
  return useApp.getState().tabs.find((tab) => tab.id === id)?.document;
}

/** The server needs no places of nodes to check a graph; what is left out need not be sent at each key press. */
function forServer(document: m.Document): m.Document {
  const { ui: _, ...rest } = document;
  return rest as m.Document;
}

