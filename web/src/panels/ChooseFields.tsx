import { useEffect } from "react";
import { useT } from "../i18n";
import { exposeInput, exposeOutput, hidePort } from "../graph";
import { edit } from "../state/edits";
import { graphOf, useApp } from "../state/store";

/** The bar above the graph while fields are chosen; it catches the clicks that choose. */
export function ChooseFields() {
  const t = useT();
  const inputs = useApp((state) => new Set(graphOf(state).inputs?.map((entry) => entry.name)).size);
  const outputs = useApp((state) => graphOf(state).outputs?.length ?? 0);
  useEffect(() => {
    const canvas = document.getElementById("canvas");
    if (!canvas) return;
    canvas.classList.add("choosing");
    const target = (event: Event): { input?: string; output?: string } | null => {
      const element = event.target as HTMLElement;
      const output = element.closest<HTMLElement>('[data-side="output"]')?.dataset.port;
      if (output) return { output };
      const input = element.closest<HTMLElement>("[data-widget]")?.dataset.widget;
      return input ? { input } : null;
    };
    const press = (event: PointerEvent) => {
      const found = event.button === 0 ? target(event) : null;
      if (!found) return;
      event.preventDefault();
      event.stopPropagation();
      edit("expose", ({ graph }) => {
        const { input, output } = found;
        const there = input ? graph.inputs?.some((entry) => entry.to === input) : graph.outputs?.some((entry) => entry.from === output);
        if (there) hidePort(graph, input ?? output ?? "");
        else if (input) exposeInput(graph, input);
        else if (output) exposeOutput(graph, output);
      });
    };
    // The rest of the press must not type, open or drag.
    const swallow = (event: Event) => {
      if (!target(event)) return;
      event.preventDefault();
      event.stopPropagation();
    };
    const rest = ["mousedown", "click", "dblclick", "focusin"] as const;
    canvas.addEventListener("pointerdown", press, true);
    for (const name of rest) canvas.addEventListener(name, swallow, true);
    return () => {
      canvas.classList.remove("choosing");
      canvas.removeEventListener("pointerdown", press, true);
      for (const name of rest) canvas.removeEventListener(name, swallow, true);
    };
  }, []);
  return (
    <div className="choose-bar" role="status">
      <span>{t("form.choosing", { inputs, outputs })}</span>
      <button type="button" className="primary" onClick={() => useApp.setState({ choosing: false, form: true })}>
        {t("form.chosen")}
      </button>
    </div>
  );
}
