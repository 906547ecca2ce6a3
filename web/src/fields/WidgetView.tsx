/** The field of a port: what its widget, as the catalogue describes it, looks like. */

import { useState } from "react";
import { Popup } from "../ui/Popup";
import { type Option, SearchList } from "../ui/SearchList";
import { reached } from "../api/base";
import { thumbnailUrl } from "../api/client";
import { said, t as translate, useT } from "../i18n";
import { errorText } from "../i18n/problems";
import { type InputSpec, lookOf, randomSeed, type SeedMode, setLook } from "../graph";
import { edit, jumpTo, redo, seal, setValue, undo } from "../state/edits";
import { DRAG_IMAGE, DRAG_MODEL, draggedImage, uploadFile, uploadTogether } from "../state/files";
import { acceptLora } from "../state/loras";
import { isKnownModel } from "../state/missing";
import { activeGraph, graphOf, toast, useApp } from "../state/store";
import { isPaintable, paintField } from "../state/painting";
import { openPainting, readPainting } from "../state/paintings";
import { Chevron, Icon } from "../ui/icons";
import { DropZone } from "./DropZone";
import { NumberField } from "./NumberField";
import { TextField } from "./TextField";
import { bytes, pickFiles } from "../ui/files";

const FILES = ["Files", DRAG_IMAGE];
const MODELS = [DRAG_MODEL];

interface Props {
  id: string;
  input: InputSpec;
  /** What the document says; undefined where the default holds. */
  value: unknown;
  label: string;
  invalid?: boolean;
}

export function WidgetView({ id, input, value: given, label, invalid }: Props) {
  const value = given ?? input.default;
  const set = (next: unknown) => setValue(id, input.name, next);
  return (
    <div className={`widget-box${invalid ? " invalid" : ""}`}>
      <Field input={input} value={value} label={label} set={set} id={id} />
    </div>
  );
}

interface FieldProps {
  id: string;
  input: InputSpec;
  value: unknown;
  label: string;
  set: (value: unknown) => void;
}

