/** The user's own subgraphs: kept on the server as workflows named `library: NAME`, each with one instance in it. */

import { call } from "../api/client";
import { t } from "../i18n";
import { errorText } from "../i18n/problems";
import * as m from "../graph";
import { edit } from "./edits";
import { activeScene, toast, useApp } from "./store";

export const LIBRARY = "library: ";

export const isKept = (workflow: { name: string }) => workflow.name.startsWith(LIBRARY);
export const keptTitle = (name: string) => name.slice(LIBRARY.length);


/** Keeps the subgraph of an instance. One of the same name gets a new revision; the earlier ones stay. */
export async function keepSubgraph(id: string): Promise<void> {
  const { scopes, graph } = activeScene();
  const definition = m.definitionOf(scopes, graph.nodes[id]?.type ?? "");
  if (!definition) return;
  const title = (definition.name || id).replace(/\//g, " ").slice(0, 100);
  const name = LIBRARY + title;
  const part = m.copyPart(scopes, [id]);
  const document = { ...part, name: title, ...(definition.description ? { description: definition.description } : {}) };
  const revision = useApp.getState().workflows.find((workflow) => workflow.name === name)?.revision ?? 0;
  try {
    await call("PUT /workflows/{name}", { path: { name }, body: { document, revision } });
    useApp.setState({ workflows: await call("GET /workflows") });
    toast(t("library.kept", { name: title }));
  } catch (error) {
    toast(t("save.failed", { message: errorText(error) }), "error");
  }
}

/** Adds a kept subgraph to the graph on screen; changes to it there stay in that workflow. */
export async function addKept(name: string, at: m.Point): Promise<void> {
  try {
    const answer = await call("GET /workflows/{name}", { path: { name } });
    const part = m.asDocument(answer.document);
    let keys: string[] = [];
    edit("add", (scene) => void (keys = m.pastePart(scene, part, at)), { select: () => keys });
  } catch (error) {
    toast(t("open.failed", { message: errorText(error) }), "error");
  }
}
