/** The models of this machine: found by name, kind and family, looked at, dragged in; and those that are being fetched. */

import { useEffect, useMemo, useState } from "react";
import { reached } from "../api/base";
import type { DownloadInfo, MissingModel, ModelInfo } from "../api/types";
import { freePlace } from "../canvas/place";
import { copyAndTell } from "../commands/clipboard";
import { saidName, useT } from "../i18n";
import { problemLine } from "../i18n/problems";
import { addModel, DRAG_MODEL } from "../state/files";
import { askMissing, chooseModel, fetchModel, hostOf, isGoing, portFor, refreshDownloads, steerDownload } from "../state/models";
import { tabOf, useApp } from "../state/store";
import { bytes } from "../ui/files";
import { rank } from "../ui/fuzzy";
import { Icon } from "../ui/icons";

export function Models() {
  const t = useT();
  const models = useApp((state) => state.models);
  const [query, setQuery] = useState("");
  const [kind, setKind] = useState("");
  const [family, setFamily] = useState("");
  const [open, setOpen] = useState("");
  const found = useMemo(() => {
    const fitting = models.filter((model) => (!kind || model.kind === kind) && (!family || model.family === family));
    const all = fitting.map((model) => ({ model, title: model.title || model.name, also: [model.name, model.family, model.kind, ...model.triggers].join(" ") }));
    return query.trim() ? rank(all, query) : all;
  }, [models, query, kind, family]);
  return (
    <>
      <input type="search" className="filter" placeholder={t("model.search")} aria-label={t("model.search")} value={query} onChange={(event) => setQuery(event.target.value)} />
      <div className="filters">
        <Filter label={t("models.anyKind")} value={kind} choose={setKind} options={models.map((model) => model.kind)} />
        <Filter label={t("models.anyFamily")} value={family} choose={setFamily} options={models.map((model) => model.family)} />
      </div>
      <div className="scroll models">
        <Missing />
        <Downloads />
        <p className="hint">{t("models.hint")}</p>
        {!found.length && <p className="hint">{t("models.none")}</p>}
        <ul>
          {found.map(({ model }) => (
            <Card key={`${model.place}:${model.name}`} model={model} open={open === model.name} toggle={() => setOpen(open === model.name ? "" : model.name)} />
          ))}
        </ul>
      </div>
    </>
  );
}

function Filter({ label, value, choose, options }: { label: string; value: string; choose: (value: string) => void; options: string[] }) {
  const there = [...new Set(options)].filter(Boolean).sort();
  return (
    <select aria-label={label} value={value} onChange={(event) => choose(event.target.value)}>
      <option value="">{label}</option>
      {there.map((option) => (
        <option key={option} value={option}>
          {saidName(option)}
        </option>
      ))}
    </select>
  );
}

function Card({ model, open, toggle }: { model: ModelInfo; open: boolean; toggle: () => void }) {
  const t = useT();
  // Drawn again when something else is selected: the model may be for that node.
  useApp((state) => tabOf(state).selection);
  const place = portFor(model);
  const title = model.title || model.name;
  const about = [model.family, saidName(model.kind), model.precision, model.size ? bytes(model.size) : ""].filter(Boolean).join(" · ");
  return (
    <li className={model.problem ? "doubtful" : ""}>
      <button
        type="button"
        className="model-card"
        data-model={model.name}
        aria-expanded={open}
        draggable
        onDragStart={(event) => event.dataTransfer.setData(DRAG_MODEL, JSON.stringify({ name: model.name, kind: model.kind }))}
        onClick={toggle}
        onDoubleClick={() => addModel(model, freePlace())}
      >
        {model.preview ? <img src={reached(model.preview)} alt="" loading="lazy" draggable={false} /> : <Icon name="models" />}
        <span>
          <strong>{title}</strong>
          <small>{model.problem ? t("models.unusable") : about}</small>
        </span>
      </button>
      {open && (
        <div className="model-facts">
          {model.problem && <p role="note">{problemLine(model.problem)}</p>}
          {model.triggers.length > 0 && (
            <p>
              {t("models.triggers")}
              {model.triggers.map((word) => (
                <button key={word} type="button" className="chip" title={t("command.copy")} onClick={() => void copyAndTell(word)}>
                  {word}
                </button>
              ))}
            </p>
          )}
          <dl>
            {title !== model.name && <Fact name={t("models.name")} value={model.name} />}
            <Fact name={t("models.licence")} value={model.licence} />
            <Fact name={t("models.source")} value={model.source} />
            <Fact name="SHA-256" value={model.sha256} />
          </dl>
          <div className="buttons">
            <button type="button" onClick={() => addModel(model, freePlace())}>
              {t("models.add")}
            </button>
            {place && (
              <button type="button" onClick={() => chooseModel(model)}>
                {t("models.use", { node: place.title })}
              </button>
            )}
          </div>
        </div>
      )}
    </li>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  if (!value) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{value.startsWith("https://") ? <a href={value} target="_blank" rel="noreferrer">{value}</a> : value}</dd>
    </>
  );
}

