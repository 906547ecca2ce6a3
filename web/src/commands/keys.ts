/** Keys to commands, by the table in `commands.ts`. */

import { useApp } from "../state/store";
import { MAC } from "../ui/keyNames";
import { commands, keysOf, nudge, nudges } from "./commands";

/** Whether an event is the key combination `keys`: `$mod+Shift+z`, `?`, `Shift+Digit1`. */
export function matches(event: KeyboardEvent, keys: string): boolean {
  const parts = keys.split(/\+(?!$)/);
  const key = parts.pop() as string;
  const has = (name: string) => parts.includes(name);
  const control = has("Control") || (has("$mod") && !MAC);
  const meta = has("Meta") || (has("$mod") && MAC);
  if (event.ctrlKey !== control || event.metaKey !== meta || event.altKey !== has("Alt")) return false;
  // A sign such as ? or + needs Shift on some keyboards and not on others.
  const sign = key.length === 1 && !/[a-z0-9.]/i.test(key);
  if (!sign && event.shiftKey !== has("Shift")) return false;
  return event.key.toLowerCase() === key.toLowerCase() || event.code === key || (event.altKey && event.code === `Key${key.toUpperCase()}`);
}

export function startKeys(): () => void {
  // Whoever came to the canvas by Tab goes on by Tab; whoever clicked on it adds a node.
  let reached = false;
  let tabbing = false;
  const arrive = (event: FocusEvent) => (reached = tabbing && (event.target as HTMLElement).id === "canvas");
  const point = () => (reached = tabbing = false);
  const note = (event: KeyboardEvent) => (tabbing = event.key === "Tab");
  window.addEventListener("keydown", note, true);
  window.addEventListener("focusin", arrive);
  window.addEventListener("pointerdown", point, true);
  const press = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    // What is typed into a sheet never reaches the canvas below it, wherever in the sheet the focus is.
    if (event.isComposing || target.closest("dialog, .popup") || document.querySelector("dialog[open]")) return;
    const typing = target.closest("input, textarea, select, [contenteditable]") !== null;
    const inControl = target.closest("[role=slider], [role=spinbutton], button, [role=treeitem], [role=option], a") !== null;
    if (event.key === "Escape" && target.closest(".node")) {
      // Out of the fields of a node, back to the canvas.
      document.getElementById("canvas")?.focus({ preventScroll: true });
      return;
    }
    if (useApp.getState().form && !event.ctrlKey && !event.metaKey && !/^F\d/.test(event.key)) return;
    for (const command of commands) {
      if (!keysOf(command).some((keys) => matches(event, keys))) continue;
      if (command.native) return;
      if (typing && !command.inText) continue;
      // In a field these change what is in it, not the node around it.
      if (target.closest("[data-widget]") && (command.id === "delete" || command.id === "dissolve")) continue;
      if (event.key === "Tab" && reached) continue;
      // Tab walks through the controls of the page; on the canvas itself it adds a node. Enter presses buttons.
      if ((event.key === "Tab" || event.key === "Enter") && !event.ctrlKey && !event.metaKey && !event.altKey) {
        if (inControl || !(target.id === "canvas" || (target === document.body && event.key === "Enter"))) continue;
      }
      if (command.when && !command.when()) continue;
      event.preventDefault();
      // A Tab that did something moves no focus: what the command puts it on was not come to by Tab.
      tabbing = false;
      void command.run();
      return;
    }
    const by = nudges[event.key];
    if (by && !typing && !inControl && !event.ctrlKey && !event.altKey && !event.metaKey && useApp.getState().overlay === null) {
      event.preventDefault();
      const size = event.shiftKey ? 10 : 1;
      nudge(by[0] * size, by[1] * size);
    }
  };
  window.addEventListener("keydown", press);
  return () => {
    window.removeEventListener("keydown", press);
    window.removeEventListener("keydown", note, true);
    window.removeEventListener("focusin", arrive);
    window.removeEventListener("pointerdown", point, true);
  };
}
