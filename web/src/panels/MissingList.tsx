import { useMemo } from "react";
import { useT } from "../i18n";
import { copyAndTell } from "../commands/clipboard";
import { jumpTo } from "../state/edits";
import { missingThings } from "../state/missing";
import { tabOf, useApp } from "../state/store";

/** Nodes and models that are not on this machine. Their values and wires are kept; here is what brings them back. */
export function MissingList() {
  const t = useT();
  const document = useApp((state) => tabOf(state).document);
  const catalogue = useApp((state) => state.catalogue);
  const models = useApp((state) => state.models);
  const list = useMemo(() => missingThings(document, catalogue, models.length ? models : null), [document, catalogue, models]);
  if (!list.length) return null;
  const hub = (name: string) => /^[\w.-]+\/[\w.-]+$/.test(name);
  return (
    <section className="missing-list">
      <h3>{t("missing.title")}</h3>
      <ul>
        {list.map((one, index) => {
          const command = one.kind === "type" ? (one.pack ? `pip install ${one.pack}` : "") : hub(one.name) ? `safelight models download ${one.name}` : "";
          return (
            <li key={index} data-missing={one.name}>
              <strong>{one.name}</strong>
              <span>{t(one.kind === "type" ? (one.pack ? "missing.pack" : "missing.type") : hub(one.name) ? "missing.hub" : "missing.model")}</span>
              {command && <code>{command}</code>}
              <div className="buttons">
                {command && (
                  <button type="button" onClick={() => void copyAndTell(command)}>
                    {t("missing.copy")}
                  </button>
                )}
                <button type="button" onClick={() => jumpTo(one.node)}>
                  {t("missing.show")}
                </button>
                {one.kind === "type" && !one.node.includes("/") && (
                  <button
                    type="button"
                    onClick={() => {
                      jumpTo(one.node);
                      useApp.setState({ overlay: { kind: "add", screen: { x: innerWidth / 2 - 200, y: 120 }, swap: one.node } });
                    }}
                  >
                    {t("missing.swap")}
                  </button>
                )}
              </div>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
