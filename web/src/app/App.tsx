import { useEffect } from "react";
import { Canvas } from "../canvas/Canvas";
import { setLanguage, useT } from "../i18n";
import { tabTitle } from "../state/documents";
import { dismiss, graphOf, tabOf, useApp } from "../state/store";
import { Breadcrumb } from "./Breadcrumb";
import { ChooseFields } from "../panels/ChooseFields";
import { FormView } from "../panels/FormView";
import { Minimap } from "../canvas/Minimap";
import { Overlays } from "./Overlays";
import { RepeatPanel } from "../panels/RepeatPanel";
import { SidePanel } from "../panels/SidePanel";
import { TopBar } from "./TopBar";
import { execute } from "../commands/commands";
import { StartStrip } from "../panels/Workflows";

export function App() {
  const t = useT();
  const { theme, language, minimap } = useApp((state) => state.preferences);
  const form = useApp((state) => state.form);
  const choosing = useApp((state) => state.choosing);
  const empty = useApp((state) => !Object.keys(graphOf(state).nodes).length);
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
      <a className="skip" href={form ? "#form" : "#canvas"}>
        {t("skip")}
      </a>
      <TopBar />
      <Notices />
      <main>
        {form ? <FormView /> : <Canvas />}
        {!form && <Breadcrumb />}
        {!form && <RepeatPanel />}
        {!form && minimap && !empty && <Minimap />}
        {!form && <EmptyHint />}
        {!form && choosing && <ChooseFields />}
        <SidePanel />
      </main>
      <Overlays />
      <Toasts />
    </div>
  );
}

function useTitle(): void {
  const tab = useApp(tabOf);
  const queue = useApp((state) => state.queue);
  const busy = queue.running + queue.waiting;
  useEffect(() => {
    document.title = `${busy ? `(${busy}) ` : ""}${tabTitle(tab)} · Safelight`;
  }, [tab, busy]);
}

function Notices() {
  const t = useT();
  const connection = useApp((state) => state.connection);
  const conflict = useApp((state) => tabOf(state).conflict);
  return (
    <div className="notices" role="status">
      {connection === "offline" && <p className="notice warn">{t("connection.offline")}</p>}
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