/** The field alone; the form uses it as well. */
export function Field({ id, input, value, label, set }: FieldProps) {
  const { widget } = input;
  const whole = input.type === "int";
  const help = said(input.help);
  switch (widget?.widget) {
    case "slider":
      return (
        <NumberField label={label} value={value} step={widget.step} min={widget.min} max={widget.max} whole={whole} multipleOf={null} bar help={help} zero={said(widget.zero)} onChange={set} onEnd={seal} />
      );
    case "number":
      return (
        <NumberField
          label={label}
          value={value}
          step={widget.step ?? widget.multiple_of ?? (whole ? 1 : 0.1)}
          min={widget.min}
          max={widget.max}
          whole={whole}
          multipleOf={widget.multiple_of}
          help={help}
          zero={said(widget.zero)}
          onChange={set}
          onEnd={seal}
        />
      );
    case "seed":
      return <SeedField id={id} input={input} value={value} label={label} set={set} />;
    case "text":
      return (
        <TextField
          label={label}
          value={value}
          multiline={widget.multiline}
          prompt={widget.prompt}
          placeholder={said(widget.placeholder)}
          help={help}
          onChange={set}
          onEnd={seal}
          onLora={(text, lora) => acceptLora(id, input.name, text, lora, jumpTo)}
          onUndo={undo}
          onRedo={redo}
        />
      );
    case "toggle":
      return <Toggle label={label} value={value === true} help={help} set={set} />;
    case "choice":
      return <ChoiceField input={input} value={value} label={label} set={set} />;
    case "file":
      return <FileField id={id} input={input} value={value} label={label} set={set} kind={widget.kind} beside={widget.beside} />;
    case "model":
      return <ModelField input={input} value={value} label={label} set={set} kind={widget.kind} />;
    case "color":
      return (
        <label className="field color nodrag" title={help}>
          <span className="label">{label}</span>
          <span className="value">{String(value ?? "")}</span>
          <input type="color" aria-label={label} value={/^#[0-9a-f]{6}$/i.test(String(value)) ? String(value) : "#000000"} onChange={(event) => set(event.target.value)} onBlur={seal} />
        </label>
      );
    case "paint":
      return <PaintField id={id} input={input} value={value} label={label} />;
    case "items":
      return <ItemsField input={input} value={value} label={label} set={set} />;
    default:
      return (
        <div className="field quiet" title={help}>
          <span className="label">{label}</span>
        </div>
      );
  }
}

type Simple = Omit<FieldProps, "id">;

function PaintField({ id, input, value, label }: Omit<FieldProps, "set">) {
  const t = useT();
  const layers = typeof value === "string" && value ? readPainting(value, 1, 1, "").layers : [];
  const marks = layers.reduce((sum, layer) => sum + layer.marks.length, 0);
  return (
    <button type="button" className="field choice nodrag" title={said(input.help)} data-paint={input.name} aria-label={t("painting.open")} onClick={() => openPainting(id, input.name)}>
      <span className="label">{label}</span>
      <span className="value">{marks ? t("painting.count", { marks, layers: layers.length }) : t("painting.empty")}</span>
      <Icon name="brush" />
    </button>
  );
}

function Toggle({ label, value, help, set }: { label: string; value: boolean; help: string; set: (value: boolean) => void }) {
  return (
    <button type="button" className="field toggle nodrag" role="switch" aria-checked={value} aria-label={label} title={help} onClick={() => set(!value)}>
      <span className="label">{label}</span>
      <span className="switch" />
    </button>
  );
}

function Opener({ label, shown, help, children }: { label: string; shown: string; help: string; children: (close: () => void) => React.ReactNode }) {
  const [anchor, setAnchor] = useState<Element | null>(null);
  return (
    <>
      <button type="button" className="field choice nodrag" aria-haspopup="listbox" aria-expanded={anchor !== null} title={help} onClick={(event) => setAnchor(event.currentTarget)}>
        <span className="label">{label}</span>
        <span className="value">{shown}</span>
        <Chevron />
      </button>
      {anchor && (
        <Popup anchor={anchor} onClose={() => setAnchor(null)} label={label}>
          {children(() => setAnchor(null))}
        </Popup>
      )}
    </>
  );
}

function ChoiceField({ input, value, label, set }: Simple) {
  const t = useT();
  return (
    <Opener label={label} shown={said(String(value ?? ""))} help={said(input.help)}>
      {(close) => (
        <SearchList
          options={input.choices.map((choice) => ({ id: choice, title: said(choice), also: choice }))}
          current={String(value)}
          label={label}
          placeholder={t("choice.search")}
          empty={t("search.empty")}
          onClose={close}
          onChoose={(choice) => {
            set(choice);
            close();
          }}
        />
      )}
    </Opener>
  );
}

/** What also serves where a model of a kind is asked for: a whole pipeline holds an autoencoder. */
const TAKES: Record<string, string[]> = { vae: ["vae", "pipeline"] };

function ModelField({ input, value, label, set, kind }: Simple & { kind: string }) {
  const t = useT();
  const all = useApp((state) => state.models);
  const models = kind ? all.filter((model) => (TAKES[kind] ?? [kind]).includes(model.kind)) : all;
  const lost = all.length > 0 && typeof value === "string" && value !== "" && !isKnownModel(value, all);
  const options = models.map((model): Option => ({
    id: model.name,
    title: model.name,
    also: `${model.family} ${model.kind}`,
    detail: [model.family, model.kind, model.size ? bytes(model.size) : ""].filter(Boolean).join(" · "),
  }));
  return (
    <DropZone
      className={lost ? "model-field missing" : "model-field"}
      title={lost ? t("missing.model") : undefined}
      takes={MODELS}
      onTake={(data) => set((JSON.parse(data.getData(DRAG_MODEL)) as { name: string }).name)}
    >
      <Opener label={label} shown={String(value ?? "")} help={said(input.help)}>
        {(close) => (
          <SearchList
            options={options}
            current={String(value)}
            label={label}
            placeholder={t("model.search")}
            empty={t("models.none")}
            onClose={close}
            onText={(text) => {
              set(text);
              close();
            }}
            onChoose={(name) => {
              set(name);
              close();
            }}
          />
        )}
      </Opener>
    </DropZone>
  );
}

const asked = (dragged: Promise<File> | null, files: FileList): (File | Promise<File>)[] => (dragged ? [dragged] : [...files]);

function FileField({ id, input, value, label, set, kind: wanted, beside }: FieldProps & { kind: string; beside: boolean }) {
  const t = useT();
  const paintable = useApp(() => isPaintable(id, input.name, value));
  const kind = wanted === "mask" ? "image" : wanted;
  const files = useApp((state) => state.files);
  // What lies in its folder belongs to it: then several files are taken, into a folder of their own.
  const upload = t(beside ? "file.uploads" : "file.upload");
  const take = async (given: readonly (File | Promise<File>)[], close?: () => void) => {
    try {
      const [file, ...more] = await Promise.all(given);
      if (!file) return;
      set(beside ? await uploadTogether([file, ...more]) : (await uploadFile(file)).file.name);
      close?.();
    } catch (error) {
      toast(translate("file.failed", { message: errorText(error) }), "error");
    }
  };
  const media = useApp((state) => state.catalogue.media);
  const fitting = files.filter((file) => media.fits(kind, file.media_type));
  return (
    <DropZone
      className="file-field"
      takes={FILES}
      onTake={(data) => void take(asked(draggedImage(data), data.files))}
    >
      <Opener label={label} shown={String(value || t("file.none"))} help={said(input.help)}>
        {(close) => (
          <div className="files">
            <label className="upload button">
              {upload}
              <input type="file" multiple={beside} accept={media.accept(kind)} onChange={(event) => void take([...(event.target.files ?? [])], close)} />
            </label>
            <SearchList
              options={fitting.map((file) => ({
                id: file.name,
                title: file.name,
                aside: file.digest && file.thumbnail ? <img src={reached(thumbnailUrl(file.digest, 64))} alt="" /> : null,
              }))}
              current={String(value)}
              label={label}
              placeholder={t("file.search")}
              empty={t("search.empty")}
              onClose={close}
              onChoose={(name) => {
                set(name);
                close();
              }}
            />
          </div>
        )}
      </Opener>
      {paintable && (
        <button type="button" className="icon nodrag" aria-label={t("painter.open")} title={t("painter.open")} onClick={() => paintField(id, input.name)}>
          <Icon name="brush" />
        </button>
      )}
      <button type="button" className="icon nodrag" aria-label={upload} title={upload} onClick={() => pickFiles(media.accept(kind), beside, (files) => void take(files))}>
        <svg viewBox="0 0 16 16" width="14" height="14" fill="none" stroke="currentColor" strokeWidth="1.4" aria-hidden="true">
          <path d="M8 10.5V2.5M5 5.5l3-3 3 3M2.5 10v3.5h11V10" />
        </svg>
      </button>
    </DropZone>
  );
}

const SEED_MODES: SeedMode[] = ["fixed", "random", "step"];
const SEED_SIGNS: Record<SeedMode, React.ReactNode> = {
  fixed: <path d="M4 7V5a3.5 3.5 0 0 1 7 0v2M3 7h9v6.5H3Z" />,
  random: <path d="M1.5 4.5h2.2l6 7h3.5m-2-2 2 2-2 2M1.5 11.5h2.2l1.9-2.2m2.2-2.6 1.9-2.2h3.5m-2-2 2 2-2 2" />,
  step: <path d="M1.5 8h6m-3-3v6M10 6l2.2-1.6V12" />,
};

function SeedField({ id, input, value, label, set }: FieldProps) {
  const t = useT();
  const mode = useApp((state) => lookOf(graphOf(state), id).seeds?.[input.name] ?? "fixed");
  const turn = () => {
    const next = SEED_MODES[(SEED_MODES.indexOf(mode) + 1) % SEED_MODES.length] as SeedMode;
    const { [input.name]: _, ...rest } = lookOf(activeGraph(), id).seeds ?? {};
    const seeds = next === "fixed" ? rest : { ...rest, [input.name]: next };
    edit("seed", ({ graph }) => setLook(graph, [id], { seeds: Object.keys(seeds).length ? seeds : undefined }));
  };
  return (
    <div className="seed-field">
      <NumberField label={label} value={value} step={1} min={0} max={null} whole multipleOf={null} help={said(input.help)} onChange={set} onEnd={seal} />
      <button type="button" className="icon nodrag" aria-label={t("seed.roll")} title={t("seed.roll")} onClick={() => set(randomSeed())}>
        <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
          <rect x="1.5" y="1.5" width="13" height="13" rx="3" fill="none" stroke="currentColor" strokeWidth="1.4" />
          <circle cx="5" cy="5" r="1.3" fill="currentColor" />
          <circle cx="11" cy="5" r="1.3" fill="currentColor" />
          <circle cx="8" cy="8" r="1.3" fill="currentColor" />
          <circle cx="5" cy="11" r="1.3" fill="currentColor" />
          <circle cx="11" cy="11" r="1.3" fill="currentColor" />
        </svg>
      </button>
      <button type="button" className={`icon nodrag mode-${mode}`} aria-label={t(`seed.${mode}`)} title={t(`seed.${mode}`)} onClick={turn}>
        <svg viewBox="0 0 15 16" width="14" height="14" fill="none" stroke="currentColor" strokeWidth="1.4" aria-hidden="true">
          {SEED_SIGNS[mode]}
        </svg>
      </button>
    </div>
  );
}

function ItemsField({ input, value, label, set }: Simple) {
  const t = useT();
  const list = Array.isArray(value) ? value : [];
  const shown = list.map(String).join(", ");
  const [typing, setTyping] = useState<string | null>(null);
  const commit = () => {
    if (typing === null) return;
    const parts = typing.split(input.type === "list[str]" ? /\n/ : /[\s,;]+/).map((part) => part.trim()).filter(Boolean);
    set(input.type === "list[str]" ? parts : input.type === "list[bool]" ? parts.map((part) => part === "true") : parts.map(Number).filter(Number.isFinite));
    setTyping(null);
    seal();
  };
  return (
    <div className="field text multiline" title={said(input.help) || t("items.help")}>
      <textarea
        className="nodrag"
        aria-label={label}
        placeholder={`${label}: ${t("items.help")}`}
        value={typing ?? (input.type === "list[str]" ? list.map(String).join("\n") : shown)}
        onChange={(event) => setTyping(event.target.value)}
        onBlur={commit}
      />
    </div>
  );
}