/** What the workflow on screen names and this machine lacks. */
function Missing() {
  const t = useT();
  // They are new when a document was checked, which waits until nobody types.
  const problems = useApp((state) => tabOf(state).problems);
  const models = useApp((state) => state.models);
  const [lacking, setLacking] = useState<MissingModel[]>([]);
  useEffect(() => {
    let stale = false;
    askMissing().then((list) => !stale && setLacking(list), () => undefined);
    return () => {
      stale = true;
    };
  }, [problems, models]);
  const going = useApp((state) => state.downloads);
  if (!lacking.length) return null;
  return (
    <section className="models-missing">
      <h3>{t("missing.title")}</h3>
      <ul>
        {lacking.map((one) => (
          <li key={one.name} data-lacking={one.name}>
            <strong>{one.name}</strong>
            <span>{problemLine(one.problem)}</span>
            {one.url && (
              <button type="button" disabled={going.some((download) => download.url === one.url && isGoing(download))} onClick={() => void fetchModel(one)}>
                {t("models.fetch", { size: one.size ? bytes(one.size) : "", host: hostOf(one.url) || one.url })}
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Downloads() {
  const t = useT();
  const downloads = useApp((state) => state.downloads);
  const [url, setUrl] = useState("");
  // What was told of them while the panel was shut, or the server away, is caught up with.
  const online = useApp((state) => state.connection === "online");
  useEffect(() => {
    if (online) void refreshDownloads().catch(() => undefined);
  }, [online]);
  const order = async () => {
    if (url.trim() && (await fetchModel({ url: url.trim(), folder: "", sha256: "", size: 0 }))) setUrl("");
  };
  return (
    <section className="downloads">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void order();
        }}
      >
        <input aria-label={t("models.address")} placeholder={t("models.address")} value={url} onChange={(event) => setUrl(event.target.value)} />
        <button type="submit" disabled={!url.trim()}>
          {t("models.download")}
        </button>
      </form>
      <ul>
        {downloads.map((download) => (
          <Download key={download.id} download={download} />
        ))}
      </ul>
    </section>
  );
}

function Download({ download }: { download: DownloadInfo }) {
  const t = useT();
  const { id, status, url, done, total, rate, problem } = download;
  const name = download.name || (url.split("/").pop() ?? url);
  const far = total ? `${bytes(done)} / ${bytes(total)}` : bytes(done);
  return (
    <li data-download={id} data-status={status}>
      <strong title={url}>{name}</strong>
      {isGoing(download) && <progress value={total ? done : undefined} max={total || undefined} aria-label={name} />}
      <small>{problem ? problemLine(problem) : status === "done" ? t("models.fetched") : [far, rate && status === "running" ? `${bytes(rate)}/s` : "", status === "paused" ? t("queue.paused") : ""].filter(Boolean).join(" · ")}</small>
      <div className="buttons">
        {isGoing(download) && <button type="button" onClick={() => void steerDownload(id, "pause")}>{t("models.pause")}</button>}
        {(status === "paused" || status === "failed") && <button type="button" onClick={() => void steerDownload(id, "resume")}>{t("models.resume")}</button>}
        <button type="button" onClick={() => void steerDownload(id, "remove")}>{t(status === "done" ? "queue.remove" : "cancel")}</button>
      </div>
    </li>
  );
}
