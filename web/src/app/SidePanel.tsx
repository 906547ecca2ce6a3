import { useEffect, useMemo, useRef, useState } from "react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { request } from "../api/client";
import type { Run } from "../api/shapes";
import { duration, said, saidName, type TextKey, useT, useWords } from "../i18n";
import { openTemplate, openWorkflow } from "../state/documents";
import { flatId, nodeStatus } from "../state/status";
import { graphOf, tabOf, toast, useApp } from "../state/store";
import { cancelRun, isActive } from "../state/sync";
import { jumpTo, togglePanel } from "./commands";
import { rank } from "./fuzzy";
import { Gallery } from "./Gallery";
import { NodeLibrary } from "./NodeLibrary";
import { nodeOptions } from "./nodeOptions";
import { TypeDots } from "./TypeDots";

export function SidePanel() {
  const t = useT();
  const panel = useApp((state) => state.panel);
  if (!panel) return null;
  return (
    <aside className={`side-panel ${panel}`} aria-label={t(`panel.${panel}` as TextKey)}>
      <header>
        <h2>{t(`panel.${panel}` as TextKey)}</h2>
        <button type="button" className="icon" aria-label={t("panel.close")} onClick={() => togglePanel(null)}>
          ✕
        </button>
      </header>
      {panel === "gallery" && <Gallery />}
      {panel === "queue" && <Queue />}
      {panel === "outline" && <Outline />}
      {panel === "problems" && <Problems />}
      {panel === "templates" && <Templates />}
      {panel === "nodes" && <NodeLibrary />}
    </aside>
  );
}

/** All nodes as a list: for finding them, and for those who cannot see the canvas. */
function Outline() {
  const t = useT();
  const graph = useApp(graphOf);
  const path = useApp((state) => tabOf(state).path);
  const selection = useApp((state) => tabOf(state).selection);
  const catalogue = useApp((state) => state.catalogue);
  const state = useApp();
  const [query, setQuery] = useState("");
  const scroll = useRef<HTMLDivElement>(null);
  const options = useMemo(() => {
    const all = nodeOptions(graph);
    return query.trim() ? rank(all, query) : all;
  }, [graph, query]);
  const rows = useVirtualizer({ count: options.length, getScrollElement: () => scroll.current, estimateSize: () => 36, overscan: 8 });
  return (
    <>
      <input type="search" className="filter" placeholder={t("outline.filter")} aria-label={t("outline.filter")} value={query} onChange={(event) => setQuery(event.target.value)} />
      <div className="scroll" ref={scroll}>
        {!options.length && <p className="hint">{t("outline.empty")}</p>}
        <ul style={{ height: rows.getTotalSize(), position: "relative" }}>
          {rows.getVirtualItems().map((row) => {
            const option = options[row.index];
            if (!option) return null;
            const flat = flatId(path, option.id);
            const { kind } = nodeStatus(state, flat);
            return (
              <li key={option.id} style={{ position: "absolute", top: row.start, left: 0, right: 0, height: row.size }}>
                <button type="button" className={`outline-row ${kind}`} aria-pressed={selection.includes(option.id)} onClick={() => jumpTo(flat)}>
                  <i className="state" title={t(`status.${kind}` as TextKey)} />
                  <span>{option.title}</span>
                  <small>{option.id}</small>
                  <TypeDots types={catalogue.get(graph.nodes[option.id]?.type ?? "")?.outputs.map((port) => port.type) ?? []} />
                </button>
              </li>
            );
          })}
        </ul>
      </div>
    </>
  );
}

