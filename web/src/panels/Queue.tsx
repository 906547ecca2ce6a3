import { useEffect, useState } from "react";
import { keyNames } from "../commands/commands";
import { reached } from "../api/base";
import { call } from "../api/client";
import type { Run } from "../api/types";
import { duration, saidName, type TextKey, useT, when } from "../i18n";
import { errorText, failureLine } from "../i18n/problems";
import { stringifyJson } from "../graph";
import { openRun, saveLog } from "../state/documents";
import { progressOf } from "../state/status";
import { toast, useApp } from "../state/store";
import { cancelRun, isActive } from "../state/runs";

const SHOWN = 100;
const PAGE = 50;

/** What runs, what waits in its order, and what has ended. */
export function Queue() {
  const t = useT();
  const runs = useApp((state) => state.runs);
  const queue = useApp((state) => state.queue);
  const left = useTimeLeft();
  const [dragged, setDragged] = useState<string | null>(null);
  const all = Object.values(runs);
  const running = all.filter((run) => run.status === "running").sort((a, b) => (a.started ?? 0) - (b.started ?? 0));
  const waiting = all.filter((run) => run.status === "queued" || run.status === "interrupted").sort(inQueue);
  const paused = all.filter((run) => run.status === "paused").sort(inQueue);
  const move = (run: Run, where: { ahead_of?: string; behind?: string }) => act(call("PATCH /runs/{id}", { path: { id: run.id }, body: where }));
  return (
    <div className="scroll queue">
      <div className="buttons">
        <button type="button" onClick={() => act(call(queue.paused ? "POST /queue/resume" : "POST /queue/pause"))}>
          {t(queue.paused ? "queue.resume" : "queue.pause")}
        </button>
        {waiting.length > 0 && (
          <button type="button" onClick={() => act(call("POST /queue/clear"))}>
            {t("queue.clear")}
          </button>
        )}
        {queue.seconds !== null && queue.seconds > 0 && <span className="hint">{t("queue.left", { time: duration(queue.seconds) })}</span>}
      </div>
      {queue.paused && <p className="warning">{t("queue.isPaused")}</p>}
      {!all.length && <p className="hint">{t("queue.empty", { keys: keyNames("run") || "–" })}</p>}
      <Group title="queue.running" runs={running}>
        {(run) => (
          <Row key={run.id} run={run} left={left[run.id]}>
            <Log run={run} />
            <Act label="queue.pauseRun" run={run} sign={<Bars />} onClick={() => act(call("POST /runs/{id}/pause", { path: { id: run.id } }))} />
            <Act label="run.cancel" run={run} sign="✕" onClick={() => void cancelRun(run.id)} />
          </Row>
        )}
      </Group>
      <Group title="queue.waiting" runs={waiting}>
        {(run, index) => (
          <Row
            key={run.id}
            run={run}
            left={left[run.id]}
            drag={{
              dragged,
              start: () => setDragged(run.id),
              end: () => setDragged(null),
              drop: () => {
                const from = waiting.findIndex((one) => one.id === dragged);
                const moving = waiting[from];
                setDragged(null);
                if (moving && moving.id !== run.id) move(moving, from < index ? { behind: run.id } : { ahead_of: run.id });
              },
            }}
          >
            <Act label="queue.first" run={run} sign="⤒" disabled={index === 0} onClick={() => move(run, { ahead_of: waiting[0]?.id ?? "" })} />
            <Act label="form.up" run={run} sign="↑" disabled={index === 0} onClick={() => move(run, { ahead_of: waiting[index - 1]?.id ?? "" })} />
            <Act label="form.down" run={run} sign="↓" disabled={index === waiting.length - 1} onClick={() => move(run, { behind: waiting[index + 1]?.id ?? "" })} />
            <Act label="run.cancel" run={run} sign="✕" onClick={() => void cancelRun(run.id)} />
          </Row>
        )}
      </Group>
      <Group title="queue.paused" runs={paused}>
        {(run) => (
          <Row key={run.id} run={run}>
            <Act label="queue.resumeRun" run={run} sign="▶" onClick={() => act(call("POST /runs/{id}/resume", { path: { id: run.id } }))} />
            <Act label="run.cancel" run={run} sign="✕" onClick={() => void cancelRun(run.id)} />
          </Row>
        )}
      </Group>
      <Finished />
    </div>
  );
}

/** The order of the server: interrupted ones first, then by priority and rank. */
function inQueue(a: Run, b: Run): number {
  const first = Number(b.status === "interrupted") - Number(a.status === "interrupted");
  return first || b.priority - a.priority || a.rank - b.rank || Number(a.id.slice(1)) - Number(b.id.slice(1));
}

function act(asked: Promise<unknown>): void {
  void asked.catch((error: Error) => toast(errorText(error), "error"));
}

/** Seconds until each run that runs or waits ends, asked for when the queue changes and every few seconds. */
function useTimeLeft(): Record<string, number | null> {
  const queue = useApp((state) => state.queue);
  const online = useApp((state) => state.connection === "online");
  const [left, setLeft] = useState<Record<string, number | null>>({});
  const busy = queue.running + queue.waiting;
  useEffect(() => {
    if (!busy || !online) return;
    const ask = () =>
      void call("GET /queue").then(
        (answer) => setLeft(Object.fromEntries([...answer.running, ...answer.waiting].map((run) => [run.id, run.left ?? null]))),
        () => undefined,
      );
    const soon = setTimeout(ask, 300);
    const often = setInterval(ask, 3000);
    return () => {
      clearTimeout(soon);
      clearInterval(often);
    };
  }, [busy, queue, online]);
  return left;
}

