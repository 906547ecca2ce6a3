/** Keys and gestures that people have in their hands from elsewhere. One row a program; what is not in it is as in `commands.ts`. */

import type { Preferences } from "../state/preferences";

interface KeyPreset {
  /** A program's own name, which is the same in all languages. */
  name: string;
  leftDrag: Preferences["leftDrag"];
  keys: Readonly<Record<string, readonly string[]>>;
}

export const KEY_PRESETS: Readonly<Record<Preferences["keys"], KeyPreset>> = {
  safelight: { name: "Safelight", leftDrag: "select", keys: {} },
  comfyui: { name: "ComfyUI", leftDrag: "pan", keys: { templates: ["w"], nodes: ["n"], models: ["m"], note: [], mute: ["$mod+m"] } },
  // What Blender's node editor calls mute lets through what comes in: that is bypass here.
  blender: {
    name: "Blender",
    leftDrag: "select",
    keys: {
      add: ["Shift+a"],
      selectAll: ["a", "$mod+a"],
      // Alt+A selects nothing there; here Escape does, which also leaves what one is in.
      alignLeft: [],
      delete: ["x", "Delete", "Backspace"],
      duplicate: ["Shift+d"],
      bypass: ["m", "$mod+b"],
      mute: ["$mod+m"],
      collapse: ["h"],
      help: ["i"],
      connect: ["f"],
      fit: ["."],
      frame: ["$mod+j"],
      subgraph: ["$mod+g"],
      enter: ["Tab", "Enter"],
      leave: ["Tab", "$mod+ArrowUp"],
      nodes: ["n", "b"],
      note: ["Shift+n"],
      palette: ["F3", "$mod+k"],
    },
  },
};