function Problems() {
  const t = useT();
  const problems = useApp((state) => tabOf(state).problems);
  const failed = useApp((state) => {
    const tab = tabOf(state);
    return tab.run ? state.runs[tab.run]?.problems : undefined;
  });
  const all = problems.length ? problems : (failed ?? []);
  return (
    <div className="scroll">
      {!all.length && <p className="hint">{t("problems.none")}</p>}
      <ul className="problem-list">
        {all.map((problem, index) => (
          <li key={index}>
            <button type="button" onClick={() => problem.node && jumpTo(problem.node)}>
              <strong>{[problem.node, problem.port && saidName(problem.port)].filter(Boolean).join(" · ")}</strong>
              <span>{problem.message}</span>
              {problem.hint && <em>{problem.hint}</em>}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Templates() {
  const t = useT();
  useWords();
  const templates = useApp((state) => state.templates);
  const workflows = useApp((state) => state.workflows);
  return (
    <div className="scroll">
      {!templates.length && <p className="hint">{t("templates.none")}</p>}
      <ul className="cards">
        {templates.map((template) => (
          <li key={template.name}>
            <button type="button" className="card" data-template={template.name} onClick={() => void openTemplate(template.name)}>
              <strong>{template.title === template.name ? saidName(template.name) : said(template.title)}</strong>
              <span>{said(template.description)}</span>
              <small>{t("templates.nodes", { count: template.nodes })}</small>
            </button>
          </li>
        ))}
      </ul>
      <h3>{t("workflows.saved")}</h3>
      {!workflows.length && <p className="hint">{t("workflows.none")}</p>}
      <ul className="cards">
        {workflows.map((workflow) => (
          <li key={workflow.name}>
            <button type="button" className="card" onClick={() => void openWorkflow(workflow.name)}>
              <strong>{workflow.name}</strong>
              <small>{`${t("templates.nodes", { count: workflow.nodes })} · ${new Date(workflow.modified * 1000).toLocaleString()}`}</small>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Queue() {
  const t = useT();
  const runs = useApp((state) => state.runs);
  const queue = useApp((state) => state.queue);
  useEffect(() => {
    void request<{ runs: Run[] }>("GET", "/runs?limit=50").then(
      (page) => useApp.setState((state) => ({ runs: { ...Object.fromEntries(page.runs.map((run) => [run.id, run])), ...state.runs } })),
      () => undefined,
    );
  }, []);
  const all = Object.values(runs).sort((a, b) => a.created - b.created);
  const groups: [TextKey, Run[]][] = [
    ["queue.running", all.filter((run) => run.status === "running")],
    ["queue.waiting", all.filter((run) => isActive(run) && run.status !== "running")],
    ["queue.recent", all.filter((run) => !isActive(run)).reverse()],
  ];
  const act = (path: string, body: unknown = {}, method = "POST") =>
    void request(method, path, body).catch((error: Error) => toast(error.message, "error"));
  return (
    <div className="scroll">
      <div className="buttons">
        <button type="button" onClick={() => act(queue.paused ? "/queue/resume" : "/queue/pause")}>
          {t(queue.paused ? "queue.resume" : "queue.pause")}
        </button>
        {queue.seconds !== null && queue.seconds > 0 && <span className="hint">{t("queue.left", { time: duration(queue.seconds) })}</span>}
      </div>
      {!all.length && <p className="hint">{t("queue.empty")}</p>}
      {groups.map(
        ([title, list]) =>
          list.length > 0 && (
            <section key={title}>
              <h3>{t(title)}</h3>
              <ul className="runs">
                {list.map((run) => (
                  <li key={run.id} data-run={run.id} className={run.status}>
                    {run.files[0]?.thumbnail ? <img src={run.files[0].thumbnail} alt="" /> : <i className="state" />}
                    <span>
                      <strong>{run.name || run.id}</strong>
                      <small>
                        {run.status === "failed" ? run.problems[0]?.message : [run.id, run.seconds ? duration(run.seconds) : ""].filter(Boolean).join(" · ")}
                      </small>
                    </span>
                    {run.status === "queued" && (
                      <button type="button" onClick={() => act(`/runs/${run.id}`, { priority: 100 }, "PATCH")}>
                        {t("queue.first")}
                      </button>
                    )}
                    {isActive(run) ? (
                      <button type="button" onClick={() => void cancelRun(run.id)}>
                        {t("run.cancel")}
                      </button>
                    ) : (
                      <button type="button" onClick={() => act(`/runs/${run.id}/retry`)}>
                        {t("queue.retry")}
                      </button>
                    )}
                  </li>
                ))}
              </ul>
            </section>
          ),
      )}
    </div>
  );
}
