import { KEY_PRESETS } from "../commands/keyPresets";
import { LANGUAGES, type TextKey, useT } from "../i18n";
import { type Preferences, THEMES } from "../state/preferences";
import { setPreference, useApp } from "../state/store";
import { Sheet } from "../ui/Sheet";

export function Settings({ onClose }: { onClose: () => void }) {
  const t = useT();
  const preferences = useApp((state) => state.preferences);
  const choice = <K extends keyof Preferences>(key: K, title: TextKey, options: [Preferences[K] & string, string][]) => (
    <label className="setting">
      <span>{t(title)}</span>
      <select data-setting={key} value={String(preferences[key])} onChange={(event) => setPreference({ [key]: event.target.value } as Partial<Preferences>)}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
  const toggle = (key: "bundles" | "snap" | "minimap" | "farView", title: TextKey) => (
    <label className="setting">
      <span>{t(title)}</span>
      <input type="checkbox" data-setting={key} checked={preferences[key]} onChange={(event) => setPreference({ [key]: event.target.checked })} />
    </label>
  );
  return (
    <Sheet title={t("settings.title")} onClose={onClose}>
      {choice("theme", "settings.theme", [
        ["system", t("settings.theme.system")],
        ...THEMES.map((theme): [typeof theme, string] => [theme, t(`settings.theme.${theme}`)]),
      ])}
      {choice("language", "settings.language", [
        ["system", t("settings.language.system")],
        ...LANGUAGES.map(({ id, name }): [string, string] => [id, name]),
      ])}
      <label className="setting">
        <span>{t("settings.keys")}</span>
        <select
          data-setting="keys"
          value={preferences.keys}
          onChange={({ target }) => {
            const keys = target.value as Preferences["keys"];
            setPreference({ keys, leftDrag: KEY_PRESETS[keys].leftDrag });
          }}
        >
          {Object.entries(KEY_PRESETS).map(([id, { name }]) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {choice("leftDrag", "settings.leftDrag", [
        ["select", t("settings.leftDrag.select")],
        ["pan", t("settings.leftDrag.pan")],
      ])}
      {choice("wires", "settings.wires", [
        ["curved", t("settings.wires.curved")],
        ["straight", t("settings.wires.straight")],
        ["angled", t("settings.wires.angled")],
        ["hidden", t("settings.wires.hidden")],
      ])}
      {toggle("bundles", "settings.bundles")}
      {toggle("snap", "settings.snap")}
      {toggle("minimap", "settings.minimap")}
      {toggle("farView", "settings.farView")}
    </Sheet>
  );
}
