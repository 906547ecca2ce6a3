import { useT } from "../i18n";
import { applyPreset, presetsOf } from "../state/presets";
import { useApp } from "../state/store";

/** The presets of a node's type, to be applied to it. */
export function PresetList({ id, type }: { id: string; type: string }) {
  const t = useT();
  const presets = presetsOf(useApp((state) => state.presets), type);
  if (!presets.length) return null;
  return (
    <div className="chips" role="group" aria-label={t("presets.label")}>
      <small>{t("presets.label")}</small>
      {presets.map((preset) => (
        <button key={preset.id} type="button" className="chip" data-preset={preset.name} onClick={() => applyPreset(preset, [id])}>
          {preset.name}
          {preset.standard && " ★"}
        </button>
      ))}
    </div>
  );
}
