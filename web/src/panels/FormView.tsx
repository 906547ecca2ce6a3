import { useState } from "react";
import { reached } from "../api/base";
import { blobUrl } from "../api/client";
import { said, saidName, useT, useWords } from "../i18n";
import { fieldOf, type FormField, formFields, moveInput, removeInput, renameInput, setValue, splitPort } from "../graph";
import { MediaResult, mediaFile } from "../results/MediaResult";
import { tabTitle } from "../state/documents";
import { editDocument, startChoosing } from "../state/edits";
import { type NodeFile, progressOf, resultKey, useResults } from "../state/status";
import { patchTab, type Tab, tabOf, useApp } from "../state/store";
import { runSweep, setSweep, sweepAxes, sweepCount, sweepTexts, valueText } from "../state/sweep";
import { isActive, run } from "../state/runs";
import { Field } from "../fields/WidgetView";
import { SweepGrid } from "./SweepGrid";

/** The workflow as a page with fields and results, for those who do not build graphs. */
export function FormView() {
  const t = useT();
  useWords();
  const tab = useApp(tabOf);
  const catalogue = useApp((state) => state.catalogue);
  const texts = useApp(sweepTexts);
  const ready = useApp((state) => state.ready && state.connection === "online");
  const [dragged, setDragged] = useState<string | null>(null);
  const { document } = tab;
  const fields = formFields(document, catalogue);
  const names = new Set(fields.map((field) => field.name));
  const others = Object.keys(texts)
    .filter((name) => !names.has(name))
    .map((name) => fieldOf(document, catalogue, name));
  const axes = sweepAxes();
  const count = sweepCount(axes);
  const wrong = axes.some(({ parsed }) => parsed.wrong.length > 0);
  return (
    <div className="form-view" id="form" tabIndex={-1}>
      <section className="form-fields" aria-label={t("form.inputs")}>
        <header>
          <h1>{tabTitle(tab) === document.name ? saidName(document.name) : tabTitle(tab)}</h1>
          {document.description && <p className="hint">{said(document.description)}</p>}
        </header>
        {!fields.length && <p className="hint">{t("form.empty")}</p>}
        {fields.map((field, index) => (
          <FieldRow
            key={field.name}
            field={field}
            text={texts[field.name]}
            order={{
              first: index === 0,
              last: index === fields.length - 1,
              by: (step) => {
                const before = fields[index + (step < 0 ? -1 : 2)]?.name;
                editDocument("order", (draft) => moveInput(draft, field.name, before));
              },
              dragged,
              start: () => setDragged(field.name),
              drop: () => {
                const moving = dragged;
                setDragged(null);
                if (!moving || moving === field.name) return;
                const down = fields.findIndex((one) => one.name === moving) < index;
                editDocument("order", (draft) => moveInput(draft, moving, down ? fields[index + 1]?.name : field.name));
              },
            }}
          />
        ))}
        {others.map((field) => (
          <FieldRow key={field.name} field={field} text={texts[field.name]} />
        ))}
        <div className="form-run">
          {count > 0 ? (
            <button type="button" className="primary" data-sweep-count={count} disabled={!ready || wrong} onClick={() => void runSweep()}>
              {t("sweep.run", { count })}
            </button>
          ) : (
            <button type="button" className="primary" disabled={!ready} onClick={() => void run()}>
              {t("run")}
            </button>
          )}
          <button type="button" onClick={startChoosing}>
            {t("form.choose")}
          </button>
        </div>
      </section>
      <section className="form-results" aria-label={t("form.outputs")}>
        {tab.batch && <SweepGrid id={tab.batch} onClose={() => patchTab(tab.id, { batch: null })} />}
        <Results tab={tab} />
      </section>
    </div>
  );
}

interface Order {
  first: boolean;
  last: boolean;
  by: (step: number) => void;
  dragged: string | null;
  start: () => void;
  drop: () => void;
}

