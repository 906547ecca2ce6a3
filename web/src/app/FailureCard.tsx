/** Why a run failed: above all nodes, until it is dismissed or the next run begins. */

import { useState } from "react";
import { call } from "../api/client";
import type { Problem } from "../api/types";
import { copyAndTell } from "../commands/clipboard";
import { t as translate, useT } from "../i18n";
import { errorText, isError, problemText, problemTitle } from "../i18n/problems";
import { saveLog } from "../state/documents";
import { jumpTo } from "../state/edits";
import { patchTab, tabOf, useApp } from "../state/store";

export function FailureCard() {
  const t = useT();
  const tab = useApp((state) => tabOf(state).id);
  const run = useApp((state) => state.runs[tabOf(state).failure ?? ""]);
  const [details, setDetails] = useState<{ run: string; text: string } | null>(null);
  const problem = run?.problems.find(isError);
  if (!run || !problem) return null;
  const shown = details?.run === run.id ? details.text : null;
  const toggle = async () => setDetails(shown === null ? { run: run.id, text: await traceback(run.id) } : null);
  const copy = async () => {
    const lines = [`${run.name} · ${run.id}`, ...run.problems.map(line), shown ?? (await traceback(run.id))];
    await copyAndTell(lines.join("\n\n"));
  };
  return (
    <section className="failure-card" role="alert" aria-label={t("failure.title")}>
      <header>
        <h2>{t("failure.title")}</h2>
        <small>{[problemTitle(problem.code), problem.node].filter(Boolean).join(" · ")}</small>
        <button type="button" className="icon" aria-label={t("close")} onClick={() => patchTab(tab, { failure: null })}>
          ✕
        </button>
      </header>
      <p>{problemText(problem)}</p>
      {problem.hint && <p className="hint">{problem.hint}</p>}
      {shown !== null && <pre tabIndex={0}>{shown}</pre>}
      <div className="buttons">
        {problem.node && (
          <button type="button" className="primary" data-act="show" onClick={() => jumpTo(problem.node ?? "")}>
            {t("failure.show")}
          </button>
        )}
        <button type="button" data-act="details" aria-expanded={shown !== null} onClick={() => void toggle()}>
          {t("failure.details")}
        </button>
        <button type="button" data-act="copy" onClick={() => void copy()}>
          {t("failure.copy")}
        </button>
        <button type="button" data-act="log" onClick={() => saveLog(run.id)}>
          {t("queue.log")}
        </button>
        <button type="button" data-act="queue" onClick={() => useApp.setState({ panel: "queue" })}>
          {t("failure.all")}
        </button>
      </div>
    </section>
  );
}

const line = ({ code, node, port, message, hint }: Problem) => `${code} ${[node, port].filter(Boolean).join(".")}\n${message} ${hint}`;

/** The server gives it on its own machine only. */
async function traceback(id: string): Promise<string> {
  try {
    const { problems } = await call("GET /runs/{id}/details", { path: { id } });
    return problems.map((problem) => problem.details).filter(Boolean).join("\n") || translate("failure.nothing");
  } catch (error) {
    return errorText(error);
  }
}
