import { useMemo } from "react";
import { duration, type TextKey, useT } from "../i18n";
import { emptyDocument } from "../graph";
import { closeTab, isUnsaved, openTab, showTab, tabTitle } from "../state/documents";
import { missingThings } from "../state/missing";
import { isError } from "../i18n/problems";
import { forecast, progressOf } from "../state/status";
import { type Panel, tabOf, useApp } from "../state/store";
import { cancelRun, isActive, run } from "../state/sync";
import { execute, togglePanel } from "../commands/commands";

export function TopBar() {
  const t = useT();
  const form = useApp((state) => state.form);
  return (
    <header className="top-bar">
      <span className="brand" role="img" aria-label="Safelight">
        <i aria-hidden="true" />
      </span>
      <Tabs />
      <nav className="panels" aria-label={t("menu")}>
        {(["templates", "nodes", "gallery", "queue", "outline"] as const).map((panel) => (
          <PanelButton key={panel} panel={panel} />
        ))}
        <ProblemsButton />
        <button type="button" aria-pressed={form} onClick={() => execute("form")}>
          {t(form ? "form.graph" : "form.title")}
        </button>
        <button type="button" className="icon" aria-label={t("commands.label")} title={`${t("commands.label")} (Ctrl+K)`} onClick={() => execute("palette")}>
          <svg viewBox="0 0 16 16" width="15" height="15" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" aria-hidden="true">
            <path d="M2.5 4.5 5 7 2.5 9.5M7.5 10.5h6M7.5 4.5h6" />
          </svg>
        </button>
        <button type="button" className="icon" aria-label={t("settings.title")} title={t("settings.title")} onClick={() => execute("settings")}>
          ⚙
        </button>
        <button type="button" className="icon" aria-label={t("shortcuts.title")} title={`${t("shortcuts.title")} (?)`} onClick={() => execute("shortcuts")}>
          ?
        </button>
      </nav>
      <button type="button" className="share-button" title={t("command.share")} onClick={() => execute("share")}>
        {t("share")}
      </button>
      <RunButton />
    </header>
  );
}

function Tabs() {
  const t = useT();
  const tabs = useApp((state) => state.tabs);
  const active = useApp((state) => state.active);
  return (
    <nav className="tabs" aria-label={t("tabs")}>
      {tabs.map((tab) => (
        <div key={tab.id} className={`tab${tab.id === active ? " active" : ""}`}>
          <button
            type="button"
            aria-current={tab.id === active ? "page" : undefined}
            onClick={() => showTab(tab.id)}
            onAuxClick={(event) => event.button === 1 && closeTab(tab.id)}
            onDoubleClick={() => execute(tab.name ? "renameWorkflow" : "saveAs")}
            onContextMenu={(event) => {
              event.preventDefault();
              openFileMenu(tab.id, { x: event.clientX, y: event.clientY });
            }}
         >
            {tabTitle(tab)}
            {isUnsaved(tab) && <i className="unsaved" role="img" title={t("tab.unsaved")} aria-label={t("tab.unsaved")} />}
          </button>
          {tab.id === active && (
            <button
              type="button"
              className="icon file-menu"
              aria-haspopup="menu"
              aria-label={t("menu.file")}
              title={t("menu.file")}
              onClick={(event) => {
                const box = event.currentTarget.getBoundingClientRect();
                openFileMenu(tab.id, { x: box.left, y: box.bottom + 4 });
              }}
           >
              <svg viewBox="0 0 10 10" width="9" height="9" aria-hidden="true">
                <path d="M1.5 3 5 7 8.5 3" fill="none" stroke="currentColor" strokeWidth="1.6" />
              </svg>
            </button>
          )}
          <button type="button" className="icon" tabIndex={-1} aria-label={t("tab.close", { name: tabTitle(tab) })} onClick={() => closeTab(tab.id)}>
            ✕
          </button>
        </div>
      ))}
      <button type="button" className="icon new-tab" aria-label={t("tab.new")} title={t("tab.new")} onClick={() => openTab({ document: emptyDocument() })}>
        +
      </button>
    </nav>
  );
}

const FILE = ["save", "saveAs", "renameWorkflow", "revisions", "-", "share", "export", "copyJson", "-", "open", "newTab", "closeTab"];

function openFileMenu(tab: string, screen: { x: number; y: number }): void {
  showTab(tab);
  useApp.setState({ overlay: { kind: "menu", screen, items: FILE } });
}

function PanelButton({ panel }: { panel: Exclude<Panel, null> }) {
  const t = useT();
  const shown = useApp((state) => state.panel === panel);
  const busy = useApp((state) => (panel === "queue" ? state.queue.waiting + state.queue.running : 0));
  return (
    <button type="button" aria-pressed={shown} data-panel={panel} onClick={() => togglePanel(panel)}>
      {t(`panel.${panel}` as TextKey)}
      {busy > 0 && <span className="count">{busy}</span>}
    </button>
  );
}

function ProblemsButton() {
  const t = useT();
  const problems = useApp((state) => tabOf(state).problems.filter(isError).length);
  const warnings = useApp((state) => tabOf(state).problems.length) - problems;
  const document = useApp((state) => tabOf(state).document);
  const catalogue = useApp((state) => state.catalogue);
  const models = useApp((state) => state.models);
  const lost = useMemo(() => missingThings(document, catalogue, models.length ? models : null).filter((one) => one.kind === "model").length, [document, catalogue, models]);
  const count = problems + lost;
  const shown = useApp((state) => state.panel === "problems");
  if (!count && !warnings && !shown) return null;
  const mild = !count && warnings > 0;
  const many = mild ? warnings : count;
  return (
    <button type="button" aria-pressed={shown} data-panel="problems" className={mild ? "problems-button mild" : "problems-button"} onClick={() => togglePanel("problems")}>
      {t(`${mild ? "warnings" : "problems"}.${many === 1 ? "one" : "many"}`, { count: many })}
    </button>
  );
}

function RunButton() {
  const t = useT();
  const expected = useApp((state) => forecast(state)?.count ?? -1);
  const seconds = useApp((state) => forecast(state)?.seconds ?? 0);
  const problems = useApp((state) => tabOf(state).problems.filter(isError).length);
  const ready = useApp((state) => state.ready);
  const current = useApp((state) => {
    const id = tabOf(state).run;
    return id ? state.runs[id] : undefined;
  });
  const progress = useApp((state) => Math.round(progressOf(state.runNodes[tabOf(state).run ?? ""]) * 100));
  const active = current && isActive(current);
  const detail =
    expected > 0 ? `${t("run.count", { count: expected })}${seconds >= 0.1 ? ` · ${t("run.seconds", { time: duration(seconds) })}` : ""}` : expected === 0 ? t("run.nothing") : "";
  return (
    <div className="run">
      {active && (
        <button type="button" className="cancel" onClick={() => void cancelRun()} title="Ctrl+Alt+Enter">
          {current.status === "queued" ? t("run.waiting") : `${progress} %`} · {t("run.cancel")}
        </button>
      )}
      <button
        type="button"
        className="primary run-button"
        disabled={!ready}
        data-will-run={expected}
        onClick={(event) => void run({ front: event.shiftKey })}
        title={problems ? t("run.problems", { count: problems }) : "Ctrl+Enter"}
      >
        <svg viewBox="0 0 12 12" width="11" height="11" aria-hidden="true">
          <path d="M2 1 11 6 2 11Z" fill="currentColor" />
        </svg>
        <span>{t("run")}</span>
        {detail && <small>{detail}</small>}
      </button>
    </div>
  );
}
