/** Keys as they are printed on the keyboard in front of the user: on a Mac by its signs, elsewhere by their names. */

export const MAC = navigator.platform.startsWith("Mac");

const ARROWS: Record<string, string> = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→" };
const NAMES: Record<string, string> = MAC
  ? { ...ARROWS, $mod: "⌘", Meta: "⌘", Control: "⌃", Alt: "⌥", Shift: "⇧", Enter: "↩", Tab: "⇥", Backspace: "⌫", Delete: "⌦", Escape: "esc" }
  : { ...ARROWS, $mod: "Ctrl", Control: "Ctrl", Escape: "Esc" };

/** `$mod+Shift+z` as Ctrl+Shift+Z or ⌘⇧Z, `Shift+Digit1` as Shift+1. */
export function readable(keys: string): string {
  return keys
    .split(/\+(?!$)/)
    .map((part) => NAMES[part] ?? part.replace(/^(Digit|Key)(?=.$)/, ""))
    .map((part) => (part.length === 1 ? part.toUpperCase() : part))
    .join(MAC ? "" : "+");
}

/** A key press as the table writes it; undefined for a modifier alone, and for what no key of the table can be. */
export function keysFrom(event: KeyboardEvent, mac = MAC): string | undefined {
  if (["Control", "Shift", "Alt", "Meta", "AltGraph", "CapsLock", "Process", "Unidentified"].includes(event.key) || event.isComposing || event.getModifierState("AltGraph")) return undefined;
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1]?.toLowerCase();
  const digit = /^Digit\d$/.test(event.code);
  let key = event.key;
  if (key === " ") key = "Space";
  else if (letter && (event.altKey || /^[a-z]$/i.test(key))) key = event.altKey ? letter : key.toLowerCase();
  else if (digit && (event.shiftKey || event.altKey)) key = event.code;
  // Letters of other alphabets, and accents that wait for theirs, go by the place of the key.
  else if (key === "Dead" || (key.length === 1 && key.charCodeAt(0) > 126)) key = event.code;
  const sign = key.length === 1 && !/[a-z0-9.]/i.test(key);
  const command = mac ? event.metaKey : event.ctrlKey;
  const other = mac ? event.ctrlKey : event.metaKey;
  return [command && "$mod", other && (mac ? "Control" : "Meta"), event.altKey && "Alt", event.shiftKey && !sign && "Shift", key].filter(Boolean).join("+");
}

/** The same keys, in whatever order they are written. */
export function sameKeys(one: string, other: string): boolean {
  const parts = (keys: string) => keys.toLowerCase().split(/\+(?!$)/).sort().join(" ");
  return parts(one) === parts(other);
}
