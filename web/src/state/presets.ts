/** Presets: values for the fields of a type of node, under a name. The server keeps them. */

import { call } from "../api/client";
import type { Preset, PresetBody, PresetChange } from "../api/types";
import { t } from "../i18n";
import { errorText } from "../i18n/problems";
import * as m from "../graph";
import { edit } from "./edits";
import { activeScene, toast, useApp } from "./store";

const FORMAT = "safelight-presets/1";

export async function refreshPresets(): Promise<void> {
  const presets = await call("GET /presets");
  useApp.setState({ presets });
}

async function done<T>(work: Promise<T>): Promise<T | null> {
  try {
    const answer = await work;
    await refreshPresets();
    return answer;
  } catch (error) {
    toast(errorText(error), "error");
    return null;
  }
}

export const presetsOf = (presets: readonly Preset[], type: string): Preset[] => presets.filter((preset) => preset.type === type);

export const keepPreset = (body: PresetBody): Promise<Preset | null> => done(call("PUT /presets", { body }));

export const changePreset = (id: string, body: PresetChange): Promise<Preset | null> => done(call("PATCH /presets/{preset}", { path: { preset: id }, body }));

/** The message that says so restores it. */
export async function removePreset(preset: Preset): Promise<void> {
  const gone = await done(call("DELETE /presets/{preset}", { path: { preset: preset.id } }));
  if (gone) toast(t("workflows.deleted", { name: gone.name }), "info", { label: t("command.undo"), run: () => void keepPreset(bodyOf(gone)) });
}

const bodyOf = ({ type, version, name, values, standard }: Preset): PresetBody => ({ type, version, name, values, standard });

/** Sets the values of a preset at those of these nodes that are of its type, as one step of undo. */
export function applyPreset(preset: Preset, ids: readonly string[]): void {
  edit("preset", (scene) => {
    for (const id of ids) if (scene.graph.nodes[id]?.type === preset.type) m.setValues(scene, id, preset.values);
  });
}

export interface Field {
  name: string;
  value: unknown;
  seed: boolean;
}

/** The fields of a node with what they hold; what comes by a link is none of it. */
export function fieldsOf(id: string): Field[] {
  const { scopes, graph, catalogue } = activeScene();
  const node = graph.nodes[id];
  if (!node) return [];
  const linked = new Set(graph.links.map((link) => link.to));
  return m
    .portsOf(scopes, id, node, catalogue)
    .inputs.filter((input) => !input.socket && !linked.has(`${id}.${input.name}`))
    .map((input) => ({ name: input.name, value: node.values?.[input.name] ?? input.default, seed: input.widget?.widget === "seed" }))
    .filter((field) => field.value !== undefined && field.value !== null);
}

export function presetsText(presets: readonly Preset[]): string {
  return m.stringifyJson({ format: FORMAT, presets: presets.map(bodyOf) }, 2);
}

/** Keeps the presets of a file; those of the same type and name are replaced. */
export async function importPresets(file: Blob): Promise<void> {
  let presets: unknown;
  try {
    const read = m.parseJson(await file.text()) as { format?: unknown; presets?: unknown } | null;
    presets = read?.format === FORMAT ? read.presets : undefined;
  } catch {
    presets = undefined;
  }
  if (!Array.isArray(presets)) return toast(t("presets.noFile"), "error");
  let count = 0;
  for (const preset of presets as PresetBody[]) if (await keepPreset(preset)) count++;
  toast(t("presets.imported", { count }));
}
