import { describe, expect, it } from "vitest";
import { keysFrom, readable, sameKeys } from "../src/ui/keyNames";

/** A key press: what it gives, where the key lies, and what is held down, such as "cs" for Ctrl and Shift. */
function press(key: string, code: string, held = ""): KeyboardEvent {
  const has = (mark: string) => held.includes(mark);
  return { key, code, ctrlKey: has("c"), metaKey: has("m"), altKey: has("a"), shiftKey: has("s"), isComposing: false, getModifierState: (name: string) => name === "AltGraph" && has("g") } as unknown as KeyboardEvent;
}

describe("a key press as the table of commands writes it", () => {
  it.each([
    ["g", "KeyG", "", "g"],
    ["G", "KeyG", "s", "Shift+g"],
    ["k", "KeyK", "c", "$mod+k"],
    ["K", "KeyK", "cs", "$mod+Shift+k"],
    ["k", "KeyK", "m", "Meta+k"],
    ["?", "Slash", "s", "?"],
    ["!", "Digit1", "s", "Shift+Digit1"],
    ["1", "Digit1", "", "1"],
    ["+", "BracketRight", "c", "$mod++"],
    [" ", "Space", "a", "Alt+Space"],
    ["F4", "F4", "s", "Shift+F4"],
    ["ф", "KeyA", "", "KeyA"],
    ["Dead", "Equal", "", "Equal"],
    // Option writes signs on a Mac.
    ["å", "KeyA", "a", "Alt+a"],
  ])("%s (%s, %s)", (key, code, held, keys) => expect(keysFrom(press(key, code, held), false)).toBe(keys));

  it("has Command for Ctrl on a Mac", () => {
    expect(keysFrom(press("k", "KeyK", "m"), true)).toBe("$mod+k");
    expect(keysFrom(press("k", "KeyK", "c"), true)).toBe("Control+k");
  });

  it.each([press("Shift", "ShiftLeft", "s"), press("Control", "ControlLeft", "c"), press("€", "KeyE", "ag")])("is none for a modifier alone or AltGr", (event) => expect(keysFrom(event, false)).toBeUndefined());

  it("knows the same keys in any order", () => {
    expect(sameKeys("Shift+$mod+z", "$mod+Shift+Z")).toBe(true);
    expect(sameKeys("$mod++", "$mod+Shift++")).toBe(false);
    expect(readable("KeyA")).toBe("A");
  });
});
