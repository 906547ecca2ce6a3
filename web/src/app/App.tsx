import { useEffect } from "react";
import { reached } from "../api/base";
import { Canvas } from "../canvas/Canvas";
import { setLanguage, useT } from "../i18n";
import { stopComparing } from "../state/comparing";
import { tabTitle } from "../state/documents";
import { progressOf } from "../state/status";
import { dismiss, graphOf, historyOf, tabOf, useApp } from "../state/store";
import { Breadcrumb } from "./Breadcrumb";
import { ChooseFields } from "../panels/ChooseFields";
import { Feed } from "../panels/Feed";
import { FailureCard } from "./FailureCard";
import { FormView } from "../panels/FormView";
import { CanvasTools } from "./CanvasTools";
import { Minimap } from "../canvas/Minimap";
import { Overlays } from "./Overlays";
import { Rail } from "./Rail";
import { RepeatPanel } from "../panels/RepeatPanel";
import { SidePanel } from "../panels/SidePanel";
import { TopBar } from "./TopBar";
import { Tour, TourOffer } from "./Tour";
import { execute } from "../commands/commands";
import { StartStrip } from "../panels/Workflows";

export function App() {
  const t = useT();
  const { theme, language, minimap, feed } = useApp((state) => state.preferences);
  const form = useApp((state) => state.form);
  const choosing = useApp((state) => state.choosing);
  const empty = useApp((state) => !Object.keys(graphOf(state).nodes).length);
  // Who has deleted everything wants it back.
  const undoable = useApp((state) => empty && Boolean(historyOf(tabOf(state)).canUndo));
  useEffect(() => void setLanguage(language), [language]);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => {
      document.documentElement.dataset.theme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
    };
    apply();
    dark.addEventListener("change", apply);
    return () => dark.removeEventListener("change", apply);
  }, [theme]);
  useTitle();
  return (
    <div className="app">
      <a className="skip" href={`${location.pathname}${location.search}${form ? "#form" : "#canvas"}`}>
        {t("skip")}
      </a>
      <TopBar />
      <Notices />
      <Rail />
      <main>
        {form ? <FormView /> : <Canvas />}
        {!form && <Breadcrumb />}
        {!form && <RepeatPanel />}
        {!form && (!empty || undoable) && <CanvasTools />}
        {!form && minimap && !empty && <Minimap />}
        {!form && feed && <Feed onClose={() => execute("feed")} />}
        {!form && <EmptyHint />}
        {!form && <TourOffer />}
        {!form && choosing && <ChooseFields />}
        <SidePanel />
        <FailureCard />
      </main>
      <Tour />
      <Overlays />
      <Toasts />
    </div>
  );
}

function useTitle(): void {
  const tab = useApp(tabOf);
  const queue = useApp((state) => state.queue);
  const busy = queue.running + queue.waiting;
  const percent = useApp((state) => {
    const id = Object.values(state.runs).find((run) => run.status === "running")?.id;
    return id && state.runNodes[id] ? Math.floor(progressOf(state.runNodes[id]) * 100) : null;
  });
  useEffect(() => {
    document.title = `${busy ? `(${busy}) ` : ""}${percent === null ? "" : `${percent} % `}${tabTitle(tab)} · Safelight`;
  }, [tab, busy, percent]);
}

function Notices() {
  const t = useT();
  const connection = useApp((state) => state.connection);
  const elsewhere = useApp((state) => state.elsewhere);
  const conflict = useApp((state) => tabOf(state).conflict);
  const comparing = useApp((state) => state.comparing);
  return (
    <div className="notices" role="status">
      {connection === "offline" && <p className="notice warn">{t("connection.offline")}</p>}
      {connection === "elsewhere" && <p className="notice warn" data-notice="elsewhere">{t("connection.elsewhere", { status: elsewhere || "3xx" })}</p>}
      {comparing !== null && (
        <p className="notice" data-notice="compare">
          <img src={reached(comparing)} alt="" />
          {t("gallery.compare.pick")}
          <button type="button" onClick={stopComparing}>
            {t("cancel")}
          </button>
        </p>
      )}
      {conflict !== null && (
        <p className="notice warn">
          {t(conflict ? "save.conflict" : "save.deleted")}
          <button type="button" data-action="conflict" onClick={() => useApp.setState({ overlay: { kind: "conflict" } })}>
            {t("conflict.look")}
          </button>
        </p>
      )}
    </div>
  );
}

function EmptyHint() {
  const t = useT();
  const empty = useApp((state) => state.ready && !Object.keys(graphOf(state).nodes).length && !graphOf(state).ui?.notes?.length);
  if (!empty) return null;
  return (
    <>
      <div className="empty-hint">
        <h2>{t("canvas.empty")}</h2>
        <p>{t("canvas.empty.hint")}</p>
        <div className="buttons">
          <button type="button" onClick={() => execute("open")}>
            {t("canvas.open")}
          </button>
        </div>
      </div>
      <StartStrip />
    </>
  );
}

function Toasts() {
  const t = useT();
  const toasts = useApp((state) => state.toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map((toast) => (
        <div key={toast.id} className={`toast ${toast.kind}`}>
          <span>{toast.text}</span>
          {toast.action && (
            <button
              type="button"
              onClick={() => {
                toast.action?.run();
                dismiss(toast.id);
              }}
            >
              {toast.action.label}
            </button>
          )}
          <button type="button" className="icon" aria-label={t("close")} onClick={() => dismiss(toast.id)}>
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}
