import { type TextKey, useT } from "../i18n";
import type { Preferences } from "../state/preferences";
import { useApp } from "../state/store";
import { setPreference } from "../commands/commands";
import { Sheet } from "../ui/Sheet";

export function Settings({ onClose }: { onClose: () => void }) {
  const t = useT();
  const preferences = useApp((state) => state.preferences);
  const choice = <K extends keyof Preferences>(key: K, title: TextKey, options: [Preferences[K] & string, string][]) => (
    <label className="setting">
      <span>{t(title)}</span>
      <select value={String(preferences[key])} onChange={(event) => setPreference({ [key]: event.target.value } as Partial<Preferences>)}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
  const toggle = (key: "snap" | "minimap" | "farView", title: TextKey) => (
    <label className="setting">
      <span>{t(title)}</span>
      <input type="checkbox" checked={preferences[key]} onChange={(event) => setPreference({ [key]: event.target.checked })} />
    </label>
  );
  return (
    <Sheet title={t("settings.title")} onClose={onClose}>
      {choice("theme", "settings.theme", [
        ["system", t("settings.theme.system")],
        ["dark", t("settings.theme.dark")],
        ["light", t("settings.theme.light")],
      ])}
      {choice("language", "settings.language", [
        ["system", t("settings.language.system")],
        ["en", "English"],
        ["zh", "简体中文"],
      ])}
      {choice("leftDrag", "settings.leftDrag", [
        ["select", t("settings.leftDrag.select")],
        ["pan", t("settings.leftDrag.pan")],
      ])}
      {toggle("snap", "settings.snap")}
      {toggle("minimap", "settings.minimap")}
      {toggle("farView", "settings.farView")}
    </Sheet>
  );
}