function Finished() {
  const t = useT();
  const runs = useApp((state) => state.runs);
  const [search, setSearch] = useState("");
  const [older, setOlder] = useState<Run[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const load = (before: string | null) => {
    const query = { status: "done,failed,cancelled", limit: PAGE, ...(before ? { before } : {}), ...(search.trim() ? { search: search.trim() } : {}) };
    return call("GET /runs", { query }).then(
      (page) => {
        setOlder((list) => [...(before ? list : []), ...page.runs]);
        setNext(page.next);
      },
      () => undefined,
    );
  };
  useEffect(() => {
    const timer = setTimeout(() => void load(null), search ? 200 : 0);
    return () => clearTimeout(timer);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- asked again for each search
  }, [search]);
  // What ended while the list is open comes with the events; the rest from the list that was asked for.
  const live = search.trim() ? [] : Object.values(runs).filter((run) => !isActive(run));
  const merged = new Map([...older, ...live].map((run) => [run.id, run]));
  const all = [...merged.values()].filter((run) => !isActive(runs[run.id] ?? run)).sort((a, b) => Number(b.id.slice(1)) - Number(a.id.slice(1)));
  const remove = (run: Run) => {
    setOlder((list) => list.filter((one) => one.id !== run.id));
    act(call("DELETE /runs/{id}", { path: { id: run.id } }));
  };
  if (!all.length && !search) return null;
  return (
    <section>
      <h3>{t("queue.recent")}</h3>
      <input type="search" className="inline-search" placeholder={t("queue.search")} aria-label={t("queue.search")} value={search} onChange={(event) => setSearch(event.target.value)} />
      {!all.length && <p className="hint">{t("search.empty")}</p>}
      <ul className="runs">
        {all.map((run) => (
          <Row key={run.id} run={run}>
            <Act label="gallery.open" run={run} sign="⤢" onClick={() => void openRun(run)} />
            <Log run={run} />
            <Act label="queue.retry" run={run} sign="↻" onClick={() => act(call("POST /runs/{id}/retry", { path: { id: run.id } }))} />
            <Act label="queue.remove" run={run} sign="✕" onClick={() => remove(run)} />
          </Row>
        ))}
      </ul>
      {next && (
        <button type="button" onClick={() => void load(next)}>
          {t("queue.more")}
        </button>
      )}
    </section>
  );
}

function Group({ title, runs, children }: { title: TextKey; runs: Run[]; children: (run: Run, index: number) => React.ReactNode }) {
  const t = useT();
  if (!runs.length) return null;
  return (
    <section>
      <h3>
        {t(title)} <small>{runs.length}</small>
      </h3>
      <ul className="runs">{runs.slice(0, SHOWN).map(children)}</ul>
      {runs.length > SHOWN && <p className="hint">{t("versions.more", { count: runs.length - SHOWN })}</p>}
    </section>
  );
}

interface RowProps {
  run: Run;
  left?: number | null | undefined;
  drag?: { dragged: string | null; start: () => void; end: () => void; drop: () => void };
  children: React.ReactNode;
}

function Row({ run, left, drag, children }: RowProps) {
  const t = useT();
  const nodes = useApp((state) => state.runNodes[run.id]);
  const image = run.files.find((file) => file.thumbnail)?.thumbnail;
  const part = run.status === "running" ? progressOf(nodes) : null;
  const detail = {
    failed: failureLine(run.problems),
    cancelled: t("queue.cancelled"),
    done: [run.finished ? when(run.finished) : "", run.seconds ? duration(run.seconds) : ""].filter(Boolean).join(" · "),
    running: [`${Math.round((part ?? 0) * 100)} %`, left ? t("queue.left", { time: duration(left) }) : ""].filter(Boolean).join(" · "),
    queued: left ? t("queue.done", { time: duration(left) }) : t("queue.waits"),
    interrupted: t("queue.interrupted"),
    paused: t("queue.pausedRun"),
  }[run.status];
  return (
    <li
      data-run={run.id}
      className={`${run.status}${drag?.dragged === run.id ? " dragged" : ""}`}
      draggable={drag !== undefined}
      onDragStart={drag?.start}
      onDragEnd={drag?.end}
      onDragOver={(event) => drag?.dragged && event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        drag?.drop();
      }}
    >
      {image ? <img src={reached(image)} alt="" /> : <i className="state" />}
      <span title={run.problems[0]?.hint}>
        <strong>
          {run.name || run.id}
          {Object.keys(run.inputs).length > 0 && <em> {given(run)}</em>}
        </strong>
        <small>{[run.id, detail].filter(Boolean).join(" · ")}</small>
        {part !== null && <progress max={1} value={part} aria-label={t("status.running")} />}
      </span>
      {children}
    </li>
  );
}

function Bars() {
  return (
    <svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
      <path d="M3 1.5v7M7 1.5v7" stroke="currentColor" strokeWidth="1.8" />
    </svg>
  );
}

/** What a run was given: what tells the runs of a sweep apart. */
function given(run: Run): string {
  const parts = Object.entries(run.inputs).map(([name, value]) => (typeof value === "string" ? value : `${saidName(name.split(".").pop() ?? name)} ${stringifyJson(value)}`));
  return parts.join(", ");
}

/** What happened in a run, as a file. */
function Log({ run }: { run: Run }) {
  return <Act label="queue.log" run={run} sign="≡" onClick={() => saveLog(run.id)} />;
}

function Act({ label, run, sign, disabled, onClick }: { label: TextKey; run: Run; sign: React.ReactNode; disabled?: boolean; onClick: () => void }) {
  const t = useT();
  return (
    <button type="button" className="icon" data-act={label} aria-label={`${t(label)}: ${run.name || run.id}`} title={t(label)} disabled={disabled} onClick={onClick}>
      {sign}
    </button>
  );
}
