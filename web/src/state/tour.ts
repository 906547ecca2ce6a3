/** Five steps that show how to work here: offered once, on the first visit, and found again in the help. */

import { openTemplate } from "./documents";
import { activeGraph, setPreference, useApp } from "./store";

export const TOUR = ["node", "link", "run", "cache", "share"] as const;
export type TourStep = (typeof TOUR)[number];

/** Begins it, on the simplest template where the canvas is empty: the steps point at what is there. */
export async function startTour(): Promise<void> {
  endOffer();
  if (!Object.keys(activeGraph().nodes).length) await openTemplate("text_to_image");
  useApp.setState({ overlay: null, panel: null, form: false, tour: 0 });
}

export function endTour(): void {
  useApp.setState({ tour: null });
  document.querySelector<HTMLElement>("#canvas")?.focus();
}

/** Whatever the answer is, it is not offered again. */
export function endOffer(): void {
  setPreference({ offerTour: false });
}
