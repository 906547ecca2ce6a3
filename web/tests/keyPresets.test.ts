import { afterEach, describe, expect, it } from "vitest";
import { commands, keysOf } from "../src/commands/commands";
import { KEY_PRESETS } from "../src/commands/keyPresets";
import { refusal } from "../src/commands/rebind";
import type { Preferences } from "../src/state/preferences";
import { setPreference } from "../src/state/store";

afterEach(() => setPreference({ keys: "safelight" }));

describe.each(Object.keys(KEY_PRESETS) as Preferences["keys"][])("the keys of %s", (preset) => {
  it("are of commands that there are", () => {
    const ids = commands.map(({ id }) => id);
    expect(Object.keys(KEY_PRESETS[preset].keys).filter((id) => !ids.includes(id))).toEqual([]);
  });

  it("lead to one command, unless the others wait for something", () => {
    setPreference({ keys: preset });
    const owners = new Map<string, { id: string; always: boolean }[]>();
    for (const command of commands) {
      for (const keys of keysOf(command)) {
        const same = keys.toLowerCase();
        owners.set(same, [...(owners.get(same) ?? []), { id: command.id, always: command.when === undefined }]);
      }
    }
    const hidden = [...owners].filter(([, all]) => all.slice(0, -1).some(({ always }) => always));
    expect(hidden).toEqual([]);
  });

  it("are none that a browser keeps", () => {
    const given = commands.filter(({ id }) => id in KEY_PRESETS[preset].keys);
    const kept = given.flatMap((command) => (KEY_PRESETS[preset].keys[command.id] ?? []).filter((keys) => ["browser", "clipboard", "typing"].includes(refusal(command, keys) ?? "")));
    expect(kept).toEqual([]);
  });
});
