import { useState } from "react";
import type { Preset } from "../api/types";
import { said, saidName, useT, useWords } from "../i18n";
import { saveFile } from "../state/documents";
import { applyPreset, changePreset, fieldsOf, importPresets, keepPreset, presetsOf, presetsText, removePreset } from "../state/presets";
import { activeGraph, useApp } from "../state/store";
import { pickFile } from "../ui/files";
import { Sheet } from "../ui/Sheet";

/** The presets of a type of node: what this node holds is kept as one, and each is applied to it, renamed, deleted. */
export function PresetSheet({ node: id, onClose }: { node: string; onClose: () => void }) {
  const t = useT();
  useWords();
  const [node] = useState(() => activeGraph().nodes[id]);
  const [fields] = useState(() => fieldsOf(id));
  const [chosen, setChosen] = useState(() => new Set(fields.filter((field) => !field.seed).map((field) => field.name)));
  const [name, setName] = useState("");
  const [standard, setStandard] = useState(false);
  const catalogue = useApp((state) => state.catalogue);
  const all = useApp((state) => state.presets);
  const type = node?.type ?? "";
  const presets = presetsOf(all, type);
  const title = said(catalogue.get(type)?.title ?? type);
  const taken = presets.some((preset) => preset.name === name.trim());
  const keep = async () => {
    const values = Object.fromEntries(fields.filter((field) => chosen.has(field.name)).map((field) => [field.name, field.value]));
    const version = node?.version ?? catalogue.get(type)?.version ?? 1;
    if (name.trim() && (await keepPreset({ type, version, name, values, standard }))) setName("");
  };
  const toggle = (field: string) => {
    const next = new Set(chosen);
    if (!next.delete(field)) next.add(field);
    setChosen(next);
  };
  const exported = () => saveFile(URL.createObjectURL(new Blob([presetsText(presets)], { type: "application/json" })), `${type.replace(/[/.]/g, "_")}_presets.json`);
  return (
    <Sheet title={t("presets.title", { name: title })} onClose={onClose} className="presets">
      <form
        className="sheet-form"
        onSubmit={(event) => {
          event.preventDefault();
          void keep();
        }}
      >
        <input aria-label={t("presets.name")} placeholder={t("presets.name")} value={name} maxLength={100} onChange={(event) => setName(event.target.value)} />
        <fieldset className="preset-fields">
          <legend>{t("presets.fields")}</legend>
          {fields.map((field) => (
            <label key={field.name}>
              <input type="checkbox" checked={chosen.has(field.name)} onChange={() => toggle(field.name)} />
              <span>{saidName(field.name)}</span>
              <small>{shown(field.value)}</small>
            </label>
          ))}
        </fieldset>
        <label className="setting">
          <span>{t("presets.standard")}</span>
          <input type="checkbox" checked={standard} onChange={(event) => setStandard(event.target.checked)} />
        </label>
        {taken && <p className="hint" role="status">{t("presets.replaced", { name: name.trim() })}</p>}
        <div className="buttons">
          <button type="submit" className="primary" disabled={!name.trim() || !chosen.size}>
            {t("command.save")}
          </button>
        </div>
      </form>
      {presets.length > 0 && (
        <ul className="preset-list">
          {presets.map((preset) => (
            <PresetRow key={preset.id} preset={preset} onApply={() => applyPreset(preset, [id])} />
          ))}
        </ul>
      )}
      <div className="buttons">
        <button type="button" disabled={!presets.length} onClick={exported}>
          {t("snippet.export")}
        </button>
        <button type="button" onClick={() => pickFile(".json,application/json", (file) => void importPresets(file))}>
          {t("snippet.import")}
        </button>
      </div>
    </Sheet>
  );
}

function shown(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function PresetRow({ preset, onApply }: { preset: Preset; onApply: () => void }) {
  const t = useT();
  const [renaming, setRenaming] = useState(false);
  const { id, name, values, standard } = preset;
  if (renaming) {
    return (
      <li>
        <input
          autoFocus
          aria-label={t("presets.name")}
          defaultValue={name}
          maxLength={100}
          onFocus={(event) => event.target.select()}
          onBlur={() => setRenaming(false)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" && event.key !== "Escape") return;
            event.preventDefault();
            const text = event.currentTarget.value.trim();
            if (event.key === "Enter" && text && text !== name) void changePreset(id, { name: text });
            setRenaming(false);
          }}
        />
      </li>
    );
  }
  return (
    <li data-preset={name}>
      <button type="button" className="preset-apply" onClick={onApply}>
        <strong>{name}</strong>
        <small>{Object.entries(values).map(([port, value]) => `${saidName(port)}: ${shown(value)}`).join(" · ")}</small>
      </button>
      <button type="button" className="icon" aria-pressed={standard} aria-label={t("presets.standardOf", { name })} title={t("presets.standard")} onClick={() => void changePreset(id, { standard: !standard })}>
        {standard ? "★" : "☆"}
      </button>
      <button type="button" className="icon" aria-label={`${t("command.rename")}: ${name}`} title={t("command.rename")} onClick={() => setRenaming(true)}>
        ✎
      </button>
      <button type="button" className="icon" aria-label={`${t("command.delete")}: ${name}`} title={t("command.delete")} onClick={() => void removePreset(preset)}>
        ✕
      </button>
    </li>
  );
}
