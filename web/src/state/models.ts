/** The models of this machine, what the workflow on screen lacks of them, and what is being fetched. */

import { ApiError, call } from "../api/client";
import type { DownloadInfo, MissingModel, ModelInfo } from "../api/types";
import * as m from "../graph";
import { t } from "../i18n";
import { errorText } from "../i18n/problems";
import { setValue } from "./edits";
import { activeScene, activeTab, toast, useApp } from "./store";

export const isGoing = ({ status }: DownloadInfo): boolean => status === "running" || status === "queued";

export async function refreshDownloads(): Promise<void> {
  const before = useApp.getState().downloads;
  const { downloads } = await call("GET /downloads");
  // What was told meanwhile may be newer than this answer.
  if (useApp.getState().downloads !== before) return refreshDownloads();
  useApp.setState({ downloads });
}

/** News of one download. */
export function takeDownload(download: DownloadInfo, removed: boolean): void {
  useApp.setState(({ downloads }) => {
    const rest = downloads.filter(({ id }) => id !== download.id);
    if (removed) return { downloads: rest };
    const there = rest.length < downloads.length;
    return { downloads: there ? downloads.map((one) => (one.id === download.id ? download : one)) : [...downloads, download] };
  });
}

/** The models that the workflow on screen lacks, and where each can be had. */
export async function askMissing(): Promise<MissingModel[]> {
  return (await call("POST /model-missing", { body: { document: activeTab().document } })).models;
}

/** Fetches a model. A host that nobody has agreed to yet is agreed to here: the button names it. */
export async function fetchModel({ url, folder, sha256, size }: Pick<MissingModel, "url" | "folder" | "sha256" | "size">): Promise<boolean> {
  const confirmed = hostOf(url);
  try {
    // How it goes on is told by events; one of them may be here before this answer, which is older then.
    await call("POST /downloads", {
      body: { url, ...(folder ? { folder } : {}), ...(sha256 ? { sha256 } : {}), ...(size ? { size } : {}), ...(confirmed ? { confirmed } : {}) },
    });
    return true;
  } catch (error) {
    toast(errorText(error), "error");
    return false;
  }
}

/** The host of an address; empty for a name of the hub, which the settings name. */
export function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "";
}

export async function steerDownload(id: string, action: "pause" | "resume" | "remove"): Promise<void> {
  try {
    if (action === "remove") await call("DELETE /downloads/{download}", { path: { download: id } });
    else await call(`POST /downloads/{download}/${action}`, { path: { download: id } });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) toast(errorText(error), "error");
    await refreshDownloads();
  }
}

/** The port of the one selected node that a model of this kind can be named in. */
export function portFor({ kind }: ModelInfo): { id: string; port: string; title: string } | null {
  const scene = activeScene();
  const { selection } = activeTab();
  const [id, ...others] = selection.filter((key) => key in scene.graph.nodes);
  const node = id !== undefined && !others.length ? scene.graph.nodes[id] : undefined;
  if (!node || id === undefined) return null;
  const ports = m.portsOf(scene.scopes, id, node, scene.catalogue);
  const port = ports.inputs.find(({ widget }) => widget?.widget === "model" && widget.kind === kind);
  return port ? { id, port: port.name, title: ports.title } : null;
}

export function chooseModel(model: ModelInfo): void {
  const place = portFor(model);
  if (!place) return;
  setValue(place.id, place.port, model.name);
  toast(t("models.used", { model: model.title || model.name }));
}
