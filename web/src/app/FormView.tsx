import { useState } from "react";
import { blobUrl } from "../api/client";
import { said, saidName, useT, useWords } from "../i18n";
import { hidePort, type InputSpec, orderPort, portsOf, splitPort } from "../model";
import { request } from "../api/client";
import { edit, setValue } from "../state/edits";
import { resultKey, useResults } from "../state/status";
import { tabOf, toast, useApp } from "../state/store";
import { Field } from "../widgets/WidgetView";

/** The workflow as a page with fields and results, for those who do not build graphs. */
export function FormView() {
  const t = useT();
  useWords();
  const tab = useApp(tabOf);
  const catalogue = useApp((state) => state.catalogue);
  const results = useResults((state) => state.results);
  const { document } = tab;
  const fields = (document.inputs ?? []).map((entry, index) => {
    const { node, port } = splitPort(entry.to);
    const data = document.nodes[node];
    const spec = data && portsOf([document], node, data, catalogue).inputs.find((input) => input.name === port);
    return { entry, index, node, port, spec, value: data?.values?.[port] };
  });
  const pictures = Object.entries(results)
    .filter(([key]) => key.startsWith(resultKey(tab.id, "")))
    .flatMap(([, result]) => (result.live ? [result.live] : result.files.filter((file) => file.media_type.startsWith("image/")).map((file) => blobUrl(file.digest))));
  return (
    <div className="form-view">
      <section className="form-fields" aria-label={t("form.inputs")}>
        <h1>{document.name || tab.name || t("form.title")}</h1>
        {document.description && <p className="hint">{said(document.description)}</p>}
        {!fields.length && <p className="hint">{t("form.empty")}</p>}
        {fields.map(({ entry, index, node, port, spec, value }) => (
          <div className="form-field" key={`${entry.name}:${entry.to}`}>
            <h2>{saidName(entry.name)}</h2>
            {(entry.help || spec?.help) && <p className="hint">{said(entry.help || spec?.help || "")}</p>}
            {spec && (
              <div className={`form-widget ${spec.widget?.widget === "text" && spec.widget.multiline ? "tall" : ""}`}>
                <Field id={node} input={spec} value={value ?? spec.default} label={saidName(entry.name)} set={(next) => setValue(node, port, next)} />
              </div>
            )}
            <div className="form-tools">
              <button type="button" className="icon" aria-label={t("form.up")} disabled={index === 0} onClick={() => edit("order", (scene) => orderPort(scene.graph, "inputs", index, -1))}>
                ↑
              </button>
              <button type="button" className="icon" aria-label={t("form.down")} disabled={index + 1 === fields.length} onClick={() => edit("order", (scene) => orderPort(scene.graph, "inputs", index, 1))}>
                ↓
              </button>
              <button type="button" className="icon" aria-label={t("node.hide")} onClick={() => edit("expose", (scene) => hidePort(scene.graph, entry.to))}>
                ✕
              </button>
            </div>
          </div>
        ))}
        {fields.length > 0 && <Sweep names={fields.flatMap(({ entry, spec }) => (spec ? [{ name: entry.name, spec }] : []))} />}
      </section>
      <section className="form-results" aria-label={t("form.outputs")}>
        {!pictures.length && <p className="hint">{t("form.noResults")}</p>}
        {pictures.map((source) => (
          <button key={source} type="button" className="plain" onClick={() => useApp.setState({ overlay: { kind: "viewer", pictures, index: pictures.indexOf(source) } })}>
            <img src={source} alt={t("form.outputs")} />
          </button>
        ))}
      </section>
    </div>
  );
}

/** Several values of one or two fields: every combination is a run, and the pictures a grid. */
function Sweep({ names }: { names: { name: string; spec: InputSpec }[] }) {
  const t = useT();
  const [texts, setTexts] = useState<Record<string, string>>({});
  const document = useApp((state) => tabOf(state).document);
  const [batch, setBatch] = useState<{ runs: string[]; axes: [string, unknown[]][] } | null>(null);
  const runs = useApp((state) => state.runs);
  const axes = names.flatMap(({ name, spec }): [string, unknown[]][] => {
    const values = (texts[name] ?? "").split(spec.type === "str" ? /;|\n/ : /[,;\s]+/).map((part) => part.trim()).filter(Boolean);
    return values.length ? [[name, values.map((value) => (["int", "float"].includes(spec.type) ? Number(value) : spec.type === "bool" ? value === "true" : value))]] : [];
  });
  const count = axes.reduce((product, [, values]) => product * values.length, axes.length ? 1 : 0);
  const start = async () => {
    try {
      const answer = await request<{ runs: string[] }>("POST", "/runs/batch", { document, sweep: Object.fromEntries(axes), name: t("sweep.title") });
      setBatch({ runs: answer.runs, axes });
    } catch (error) {
      toast(t("run.refused", { message: (error as Error).message }), "error");
    }
  };
  const columns = batch?.axes.at(-1);
  const perRow = columns?.[1].length ?? 1;
  const rows = batch ? Array.from({ length: batch.runs.length / perRow }, (_, row) => batch.runs.slice(row * perRow, (row + 1) * perRow)) : [];
  const rowLabel = (row: number) => {
    if (!batch) return "";
    const labels: string[] = [];
    let rest = row;
    for (const [name, values] of batch.axes.slice(0, -1).reverse()) {
      labels.unshift(`${saidName(name)} ${String(values[rest % values.length])}`);
      rest = Math.floor(rest / values.length);
    }
    return labels.join(", ");
  };
  return (
    <details className="sweep">
      <summary>{t("sweep.title")}</summary>
      <p className="hint">{t("sweep.hint")}</p>
      {names.map(({ name }) => (
        <label key={name} className="setting">
          <span>{saidName(name)}</span>
          <input value={texts[name] ?? ""} onChange={(event) => setTexts({ ...texts, [name]: event.target.value })} />
        </label>
      ))}
      <button type="button" className="primary" disabled={!count} onClick={() => void start()}>
        {t("sweep.run", { count })}
      </button>
      {batch && columns && (
        <table className="sweep-grid">
          <thead>
            <tr>
              <th />
              {columns[1].map((value) => (
                <th key={String(value)} scope="col">{`${saidName(columns[0])} ${String(value)}`}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => (
              <tr key={index}>
                <th scope="row">{rowLabel(index)}</th>
                {row.map((id) => {
                  const picture = runs[id]?.files.find((file) => file.media_type.startsWith("image/"));
                  return <td key={id}>{picture ? <img src={picture.thumbnail || picture.url} alt={id} /> : (runs[id]?.status ?? "…")}</td>;
                })}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </details>
  );
}
