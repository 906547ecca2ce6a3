/** Sweeps: several values of some fields, every combination a run, and the images a grid. */

import { call } from "../api/client";
import type { Axis, Batch, BatchRun } from "../api/types";
import { saidName } from "../i18n";
import * as m from "../graph";
import { runMany } from "./runs";
import { tabOf, useApp } from "./store";

export interface SweepAxis {
  field: m.FormField;
  text: string;
  parsed: m.Values;
}

const NONE: Record<string, string> = {};

/** What was typed for each field of the tab on screen, by the field's name. */
export const sweepTexts = (state: ReturnType<typeof useApp.getState>): Record<string, string> => state.sweeps[state.active] ?? NONE;

/** Starts or stops varying a field; `text` undefined stops. */
export function setSweep(name: string, text: string | undefined): void {
  useApp.setState((state) => {
    const { [name]: _, ...rest } = state.sweeps[state.active] ?? {};
    return { sweeps: { ...state.sweeps, [state.active]: text === undefined ? rest : { ...state.sweeps[state.active], [name]: text } } };
  });
}

/** The fields that are varied: inputs of the workflow by their name, other ports as `node.port`. */
export function sweepAxes(): SweepAxis[] {
  const state = useApp.getState();
  const { document } = tabOf(state);
  const fields = m.formFields(document, state.catalogue);
  return Object.entries(sweepTexts(state)).flatMap(([name, text]) => {
    const field = fields.find((one) => one.name === name) ?? m.fieldOf(document, state.catalogue, name);
    return field.spec ? [{ field, text, parsed: m.parseValues(text, field.spec) }] : [];
  });
}

export function sweepCount(axes: readonly SweepAxis[]): number {
  const used = axes.filter(({ parsed }) => parsed.values.length);
  return used.length ? used.reduce((count, { parsed }) => count * parsed.values.length, 1) : 0;
}

export async function runSweep(): Promise<void> {
  const axes = sweepAxes().filter(({ parsed }) => parsed.values.length);
  await runMany({ sweep: Object.fromEntries(axes.map(({ field, parsed }) => [field.name, parsed.values])) });
}

export function readBatch(id: string): Promise<Batch> {
  return call("GET /batches/{batch}", { path: { batch: id } });
}

/** A row of several fields, which change together, is told by its values. */
export const valueText = (value: unknown): string =>
  typeof value === "string" ? value : value && typeof value === "object" && !Array.isArray(value) ? Object.values(value).map(valueText).join(", ") : m.stringifyJson(value);

/** Name and value of an axis: "Guidance 7"; of a port, "sample · Guidance 7". */
export function axisName(axis: Axis): string {
  const dot = axis.name.lastIndexOf(".");
  return dot < 0 ? saidName(axis.name) : `${axis.name.slice(0, dot)} · ${saidName(axis.name.slice(dot + 1))}`;
}

/** The image that a run of a sweep is shown by. */
export const imageOf = (run: BatchRun | undefined) => run?.files.find((file) => useApp.getState().catalogue.media.view(file.media_type) === "image");
