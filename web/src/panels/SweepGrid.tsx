import { useEffect, useState } from "react";
import { reached } from "../api/base";
import type { Axis, Batch, BatchRun } from "../api/types";
import { useT } from "../i18n";
import { errorText, failureLine } from "../i18n/problems";
import { saveFile } from "../state/documents";
import { progressOf } from "../state/status";
import { type AppState, toast, useApp } from "../state/store";
import { axisName, imageOf, readBatch, valueText } from "../state/sweep";
import { contactSheet } from "./contactSheet";

/** All combinations of these axes, as labels, the last one changing fastest. */
function labels(axes: Axis[]): string[] {
  return axes.reduce<string[]>(
    (before, axis) => before.flatMap((label) => axis.values.map((value) => [label, `${axisName(axis)}: ${valueText(value)}`].filter(Boolean).join("\n"))),
    [""],
  );
}

const settled = (status: string) => status === "done" || status === "failed" || status === "cancelled";

/** A sweep as a grid: one axis across, the others down, each cell with its image or how far it is. */
export function SweepGrid({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useT();
  const [batch, setBatch] = useState<Batch | null>(null);
  // One text that changes whenever a run of this sweep does; the rest of the queue leaves the grid alone.
  const changes = useApp((state: AppState) =>
    Object.values(state.runs)
      .filter((run) => run.batch === id)
      .map((run) => `${run.id}${run.status}`)
      .join(),
  );
  useEffect(() => {
    let stale = false;
    const timer = setTimeout(
      () =>
        void readBatch(id).then(
          (found) => !stale && setBatch(found),
          (error: Error) => toast(errorText(error), "error"),
        ),
      100,
    );
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [id, changes]);
  if (!batch) return <p className="hint">{t("connection.starting")}</p>;
  const across = batch.axes.at(-1);
  const columns = across?.values ?? [null];
  const rows = labels(batch.axes.slice(0, -1));
  const heads = across ? columns.map((value) => `${axisName(across)}: ${valueText(value)}`) : [""];
  const cells = rows.map((_, row) => columns.map((__, column) => batch.runs[row * columns.length + column]));
  const images = cells.flat().flatMap((run) => imageOf(run)?.url ?? []);
  const open = (run: BatchRun) => {
    const url = imageOf(run)?.url;
    if (url) useApp.setState({ overlay: { kind: "viewer", images, index: Math.max(0, images.indexOf(url)) } });
  };
  const ended = batch.runs.filter((run) => settled(run.status)).length;
  const save = () =>
    void contactSheet(rows, heads, cells.map((line) => line.map((run) => imageOf(run)?.url))).then(
      (blob) => saveFile(URL.createObjectURL(blob), `${batch.name || "sweep"}.png`),
      (error: Error) => toast(errorText(error), "error"),
    );
  return (
    <div className="sweep-result">
      <div className="buttons">
        <strong>{t("sweep.progress", { done: ended, count: batch.runs.length })}</strong>
        <button type="button" disabled={!images.length} onClick={save}>
          {t("sweep.save")}
        </button>
        <button type="button" disabled={images.length < 2} onClick={() => useApp.setState({ overlay: { kind: "voting", batch: id } })}>
          {t("votes.open")}
        </button>
        <button type="button" onClick={onClose}>
          {t("sweep.close")}
        </button>
      </div>
      <div className="sweep-scroll">
        <table className="sweep-grid">
          <thead>
            <tr>
              {rows.length > 1 && <td />}
              {heads.map((head, index) => (
                <th key={index} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {cells.map((line, row) => (
              <tr key={row}>
                {rows.length > 1 && <th scope="row">{rows[row]}</th>}
                {line.map((run, column) => (
                  <td key={column} data-cell={`${row},${column}`} data-status={run?.status}>
                    {run && <Cell run={run} label={[rows[row], heads[column]].filter(Boolean).join(", ")} onOpen={() => open(run)} />}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function Cell({ run, label, onOpen }: { run: BatchRun; label: string; onOpen: () => void }) {
  const t = useT();
  const part = useApp((state) => progressOf(state.runNodes[run.id]));
  const file = imageOf(run);
  if (file) {
    return (
      <button type="button" className="plain" aria-label={label} title={label} onClick={onOpen}>
        <img src={reached(file.thumbnail || file.url)} alt={label} />
      </button>
    );
  }
  if (run.status === "failed") return <span className="cell-note bad">{failureLine(run.problems)}</span>;
  if (run.status === "running") return <progress max={1} value={part} aria-label={label} />;
  const value = Object.values(run.outputs)[0]?.[0]?.value;
  return <span className="cell-note">{value !== undefined && value !== null ? valueText(value) : t(run.status === "cancelled" ? "queue.cancelled" : run.status === "done" ? "status.done" : "queue.waits")}</span>;
}
