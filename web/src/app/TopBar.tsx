import { useEffect, useRef } from "react";
import { duration, useT } from "../i18n";
import { emptyDocument } from "../graph";
import { closeTab, isUnsaved, openTab, showTab, tabTitle } from "../state/documents";
import { isError } from "../i18n/problems";
import { forecast, progressOf } from "../state/status";
import { tabOf, useApp } from "../state/store";
import { isLive, toggleLive } from "../state/live";
import { cancelRun, isActive, run } from "../state/runs";
import { execute, useKeyNames, withKeys } from "../commands/commands";
import { Chevron } from "../ui/icons";

export function TopBar() {
  const t = useT();
  return (
    <header className="top-bar">
      <span className="brand" role="img" aria-label="Safelight">
        <i aria-hidden="true" />
      </span>
      <Tabs />
      <button type="button" className="share-button" title={t("command.share")} onClick={() => execute("share")}>
        {t("share")}
      </button>
      <RunButton />
    </header>
  );
}

/** So many tabs get a list of all: the bar shows a part of them. */
const MANY = 10;

function Tabs() {
  const t = useT();
  const keyNames = useKeyNames();
  const tabs = useApp((state) => state.tabs);
  const active = useApp((state) => state.active);
  const bar = useRef<HTMLElement>(null);
  // Of many tabs the one that is worked on is in sight, with its menu; "+" and the list of all always are.
  useEffect(() => void bar.current?.querySelector(".tab.active")?.scrollIntoView({ inline: "nearest", block: "nearest" }), [active, tabs.length]);
  return (
    <div className="tab-bar">
      <nav ref={bar} className="tabs" aria-label={t("tabs")}>
        {tabs.map((tab) => (
          <div key={tab.id} className={`tab${tab.id === active ? " active" : ""}${tab.name ? "" : " draft"}`}>
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
                <Chevron />
              </button>
            )}
            <button type="button" className="icon" tabIndex={-1} aria-label={t("tab.close", { name: tabTitle(tab) })} onClick={() => closeTab(tab.id)}>
              ✕
            </button>
          </div>
        ))}
      </nav>
      <button type="button" className="icon new-tab" aria-label={t("tab.new")} title={t("tab.new")} onClick={() => openTab({ document: emptyDocument() })}>
        +
      </button>
      {tabs.length >= MANY && (
        <button type="button" className="icon tab-list" aria-haspopup="dialog" aria-label={t("tab.list", { count: tabs.length })} title={withKeys(t("command.tabs"), keyNames("tabs"))} onClick={() => execute("tabs")}>
          {tabs.length}
          <Chevron />
        </button>
      )}
    </div>
  );
}

const FILE = ["save", "saveAs", "renameWorkflow", "revisions", "-", "share", "export", "copyJson", "-", "open", "newTab", "closeTab"];

function openFileMenu(tab: string, screen: { x: number; y: number }): void {
  showTab(tab);
  useApp.setState({ overlay: { kind: "menu", screen, items: FILE } });
}

const RUN = ["run", "runFront", "runTo", "-", "runTimes", "runLines", "-", "live", "newSeeds", "-", "cancel", "cancelAll"];

/** Runs the workflow; while it is at work, tells how far it is and stops it. The arrow has the other ways to run. */
function RunButton() {
  const t = useT();
  const keyNames = useKeyNames();
  const expected = useApp((state) => forecast(state)?.count ?? -1);
  const seconds = useApp((state) => forecast(state)?.seconds ?? 0);
  const problems = useApp((state) => tabOf(state).problems.filter(isError).length);
  const ready = useApp((state) => state.ready);
  const live = useApp(isLive);
  const queued = useApp((state) => tabOf(state).queued.length);
  const current = useApp((state) => {
    const id = tabOf(state).run;
    return id ? state.runs[id] : undefined;
  });
  const progress = useApp((state) => Math.round(progressOf(state.runNodes[tabOf(state).run ?? ""]) * 100));
  const active = current !== undefined && isActive(current);
  const forecastText =
    expected > 0 ? `${t("run.count", { count: expected })}${seconds >= 0.1 ? ` · ${t("run.seconds", { time: duration(seconds) })}` : ""}` : expected === 0 ? t("run.nothing") : "";
  const detail = active ? (current.status === "queued" ? t("run.waiting") : `${progress} %`) + (queued ? ` · +${queued}` : "") : live ? "" : forecastText;
  const press = (event: React.MouseEvent) => {
    if (live) toggleLive();
    // The second click of a double click is one too many: it neither stops what the first has begun nor asks for it twice.
    else if (event.detail > 1) return;
    else if (active) void cancelRun();
    else void run({ front: event.shiftKey });
  };
  return (
    <div className={`run${live ? " live" : ""}`}>
      <button
        type="button"
        className={`primary run-button${active && !live ? " cancel" : ""}`}
        disabled={!ready}
        data-will-run={expected}
        aria-pressed={live || undefined}
        onClick={press}
        title={live ? t("run.live.stop", { keys: keyNames("live") }) : active ? keyNames("cancel") : problems ? t("run.problems", { count: problems }) : keyNames("run")}
      >
        {active && <i className="run-progress" style={{ width: `${progress}%` }} />}
        <svg viewBox="0 0 12 12" width="11" height="11" aria-hidden="true">
          {live ? <circle cx="6" cy="6" r="4.5" fill="currentColor" /> : <path d={active ? "M1.5 1.5h9v9h-9Z" : "M2 1 11 6 2 11Z"} fill="currentColor" />}
        </svg>
        <span>{t(live ? "run.live" : active ? "run.stop" : "run")}</span>
        {detail && <small>{detail}</small>}
      </button>
      <button
        type="button"
        className="primary run-menu"
        disabled={!ready}
        aria-haspopup="menu"
        aria-label={t("run.more")}
        title={t("run.more")}
        onClick={(event) => {
          const box = event.currentTarget.getBoundingClientRect();
          useApp.setState({ overlay: { kind: "menu", screen: { x: box.right - 260, y: box.bottom + 4 }, items: RUN } });
        }}
      >
        <Chevron />
      </button>
    </div>
  );
}
