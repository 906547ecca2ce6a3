import { TypeDots } from "../ui/TypeDots";
import { saidName, useT, useWords } from "../i18n";
import { nodeTitle } from "../i18n/nodes";
import * as m from "../graph";
import { renamePort } from "../canvas/ports";
import { leaveSubgraph } from "../state/documents";
import { edit } from "../state/edits";
import { graphOf, tabOf, useApp } from "../state/store";

/** Where the screen is inside subgraphs, with the name and the ports of the one that is shown. */
export function Breadcrumb() {
  const t = useT();
  const document = useApp((state) => tabOf(state).document);
  const path = useApp((state) => tabOf(state).path);
  const name = useApp((state) => tabOf(state).name);
  if (!path.length) return null;
  const scopes = m.scopesAt(document, path);
  return (
    <div className="breadcrumb-box">
      <nav className="breadcrumb" aria-label={t("breadcrumb")}>
        <button type="button" onClick={() => leaveSubgraph(0)}>
          {name || document.name || t("breadcrumb.root")}
        </button>
        {path.map((id, index) => (
          <span key={index}>
            <i aria-hidden="true">›</i>
            <button type="button" aria-current={index === path.length - 1 ? "location" : undefined} onClick={() => index < path.length - 1 && leaveSubgraph(index + 1)}>
              {scopes[index + 1]?.name || id}
            </button>
          </span>
        ))}
      </nav>
      <Definition key={path.join("/")} />
    </div>
  );
}

/** The subgraph as it is seen from outside. What is changed here holds for all its instances. */
function Definition() {
  const t = useT();
  useWords();
  const graph = useApp(graphOf);
  const top = useApp((state) => tabOf(state).document);
  const instances = m.instancesOf(top, graph).length;
  const change = (field: "name" | "description", value: string) =>
    edit("rename", (scene) => {
      if (value.trim()) scene.graph[field] = value.trim();
      else delete scene.graph[field];
    });
  return (
    <details className="ports" open={innerWidth > 600}>
      <summary>{t("subgraph.ports")}</summary>
      <label>
        <span>{t("subgraph.name")}</span>
        <Line value={graph.name ?? ""} label={t("subgraph.name")} onDone={(value) => change("name", value)} />
      </label>
      <label>
        <span>{t("subgraph.help")}</span>
        <Line value={graph.description ?? ""} label={t("subgraph.help")} onDone={(value) => change("description", value)} />
      </label>
      <p className="hint">{t("subgraph.instances", { count: instances })}</p>
      <Ports side="inputs" />
      <Ports side="outputs" />
      <p className="hint">{t("subgraph.hint")}</p>
    </details>
  );
}

function Ports({ side }: { side: m.PortSide }) {
  const t = useT();
  const graph = useApp(graphOf);
  const document = useApp((state) => tabOf(state).document);
  const path = useApp((state) => tabOf(state).path);
  const catalogue = useApp((state) => state.catalogue);
  const scopes = m.scopesAt(document, path);
  const ports = m.shownPorts(graph, side);
  const typeOf = (inner: string) => {
    const { node, port } = m.splitPort(inner);
    const data = graph.nodes[node];
    if (!data) return "?";
    const known = m.portsOf(scopes, node, data, catalogue);
    return (side === "inputs" ? known.inputs : known.outputs).find((entry) => entry.name === port)?.type ?? "?";
  };
  const innerTitle = (inner: string) => {
    const { node, port } = m.splitPort(inner);
    return `${nodeTitle({ scopes, graph, catalogue }, node)} · ${saidName(port)}`;
  };
  return (
    <section aria-label={t(`subgraph.${side}`)} data-ports={side}>
      <h3>{t(`subgraph.${side}`)}</h3>
      {!ports.length && <p className="hint">{t("subgraph.none")}</p>}
      <ul>
        {ports.map(({ name, inner }, index) => (
          <li key={name} data-name={name}>
            <TypeDots types={[typeOf(inner[0] ?? "")]} />
            <Line value={name} label={t("form.name")} hint={inner.map(innerTitle).join(", ")} onDone={(value) => renamePort({ side, name }, value)} />
            <button type="button" className="icon" aria-label={`${t("form.up")}: ${name}`} disabled={index === 0} onClick={() => edit("order", (scene) => m.movePort(scene.graph, side, name, -1))}>
              ↑
            </button>
            <button type="button" className="icon" aria-label={`${t("form.down")}: ${name}`} disabled={index + 1 === ports.length} onClick={() => edit("order", (scene) => m.movePort(scene.graph, side, name, 1))}>
              ↓
            </button>
            <button
              type="button"
              className="icon"
              aria-label={`${t("subgraph.takeOff")}: ${name}`}
              title={t("subgraph.takeOff")}
              onClick={() => edit("hide", (scene) => m.unlink(scene, (link) => m.portKeysOf(link).includes(m.portKey(side, name))))}
            >
              ✕
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A line of text that counts when it is left or Enter is pressed; Escape takes it back. */
function Line({ value, label, hint, onDone }: { value: string; label: string; hint?: string; onDone: (value: string) => void }) {
  return (
    <input
      key={value}
      aria-label={label}
      title={hint}
      defaultValue={value}
      onBlur={(event) => {
        if (event.target.value !== value) onDone(event.target.value);
        event.target.value = value; // refused names spring back; accepted ones come with the next state
      }}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape") event.currentTarget.value = value;
        if (event.key === "Enter" || event.key === "Escape") event.currentTarget.blur();
      }}
    />
  );
}
