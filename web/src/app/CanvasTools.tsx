/** What is needed all the time, also without a keyboard: undo, redo, zoom, fit. */

import { useSyncExternalStore } from "react";
import { commandTitle, execute, useKeyNames, withKeys } from "../commands/commands";
import { useT } from "../i18n";
import { Icon, type Sign } from "../ui/icons";
import { activeTab, historyOf, tabOf, useApp } from "../state/store";
import { view } from "../canvas/view";

const TOOLS: readonly [string, Sign][] = [
  ["undo", "undo"],
  ["redo", "redo"],
  ["zoomOut", "minus"],
  ["zoomIn", "plus"],
  ["fitAll", "fit"],
  ["feed", "feed"],
];

const follow = (listener: () => void) => view.subscribe(listener);

export function CanvasTools() {
  const t = useT();
  // Also where the view moved between the first drawing of the tools and their first look at it.
  const zoom = useSyncExternalStore(follow, () => view.zoom);
  const keyNames = useKeyNames();
  const feed = useApp((state) => state.preferences.feed);
  // What can be undone changes only with the document.
  useApp((state) => tabOf(state).document);
  const history = historyOf(activeTab());
  const idle: Record<string, boolean> = { undo: !history.canUndo, redo: !history.canRedo };
  return (
    <div className="canvas-tools" role="toolbar" aria-label={t("canvas.tools")}>
      {TOOLS.map(([id, sign]) => {
        return (
          <span key={id}>
            <button type="button" className="icon" data-tool={id} disabled={idle[id]} aria-pressed={id === "feed" ? feed : undefined} aria-label={commandTitle(id)} title={withKeys(commandTitle(id), keyNames(id))} onClick={() => execute(id)}>
              <Icon name={sign} />
            </button>
            {id === "zoomOut" && (
              <button type="button" className="zoom" data-tool="zoom100" title={commandTitle("zoom100")} onClick={() => execute("zoom100")}>
                {Math.round(zoom * 100)} %
              </button>
            )}
          </span>
        );
      })}
    </div>
  );
}
