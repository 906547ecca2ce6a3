/** Two images are compared that were chosen one after the other, wherever they are shown: in a node, the feed, the gallery, the viewer. */

import { useApp } from "./store";

/** The first is chosen; the next image that is clicked is the second. */
export function startComparing(url: string): void {
  useApp.setState({ comparing: url, overlay: null });
}

export const stopComparing = () => useApp.setState({ comparing: null });

/** Whether a click on this image was the choice of the second one. */
export function chooseSecond(url: string): boolean {
  const { comparing } = useApp.getState();
  if (!comparing) return false;
  if (comparing !== url) compareImages(comparing, url);
  return true;
}

export function compareImages(first: string, second: string): void {
  useApp.setState({ comparing: null, overlay: { kind: "viewer", images: [first], index: 0, compare: second } });
}
