import { jumpTo } from "../state/edits";
import { useMemo, useRef, useState } from "react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { saidName, type TextKey, useT } from "../i18n";
import { isError, problemText, problemTitle } from "../i18n/problems";
import { flatId, nodeStatus } from "../state/status";
import { graphOf, tabOf, useApp } from "../state/store";
import { togglePanel } from "../commands/commands";
import { rank } from "../ui/fuzzy";
import { Gallery } from "./Gallery";
import { MissingList } from "./MissingList";
import { Models } from "./Models";
import { NodeLibrary } from "./NodeLibrary";
import { nodeOptions } from "../canvas/nodeOptions";
import { Queue } from "./Queue";
import { TypeDots } from "../ui/TypeDots";
import { WorkflowsPanel } from "./Workflows";

export function SidePanel() {
  const t = useT();
  const panel = useApp((state) => state.panel);
  const [wide, setWide] = useState(false);
  if (!panel) return null;
  return (
    <aside className={`side-panel ${panel}${panel === "gallery" && wide ? " wide" : ""}`} aria-label={t(`panel.${panel}` as TextKey)}>
      <header>
        <h2>{t(`panel.${panel}` as TextKey)}</h2>
        <button type="button" className="icon" aria-label={t("panel.close")} onClick={() => togglePanel(null)}>
          ✕
        </button>
      </header>
      {panel === "gallery" && <Gallery wide={wide} setWide={setWide} />}
      {panel === "queue" && <Queue />}
      {panel === "outline" && <Outline />}
      {panel === "problems" && <Problems />}
      {panel === "templates" && <WorkflowsPanel />}
      {panel === "nodes" && <NodeLibrary />}
      {panel === "models" && <Models />}
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
      <MissingList />
      <ul className="problem-list">
        {all.map((problem, index) => (
          <li key={index} className={isError(problem) ? "" : "doubtful"}>
            <button type="button" onClick={() => problem.node && jumpTo(problem.node)}>
              <strong>{[problem.node, problem.port && saidName(problem.port)].filter(Boolean).join(" · ")}</strong>
              {problemTitle(problem.code) && <b>{problemTitle(problem.code)}</b>}
              <span>{problemText(problem)}</span>
              {problem.hint && <em>{problem.hint}</em>}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
