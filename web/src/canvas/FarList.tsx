import { useId, useMemo, useState } from "react";
import { stage } from "./stage";
import { type TextKey, useT, useWords } from "../i18n";
import { isBorder, sideOf } from "../graph";
import { jumpTo, select } from "../state/edits";
import { flatId, nodeStatus } from "../state/status";
import { graphOf, tabOf, useApp } from "../state/store";
import { nodeOptions } from "./nodeOptions";

/** Options in the page at once; more would make zooming out slow. */
const REACH = 10;

/**
 * The nodes as a list, while the far view paints them as boxes that no screen reader sees. It shows itself only with the
 * focus in it. Left to right, as the graph is read.
 */
export function FarList() {
  const t = useT();
  const words = useWords();
  const graph = useApp(graphOf);
  const path = useApp((state) => tabOf(state).path);
  const selection = useApp((state) => tabOf(state).selection);
  const id = useId();
  const [active, setActive] = useState<string | null>(null);
  const options = useMemo(
    () => {
      const place = (node: string) => stage.geometry.nodes.get(node)?.rect ?? { x: 0, y: 0 };
      const border = [...stage.geometry.nodes.keys()].filter(isBorder).map((node) => ({ id: node, title: t(`subgraph.${sideOf(node)}`) }));
      return [...nodeOptions(graph), ...border].sort((a, b) => place(a.id).x - place(b.id).x || place(a.id).y - place(b.id).y);
    },
    // eslint-disable-next-line react-hooks/exhaustive-deps -- titles follow the language
    [graph, words, path],
  );
  const index = Math.max(0, options.findIndex((option) => option.id === (active ?? selection[0])));
  const shown = options.slice(Math.max(0, index - REACH), index + REACH + 1);
  const state = useApp((now) => shown.map((option) => nodeStatus(now, flatId(path, option.id)).kind).join(" ")).split(" ");
  const go = (node: string) => {
    if (!isBorder(node)) return jumpTo(flatId(path, node));
    select([node]);
    useApp.setState({ reveal: node });
  };
  const press = (event: React.KeyboardEvent) => {
    const step: Record<string, number> = { ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + REACH, PageUp: index - REACH, Home: 0, End: options.length - 1 };
    const to = step[event.key];
    if (to !== undefined) setActive(options[Math.max(0, Math.min(options.length - 1, to))]?.id ?? null);
    else if (event.key === "Enter" || event.key === " ") {
      const chosen = options[index];
      if (chosen) {
        go(chosen.id);
        document.getElementById("canvas")?.focus({ preventScroll: true });
      }
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  if (!options.length) return null;
  return (
    <div className="far-list" role="listbox" tabIndex={0} aria-label={t("far.list")} aria-activedescendant={`${id}-${options[index]?.id}`} onKeyDown={press}>
      {shown.map((option, number) => (
        <div
          key={option.id}
          id={`${id}-${option.id}`}
          role="option"
          aria-selected={option.id === options[index]?.id}
          aria-setsize={options.length}
          aria-posinset={options.indexOf(option) + 1}
          onClick={() => go(option.id)}
        >
          {option.title}
          <small>{[isBorder(option.id) ? "" : option.id, t(`status.${state[number] || "none"}` as TextKey)].filter(Boolean).join(" · ")}</small>
        </div>
      ))}
    </div>
  );
}
