import { useT } from "../i18n";
import { orderPort, type Graph, scopesAt } from "../model";
import { leaveSubgraph } from "../state/documents";
import { edit } from "../state/edits";
import { graphOf, tabOf, useApp } from "../state/store";

/** Where the screen is inside subgraphs, with the ports of the one that is shown. */
export function Breadcrumb() {
  const t = useT();
  const document = useApp((state) => tabOf(state).document);
  const path = useApp((state) => tabOf(state).path);
  if (!path.length) return null;
  const scopes = scopesAt(document, path);
  return (
    <div className="breadcrumb-box">
      <nav className="breadcrumb" aria-label={t("breadcrumb")}>
        <button type="button" onClick={() => leaveSubgraph(0)}>
          {document.name || t("breadcrumb.root")}
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
      <Ports />
    </div>
  );
}

function Ports() {
  const t = useT();
  const graph = useApp(graphOf);
  const rename = (side: "inputs" | "outputs", index: number, name: string) => {
    const clean = name.trim().replace(/[./=\s]+/g, "_");
    if (!clean) return;
    edit("rename", (scene) => renamePort(scene.scopes as Graph[], scene.graph, side, index, clean));
  };
  const list = (side: "inputs" | "outputs") =>
    (graph[side] ?? []).map((entry, index) => (
      <li key={index}>
        <input
          aria-label={t("form.name")}
          defaultValue={entry.name}
          key={entry.name}
          onBlur={(event) => event.target.value !== entry.name && rename(side, index, event.target.value)}
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Enter") event.currentTarget.blur();
          }}
        />
        <button type="button" className="icon" aria-label={t("form.up")} disabled={index === 0} onClick={() => edit("order", (scene) => orderPort(scene.graph, side, index, -1))}>
          ↑
        </button>
        <button type="button" className="icon" aria-label={t("form.down")} disabled={index + 1 === graph[side]?.length} onClick={() => edit("order", (scene) => orderPort(scene.graph, side, index, 1))}>
          ↓
        </button>
      </li>
    ));
  return (
    <details className="ports">
      <summary>{t("subgraph.ports")}</summary>
      <div>
        <ul>{list("inputs")}</ul>
        <ul>{list("outputs")}</ul>
      </div>
    </details>
  );
}

/** Renames a port of a subgraph, and follows it in the links of its instances. */
function renamePort(scopes: readonly Graph[], graph: Graph, side: "inputs" | "outputs", index: number, name: string): void {
  const old = graph[side]?.[index]?.name;
  if (old === undefined || graph[side]?.some((entry) => entry.name === name)) return;
  for (const entry of graph[side] ?? []) if (entry.name === old) entry.name = name;
  const holders: Graph[] = [scopes[0] as Graph, ...Object.values((scopes[0] as Graph).subgraphs ?? {})];
  const key = Object.entries((scopes[0] as Graph).subgraphs ?? {}).find(([, sub]) => sub === graph || sub.nodes === graph.nodes)?.[0];
  if (key === undefined) return;
  for (const holder of holders) {
    const instances = new Set(Object.entries(holder.nodes).filter(([, node]) => node.type === `subgraph:${key}`).map(([id]) => id));
    for (const link of holder.links) {
      const end = side === "inputs" ? "to" : "from";
      const dot = link[end].lastIndexOf(".");
      if (instances.has(link[end].slice(0, dot)) && link[end].slice(dot + 1) === old) link[end] = `${link[end].slice(0, dot)}.${name}`;
    }
    for (const id of instances) {
      const values = holder.nodes[id]?.values;
      if (side === "inputs" && values && old in values) {
        values[name] = values[old];
        delete values[old];
      }
    }
  }
}

