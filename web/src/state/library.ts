/**
 * Snippets: nodes with their links, kept on the server as workflows named `library: NAME`, to be added to any graph.
 * A kept subgraph is one with a single node in it, its instance.
 */

import { call } from "../api/client";
import type { WorkflowInfo } from "../api/types";
import { t } from "../i18n";
import { errorText } from "../i18n/problems";
import * as m from "../graph";
import { edit } from "./edits";
import { nameOf, refreshWorkflows } from "./saving";
import { activeScene, activeTab, toast, useApp } from "./store";

export const LIBRARY = "library: ";
export const DRAG_SNIPPET = "application/x-safelight-snippet";

export const isKept = (workflow: { name: string }) => workflow.name.startsWith(LIBRARY);
export const keptTitle = (name: string) => name.slice(LIBRARY.length);
export const keptName = (title: string) => LIBRARY + nameOf(title).slice(0, 100).trim();

const infoOf = (name: string): WorkflowInfo | undefined => useApp.getState().workflows.find((workflow) => workflow.name === name);

/** One of the same name gets a new revision; the earlier ones stay. */
async function keep(title: string, document: m.Document): Promise<void> {
  const name = keptName(title);
  try {
    await call("PUT /workflows/{name}", { path: { name }, body: { document: { ...document, name: keptTitle(name) }, revision: infoOf(name)?.revision ?? 0 } });
    await refreshWorkflows();
    toast(t("library.kept", { name: keptTitle(name) }));
  } catch (error) {
    toast(t("save.failed", { message: errorText(error) }), "error");
  }
}

/** Keeps the subgraph of an instance. */
export async function keepSubgraph(id: string): Promise<void> {
  const { scopes, graph } = activeScene();
  const definition = m.definitionOf(scopes, graph.nodes[id]?.type ?? "");
  if (!definition) return;
  const { description } = definition;
  await keep(definition.name || id, { ...m.copyPart(scopes, [id]), ...(description ? { description } : {}) });
}

/** Keeps what is selected, with the links between. */
export const keepSelection = (title: string): Promise<void> => keep(title, m.copyPart(activeScene().scopes, activeTab().selection));

async function documentOf(name: string): Promise<m.Document | null> {
  try {
    return m.asDocument((await call("GET /workflows/{name}", { path: { name } })).document);
  } catch (error) {
    toast(t("open.failed", { message: errorText(error) }), "error");
    return null;
  }
}

/** Adds a snippet to the graph on screen, as one step; changes to it there stay in that workflow. */
export async function addKept(name: string, at: m.Point): Promise<void> {
  const part = await documentOf(name);
  let keys: string[] = [];
  if (part) edit("add", (scene) => void (keys = m.pastePart(scene, part, at)), { select: () => keys });
}

/** The snippet as a file, which is a workflow like any other. */
export async function keptText(name: string): Promise<string | null> {
  const document = await documentOf(name);
  return document && m.writeDocument(document);
}

export async function importKept(file: File): Promise<void> {
  const part = m.readPart(await file.text());
  if (part) await keep(part.name || file.name.replace(/\.json$/i, ""), part);
  else toast(t("snippet.noFile"), "error");
}

/** The message that says so restores it. */
export async function removeKept(name: string): Promise<void> {
  const document = await documentOf(name);
  if (!document) return;
  try {
    await call("DELETE /workflows/{name}", { path: { name } });
    await refreshWorkflows();
    toast(t("workflows.deleted", { name: keptTitle(name) }), "info", { label: t("command.undo"), run: () => void keep(keptTitle(name), document) });
  } catch (error) {
    toast(errorText(error), "error");
  }
}
