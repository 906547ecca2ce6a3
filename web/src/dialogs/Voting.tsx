import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { reached } from "../api/base";
import { address, call } from "../api/client";
import type { Batch, Preferences, VoteBody } from "../api/types";
import { nextPair, votePairs, voteCounts } from "../graph/votes";
import { useT } from "../i18n";
import { errorText } from "../i18n/problems";
import { saveFile } from "../state/documents";
import { toast } from "../state/store";
import { axisName, imageOf, readBatch } from "../state/sweep";
import { Sheet } from "../ui/Sheet";

const KEYS: Record<string, VoteBody["preferred"]> = { "1": "left", "2": "right", "0": "tie" };
const failed = (error: Error) => toast(errorText(error), "error");

/** Two images of a sweep side by side, without their settings: which is better? And what follows from the votes. */
export function Voting({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useT();
  const [batch, setBatch] = useState<Batch | null>(null);
  useEffect(() => void readBatch(id).then(setBatch, failed), [id]);
  return (
    <Sheet title={t("votes.title")} onClose={onClose} className="voting">
      {batch ? <Votes batch={batch} /> : <p className="hint">{t("connection.starting")}</p>}
    </Sheet>
  );
}

function Votes({ batch }: { batch: Batch }) {
  const t = useT();
  const axes = batch.axes.flatMap((axis, index) => (axis.values.length > 1 ? [index] : []));
  // Seeds are there to have several images of a setting, and seldom what is compared.
  const [by, setBy] = useState(axes.find((index) => !batch.axes[index]?.name.endsWith("seed")) ?? axes[0] ?? -1);
  const [seed, setSeed] = useState(1);
  const [found, setFound] = useState<Preferences | null>(null);
  const [table, setTable] = useState(false);
  const [mine, setMine] = useState<string[]>([]);
  const busy = useRef(false);
  const query = useMemo(() => ({ by: batch.axes[by]?.name ?? "" }), [batch, by]);
  const read = useCallback(() => call("GET /batches/{batch}/votes", { path: { batch: batch.id }, query }).then(setFound), [batch.id, query]);
  useEffect(() => void read().catch(failed), [read]);
  const pairs = useMemo(() => {
    const candidates = batch.runs.flatMap((run) => {
      const url = imageOf(run)?.url;
      return url && run.status === "done" ? [{ cell: run.cell, url }] : [];
    });
    return votePairs(candidates, by, seed);
  }, [batch, by, seed]);
  const counts = useMemo(() => voteCounts(pairs, found?.votes ?? []), [pairs, found]);
  const pair = found ? pairs[nextPair(counts)] : undefined;
  const done = counts.filter(Boolean).length;

  /** One change at a time: a key that is held down votes once. */
  const change = useCallback(
    (work: () => Promise<void>) => {
      if (busy.current) return;
      busy.current = true;
      void work()
        .then(read)
        .catch(failed)
        .finally(() => (busy.current = false));
    },
    [read],
  );
  const vote = useCallback(
    (preferred: VoteBody["preferred"]) => {
      if (!pair || table) return;
      change(async () => {
        const body = { left: pair[0].cell, right: pair[1].cell, preferred };
        const made = await call("POST /batches/{batch}/votes", { path: { batch: batch.id }, body });
        setMine((before) => [...before, made.id]);
      });
    },
    [batch.id, change, pair, table],
  );
  const undo = useCallback(() => {
    const last = mine.at(-1);
    if (!last) return;
    change(async () => {
      setMine((before) => before.slice(0, -1));
      await call("DELETE /batches/{batch}/votes/{vote}", { path: { batch: batch.id, vote: last } });
    });
  }, [batch.id, change, mine]);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
      if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
      const preferred = KEYS[event.key];
      if (!preferred && event.key !== "Backspace") return;
      event.preventDefault();
      event.stopPropagation();
      if (event.repeat) return;
      if (preferred) vote(preferred);
      else undo();
    };
    window.addEventListener("keydown", press, true);
    return () => window.removeEventListener("keydown", press, true);
  }, [vote, undo]);

  const save = (kind: "votes" | "preferences") => saveFile(address(`GET /batches/{batch}/${kind}.csv`, { path: { batch: batch.id }, query }), `${kind}.csv`);
  return (
    <>
      <div className="buttons">
        <label>
          {t("votes.compare")}{" "}
          <select value={by} onChange={(event) => setBy(Number(event.target.value))}>
            {axes.map((index) => (
              <option key={index} value={index}>
                {batch.axes[index] && axisName(batch.axes[index])}
              </option>
            ))}
            {axes.length !== 1 && <option value={-1}>{t("votes.every")}</option>}
          </select>
        </label>
        <label>
          {t("votes.seed")} <input type="number" min="0" step="1" value={seed} onChange={(event) => setSeed(Math.max(0, Math.floor(Number(event.target.value))))} />
        </label>
        <span className="grow" data-votes={found?.votes.length ?? 0}>
          {t("votes.progress", { done, count: pairs.length })}
        </span>
        <button type="button" disabled={!mine.length} onClick={undo}>
          {t("votes.undo")}
        </button>
        <button type="button" aria-pressed={table} onClick={() => setTable(!table)}>
          {t("votes.table")}
        </button>
      </div>
      {table ? (
        found && <Standings found={found} onSave={save} />
      ) : pair ? (
        <>
          <div className="vote-pair">
            {pair.map(({ cell, url }, side) => (
              <button key={`${side}${cell.join()}`} type="button" className="plain" aria-label={t(side ? "votes.right" : "votes.left")} onClick={() => vote(side ? "right" : "left")}>
                <img src={reached(url)} alt="" draggable={false} />
              </button>
            ))}
          </div>
          <div className="buttons vote-answers">
            {(["left", "tie", "right"] as const).map((one) => (
              <button key={one} type="button" className={one === "tie" ? "" : "primary"} onClick={() => vote(one)}>
                {t(`votes.${one}`)} <kbd>{Object.keys(KEYS).find((key) => KEYS[key] === one)}</kbd>
              </button>
            ))}
          </div>
          <p className="hint">{t("votes.hint")}</p>
        </>
      ) : (
        found && <p className="hint">{t("votes.none")}</p>
      )}
    </>
  );
}

function Standings({ found, onSave }: { found: Preferences; onSave: (kind: "votes" | "preferences") => void }) {
  const t = useT();
  return (
    <div className="standings">
      <table>
        <thead>
          <tr>
            {(["name", "rating", "interval", "wins", "losses", "ties"] as const).map((head) => (
              <th key={head} scope="col">
                {t(`votes.${head}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {found.standings.map((one) => (
            <tr key={one.name}>
              <th scope="row">{one.name}</th>
              <td>{Math.round(one.rating)}</td>
              <td>
                {Math.round(one.low)} – {Math.round(one.high)}
              </td>
              <td>{one.wins}</td>
              <td>{one.losses}</td>
              <td>{one.ties}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {!found.steady && <p className="hint">{t("votes.unsteady")}</p>}
      <p className="hint">{t("votes.scale")}</p>
      <div className="buttons">
        <button type="button" disabled={!found.standings.length} onClick={() => onSave("preferences")}>
          {t("votes.saveTable")}
        </button>
        <button type="button" disabled={!found.standings.length} onClick={() => onSave("votes")}>
          {t("votes.saveVotes")}
        </button>
      </div>
    </div>
  );
}