/** A field; `text` is what was typed for several values of it. Without an order it is no field of the form itself. */
function FieldRow({ field, text, order }: { field: FormField; text: string | undefined; order?: Order }) {
  const t = useT();
  const { spec, name } = field;
  const dot = name.lastIndexOf(".");
  const label = dot < 0 ? saidName(name) : `${name.slice(0, dot)} · ${saidName(name.slice(dot + 1))}`;
  const set = (value: unknown) =>
    editDocument(
      "value",
      (draft) => {
        for (const to of field.ports) {
          const { node, port } = splitPort(to);
          setValue(draft, node, port, value);
        }
      },
      `form:${name}`,
    );
  const tall = spec?.widget?.widget === "items" || (spec?.widget?.widget === "text" && spec.widget.multiline);
  const several = text !== undefined;
  const begin = typeof field.value === "object" ? "" : valueText(field.value ?? "");
  const canVary = spec && ["int", "float", "str", "bool"].includes(spec.type) === true;
  return (
    <div className={`form-field${order?.dragged === name ? " dragged" : ""}`} data-field={name} onDragOver={(event) => order?.dragged && event.preventDefault()} onDrop={() => order?.drop()}>
      <div className="form-label">
        <Label name={name} label={label} fixed={!order} />
        <div className="form-tools">
          {(canVary || (spec && spec.choices.length > 0)) && (
            <button type="button" className="icon" aria-pressed={several} aria-label={`${t("sweep.several")}: ${label}`} title={t("sweep.several")} onClick={() => setSweep(name, several ? undefined : begin)}>
              ⁝
            </button>
          )}
          {order && (
            <>
              <button type="button" className="icon" aria-label={`${t("form.up")}: ${label}`} title={t("form.up")} disabled={order.first} onClick={() => order.by(-1)}>
                ↑
              </button>
              <button type="button" className="icon" aria-label={`${t("form.down")}: ${label}`} title={t("form.down")} disabled={order.last} onClick={() => order.by(1)}>
                ↓
              </button>
              <button type="button" className="icon" aria-label={`${t("node.hide")}: ${label}`} title={t("node.hide")} onClick={() => editDocument("expose", (draft) => removeInput(draft, name))}>
                ✕
              </button>
              <span className="drag-grip" draggable title={t("form.drag")} aria-hidden="true" onDragStart={order.start}>
                ⠿
              </span>
            </>
          )}
        </div>
      </div>
      {field.help && <p className="hint">{said(field.help)}</p>}
      {!spec && <p className="warning">{t("form.gone", { port: field.ports.join(", ") })}</p>}
      {spec && several && <SeveralValues field={field} text={text} label={label} />}
      {spec && !several && (
        <div className={`form-widget${tall ? " tall" : ""}`}>
          <Field id={splitPort(field.ports[0] ?? "").node} input={spec} value={field.value} label={label} set={set} />
        </div>
      )}
    </div>
  );
}

function Label({ name, label, fixed }: { name: string; label: string; fixed: boolean }) {
  const t = useT();
  const [editing, setEditing] = useState(false);
  if (!editing) {
    return (
      <h2 title={fixed ? undefined : t("form.rename")} onDoubleClick={() => !fixed && setEditing(true)}>
        {label}
      </h2>
    );
  }
  return (
    <input
      aria-label={t("form.name")}
      defaultValue={name}
      autoFocus
      onFocus={(event) => event.target.select()}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
        if (event.key === "Escape") setEditing(false);
      }}
      onBlur={(event) => {
        setEditing(false);
        if (event.target.value !== name) editDocument("rename", (draft) => renameInput(draft, name, event.target.value));
      }}
    />
  );
}

