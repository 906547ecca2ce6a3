/** What the user prefers, kept in this browser. */

export interface Preferences {
  theme: "system" | "dark" | "light";
  language: "system" | "en" | "zh";
  snap: boolean;
  minimap: boolean;
  /** What dragging on the empty canvas with the left button does. */
  leftDrag: "select" | "pan";
  farView: boolean;
  randomSeeds: boolean;
}

const KEY = "safelight.preferences";

const defaults: Preferences = {
  theme: "system",
  language: "system",
  snap: false,
  minimap: true,
  leftDrag: "select",
  farView: true,
  randomSeeds: false,
};

export function load(): Preferences {
  try {
    return { ...defaults, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Preferences>) };
  } catch {
    return { ...defaults }; // a private window, or a damaged entry
  }
}

export function save(preferences: Preferences): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // Storage is full or forbidden: the preferences last as long as the page.
  }
}
