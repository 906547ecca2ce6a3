/** Keys of the user's own: who has them already, and which are no one's to give. */

import { setPreference, useApp } from "../state/store";
import { MAC, sameKeys } from "../ui/keyNames";
import { type Command, commands, keysOf } from "./commands";

/** Why a command cannot have keys. */
export type Refusal = "browser" | "clipboard" | "moves" | "typing";

/** What browsers do with these, whatever a page says, or what their users need at all times: tabs, windows, reload, tools. */
const BROWSERS = ["$mod+n", "$mod+t", "$mod+w", "$mod+q", "$mod+r", "$mod+l", "$mod+Shift+n", "$mod+Shift+t", "$mod+Shift+w", "$mod+Shift+q", "$mod+Shift+r", "$mod+Shift+i", "$mod+Shift+j", "$mod+Tab", "$mod+Shift+Tab", "Control+Tab", "$mod+PageUp", "$mod+PageDown", "Alt+F4", "F5", "$mod+F5", "F11", "F12", ...(MAC ? ["$mod+h", "$mod+m", "$mod+`"] : [])];
const CLIPBOARD = ["$mod+c", "$mod+x", "$mod+v"];
/** They move what is selected, walk through the page, press buttons and leave things. */
const MOVES = ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Shift+ArrowUp", "Shift+ArrowDown", "Shift+ArrowLeft", "Shift+ArrowRight", "Tab", "Shift+Tab", "Enter", "Escape", "Space"];

const among = (list: readonly string[], keys: string) => list.some((one) => sameKeys(one, keys));

export function refusal({ inText }: Command, keys: string): Refusal | undefined {
  if (among(BROWSERS, keys)) return "browser";
  if (among(CLIPBOARD, keys)) return "clipboard";
  if (among(MOVES, keys)) return "moves";
  // It works while a text is typed: a letter alone would run it then.
  if (inText && !/(\$mod|Control|Meta|Alt)\+|^(Shift\+)?F\d+$/.test(keys)) return "typing";
  return undefined;
}

/** The other commands that have these keys. */
export const holders = (id: string, keys: string): Command[] => commands.filter((command) => command.id !== id && keysOf(command).some((own) => sameKeys(own, keys)));

/** Gives keys to a command, and takes them from those that have them. */
export function setKeys(id: string, keys: string): void {
  const ownKeys = { ...useApp.getState().preferences.ownKeys, [id]: [keys] };
  for (const command of holders(id, keys)) ownKeys[command.id] = keysOf(command).filter((own) => !sameKeys(own, keys));
  setPreference({ ownKeys });
}

export const takeKeys = (id: string): void => setPreference({ ownKeys: { ...useApp.getState().preferences.ownKeys, [id]: [] } });

/** Back to the keys of the preset; those that another command has by now stay with that one. */
export function resetKeys(id: string): void {
  const { [id]: _, ...ownKeys } = useApp.getState().preferences.ownKeys;
  setPreference({ ownKeys });
  const command = commands.find((one) => one.id === id);
  if (!command) return;
  const left = keysOf(command).filter((keys) => !holders(id, keys).some((other) => other.id in ownKeys));
  if (left.length < keysOf(command).length) setPreference({ ownKeys: { ...ownKeys, [id]: left } });
}

export const resetAllKeys = (): void => setPreference({ ownKeys: {} });
