/** The parts of the program, at the left: what opens as a panel, and what is set. On a phone it lies at the bottom. */

import { useMemo } from "react";
import { execute, useKeyNames, withKeys, togglePanel } from "../commands/commands";
import { type TextKey, useT } from "../i18n";
import { isError } from "../i18n/problems";
import { missingThings } from "../state/missing";
import { isCalm } from "../state/status";
import { type Panel, tabOf, useApp } from "../state/store";
import { Icon, type Sign } from "../ui/icons";

type Shown = Exclude<Panel, null>;
const PANELS: readonly Shown[] = ["templates", "nodes", "models", "gallery", "queue", "outline"];
const REST: readonly [string, TextKey][] = [
  ["palette", "commands.label"],
  ["settings", "settings.title"],
  ["shortcuts", "shortcuts.title"],
];

export function Rail() {
  const t = useT();
  const form = useApp((state) => state.form);
  const keyNames = useKeyNames();
  return (
    <nav className="rail" aria-label={t("menu")}>
      {PANELS.map((panel) => (
        <PanelButton key={panel} panel={panel} />
      ))}
      <ProblemsButton />
      <span className="grow" />
      <button type="button" aria-pressed={form} data-rail="form" onClick={() => execute("form")}>
        <Icon name={form ? "nodes" : "form"} />
        <span>{t(form ? "form.graph" : "form.title")}</span>
      </button>
      {REST.map(([id, label]) => (
        <button key={id} type="button" className="icon" data-rail={id} aria-label={t(label)} title={withKeys(t(label), keyNames(id))} onClick={() => execute(id)}>
          <Icon name={id as Sign} />
        </button>
      ))}
    </nav>
  );
}

function PanelButton({ panel }: { panel: Shown }) {
  const t = useT();
  const shown = useApp((state) => state.panel === panel);
  const busy = useApp((state) => (panel === "queue" ? state.queue.waiting + state.queue.running : 0));
  return (
    <button type="button" aria-pressed={shown} data-panel={panel} onClick={() => togglePanel(panel)}>
      <Icon name={panel} />
      <span>{t(`panel.${panel}` as TextKey)}</span>
      {busy > 0 && <b className="count">{busy}</b>}
    </button>
  );
}

/** What keeps the workflow from running, where there is anything; what is merely unfinished is told quietly. */
function ProblemsButton() {
  const t = useT();
  const tab = useApp(tabOf);
  const catalogue = useApp((state) => state.catalogue);
  const models = useApp((state) => state.models);
  const shown = useApp((state) => state.panel === "problems");
  const lost = useMemo(() => missingThings(tab.document, catalogue, models.length ? models : null).filter((one) => one.kind === "model").length, [tab.document, catalogue, models]);
  const loud = tab.problems.filter((problem) => isError(problem) && !isCalm(tab, problem)).length + lost;
  const mild = tab.problems.length + lost - loud;
  if (!loud && !mild && !shown) return null;
  const many = loud || mild;
  const label = t(`${loud ? "problems" : "warnings"}.${many === 1 ? "one" : "many"}`, { count: many });
  return (
    <button type="button" aria-pressed={shown} data-panel="problems" className={loud ? "problems-button" : "problems-button mild"} title={label} onClick={() => togglePanel("problems")}>
      <Icon name="problems" />
      <span>{t("panel.problems")}</span>
      {many > 0 && <b className="count">{many}</b>}
    </button>
  );
}
