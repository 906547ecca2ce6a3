import { saidName, useT } from "../i18n";
import * as m from "../graph";
import { edit } from "../state/edits";
import { graphOf, tabOf, useApp } from "../state/store";

/** How often the selected instance of a subgraph runs. What is changed here holds for this instance alone. */
export function RepeatPanel() {
  const graph = useApp(graphOf);
  const selection = useApp((state) => tabOf(state).selection);
  const id = selection.length === 1 ? (selection[0] as string) : "";
  const node = graph.nodes[id];
  if (!node?.type.startsWith(m.SUBGRAPH)) return null;
  return <Fields key={id} id={id} node={node} />;
}

function Fields({ id, node }: { id: string; node: m.NodeData }) {
  const t = useT();
  const document = useApp((state) => tabOf(state).document);
  const path = useApp((state) => tabOf(state).path);
  const catalogue = useApp((state) => state.catalogue);
  const { repeat: _, ...plain } = node;
  const ports = m.portsOf(m.scopesAt(document, path), id, plain, catalogue);
  if (ports.missing) return null;
  const repeat = m.repeatOf(node);
  const kind = m.repeatKind(repeat);
  const change = (values: Partial<m.Repeat> | null) => edit("repeat", (scene) => m.setRepeat(scene.graph, id, values));
  const begin = (wanted: string) => {
    if (wanted === "none") change(null);
    if (wanted === "each") change({ each: ports.inputs.slice(0, 1).map((port) => port.name), times: undefined });
    if (wanted === "times") change({ times: 2, each: [] });
    if (wanted === "while") change({ while: repeat?.while ?? booleans[0]?.name ?? "", times: undefined, each: [] });
  };
  const booleans = ports.outputs.filter((port) => port.type === "bool");
  const numbers = ports.inputs.filter((port) => (port.type === "int" || port.type === "float") && !repeat?.each?.includes(port.name) && !repeat?.carry?.[port.name]);
  const toggle = (name: string, on: boolean) => {
    const each = ports.inputs.map((port) => port.name).filter((other) => (other === name ? on : repeat?.each?.includes(other)));
    const { [name]: gone, ...carry } = repeat?.carry ?? {};
    if (each.length) change({ each, ...(on && gone ? { carry } : {}) });
  };
  const carry = (name: string, output: string) => {
    const { [name]: _before, ...rest } = repeat?.carry ?? {};
    change({ carry: output ? { ...rest, [name]: output } : rest });
  };
  return (
    <div className="repeat-box">
      <details className="ports" open={kind !== "none"}>
        <summary>{t("repeat.title")}</summary>
        <label>
          <span>{t("repeat.kind")}</span>
          <select aria-label={t("repeat.kind")} value={kind} onChange={(event) => begin(event.target.value)}>
            <option value="none">{t("repeat.none")}</option>
            {ports.inputs.length > 0 && <option value="each">{t("repeat.each")}</option>}
            <option value="times">{t("repeat.times")}</option>
            {(booleans.length > 0 || kind === "while") && <option value="while">{t("repeat.while")}</option>}
          </select>
        </label>
        {kind === "each" && (
          <fieldset>
            <legend>{t("repeat.lists")}</legend>
            {ports.inputs.map((port) => (
              <label className="check" key={port.name}>
                <input className="check" type="checkbox" checked={repeat?.each?.includes(port.name) ?? false} onChange={(event) => toggle(port.name, event.target.checked)} />
                <span>{saidName(port.name)}</span>
              </label>
            ))}
          </fieldset>
        )}
        {kind === "times" && typeof repeat?.times === "number" && <Count label={t("repeat.count")} value={repeat.times} least={0} onDone={(times) => change({ times })} />}
        {kind !== "none" && (
          <>
            {(booleans.length > 0 || repeat?.while) && (
              <Choice label={t("repeat.proceed")} value={repeat?.while ?? ""} names={booleans.map((port) => port.name)} none={kind === "while" ? undefined : t("repeat.nothing")} onDone={(name) => change({ while: name })} />
            )}
            <Choice label={t("repeat.index")} value={repeat?.index ?? ""} names={numbers.map((port) => port.name)} none={t("repeat.nothing")} onDone={(name) => change({ index: name })} />
            {ports.inputs
              .filter((port) => !repeat?.each?.includes(port.name) && port.name !== repeat?.index)
              .map((port) => ({ port, fitting: ports.outputs.filter((output) => output.type === port.type) }))
              .filter(({ port, fitting }) => fitting.length || repeat?.carry?.[port.name])
              .map(({ port, fitting }) => (
                <Choice key={port.name} label={`${saidName(port.name)} ${t("repeat.carry")}`} value={repeat?.carry?.[port.name] ?? ""} names={fitting.map((output) => output.name)} none={t("repeat.nothing")} onDone={(name) => carry(port.name, name)} />
              ))}
            <Count label={t("repeat.most")} value={repeat?.most ?? m.MOST_TURNS} least={1} onDone={(most) => change({ most })} />
            <p className="hint">{t("repeat.hint")}</p>
          </>
        )}
      </details>
    </div>
  );
}

function Choice({ label, value, names, none, onDone }: { label: string; value: string; names: string[]; none: string | undefined; onDone: (name: string) => void }) {
  const all = value && !names.includes(value) ? [value, ...names] : names;
  return (
    <label>
      <span>{label}</span>
      <select aria-label={label} value={value} onChange={(event) => onDone(event.target.value)}>
        {none !== undefined && <option value="">{none}</option>}
        {all.map((name) => (
          <option key={name} value={name}>
            {saidName(name)}
          </option>
        ))}
      </select>
    </label>
  );
}

function Count({ label, value, least, onDone }: { label: string; value: number; least: number; onDone: (value: number) => void }) {
  return (
    <label>
      <span>{label}</span>
      <input
        key={value}
        type="number"
        min={least}
        aria-label={label}
        defaultValue={value}
        onBlur={(event) => {
          const next = Math.round(Number(event.target.value));
          if (event.target.value !== "" && Number.isFinite(next) && next >= least && next !== value) onDone(next);
          else event.target.value = String(value);
        }}
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key === "Escape") event.currentTarget.value = String(value);
          if (event.key === "Enter" || event.key === "Escape") event.currentTarget.blur();
        }}
      />
    </label>
  );
}