/** What a sweep tries: choices are ticked, numbers and texts typed. */
function SeveralValues({ field, text, label }: { field: FormField; text: string; label: string }) {
  const t = useT();
  const spec = field.spec as NonNullable<FormField["spec"]>;
  const parsed = sweepAxes().find((axis) => axis.field.name === field.name)?.parsed ?? { values: [], wrong: [] };
  const options = spec.type === "bool" ? ["true", "false"] : spec.choices;
  if (options.length) {
    const ticked = new Set(parsed.values.map(String));
    const toggle = (option: string) => {
      if (!ticked.delete(option)) ticked.add(option);
      setSweep(field.name, options.filter((one) => ticked.has(one)).join(", "));
    };
    return (
      <div className="several-choices" role="group" aria-label={label}>
        {options.map((option) => (
          <button key={option} type="button" aria-pressed={ticked.has(option)} onClick={() => toggle(option)}>
            {said(option)}
          </button>
        ))}
      </div>
    );
  }
  const lines = spec.type === "str";
  return (
    <div className="several-values">
      <textarea rows={lines ? 4 : 1} aria-label={label} value={text} autoFocus onChange={(event) => setSweep(field.name, event.target.value)} />
      {parsed.wrong.length > 0 ? (
        <p className="warning" role="alert">
          {t("sweep.wrong", { text: parsed.wrong.join(", ") })}
        </p>
      ) : (
        <small>{`${t("sweep.values", { count: parsed.values.length })} · ${t(lines ? "sweep.hint.lines" : "sweep.hint.numbers")}`}</small>
      )}
    </div>
  );
}

/** What the newest run made: the outputs of the workflow in their order, or every image where it names none. */
function Results({ tab }: { tab: Tab }) {
  const t = useT();
  const results = useResults((state) => state.results);
  const current = useApp((state) => (tab.run ? state.runs[tab.run] : undefined));
  const part = useApp((state) => progressOf(state.runNodes[tab.run ?? ""]));
  const prefix = resultKey(tab.id, "");
  const own = Object.entries(results).filter(([key]) => key.startsWith(prefix));
  const live = own.find(([, result]) => result.live)?.[1].live;
  const filesOf = (node: string) => own.filter(([key]) => key === prefix + node || key.startsWith(`${prefix}${node}/`)).flatMap(([, result]) => result.kept ?? result.files);
  const outputs = tab.document.outputs ?? [];
  const groups: { name: string; files: NodeFile[]; values: unknown[] }[] = outputs.length
    ? outputs.map((output) => ({
        name: output.name,
        files: filesOf(splitPort(output.from).node),
        values: (current?.outputs[output.name] ?? []).flatMap((item) => (item.value === undefined || item.value === null ? [] : [item.value])),
      }))
    : [{ name: "", files: own.flatMap(([, result]) => result.kept ?? result.files), values: [] }];
  const media = useApp((state) => state.catalogue.media);
  const isImage = (file: NodeFile) => media.view(file.media_type) === "image";
  const images = groups.flatMap((group) => group.files.filter(isImage).map((file) => blobUrl(file.digest)));
  const active = current !== undefined && isActive(current);
  if (!live && !active && !groups.some((group) => group.values.length || group.files.length)) {
    return tab.batch ? null : <p className="hint form-nothing">{t("form.noResults")}</p>;
  }
  return (
    <div className="form-images">
      {active && <progress max={1} value={part} aria-label={t("status.running")} />}
      {live && <img className="live" src={reached(live)} alt="" />}
      {groups.map((group) => (
        <div key={group.name} className="form-group">
          {groups.length > 1 && <h3>{saidName(group.name)}</h3>}
          {group.values.map((value, index) => (
            <pre key={index}>{valueText(value)}</pre>
          ))}
          {group.files
            .filter(isImage)
            .map((file) => {
              const source = blobUrl(file.digest);
              return (
                <button key={file.digest} type="button" className="plain" data-result={file.name} aria-label={file.name} onClick={() => useApp.setState({ overlay: { kind: "viewer", images, index: images.indexOf(source) } })}>
                  <img src={reached(source)} alt={file.name} />
                </button>
              );
            })}
          {group.files
            .filter((file) => !isImage(file))
            .map((file) => (
              <div key={file.digest} data-result={file.name}>
                <MediaResult file={mediaFile(file)} />
              </div>
            ))}
        </div>
      ))}
    </div>
  );
}
