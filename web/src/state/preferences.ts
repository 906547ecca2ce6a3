/** What the user prefers, kept in this browser. */

import type { WireStyle } from "../graph";

/** Each is a set of variables in `styles/themes.css`. */
export const THEMES = ["dark", "light", "midnight", "paper", "contrast"] as const;
export type Theme = (typeof THEMES)[number];

export interface Preferences {
  theme: "system" | Theme;
  /** The id of a language, or "system". */
  language: string;
  snap: boolean;
  minimap: boolean;
  /** What dragging on the empty canvas with the left button does. */
  leftDrag: "select" | "pan";
  /** Whose keys, and what the left button does: our own, or those that people from elsewhere have in their hands (commands/keyPresets.ts). */
  keys: "safelight" | "comfyui" | "blender";
  /** Keys of the user's own by command, in the place of those; an empty list: none. */
  ownKeys: Record<string, readonly string[]>;
  /** How wires are drawn; hidden ones show at what is selected or pointed at. */
  wires: WireStyle | "hidden";
  /** Links between the same two nodes run side by side. */
  bundles: boolean;
  farView: boolean;
  /** Folders of saved workflows that are shut in the list. */
  shutFolders: string[];
  /** The tour was neither taken nor refused yet. */
  offerTour: boolean;
  /** The strip of what the runs made. */
  feed: boolean;
  /** What is known of an image stands beside it in the viewer. */
  viewerDetails: boolean;
}

/** The shape of wires; hidden ones are curved where they show. */
export const wireStyle = (wires: Preferences["wires"]): WireStyle => (wires === "hidden" ? "curved" : wires);

const KEY = "safelight.preferences";

const defaults: Preferences = {
  theme: "system",
  language: "system",
  snap: false,
  minimap: true,
  leftDrag: "select",
  keys: "safelight",
  ownKeys: {},
  wires: "curved",
  bundles: false,
  farView: true,
  shutFolders: [],
  offerTour: true,
  feed: false,
  viewerDetails: true,
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
