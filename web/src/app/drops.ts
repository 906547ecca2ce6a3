/** Files dropped anywhere in the window open here: beside the canvas the browser would leave the page for them. */

import { view } from "../canvas/view";
import { receiveDrop } from "../state/files";

export function startDrops(): () => void {
  const taken = (event: DragEvent) => event.defaultPrevented || !event.dataTransfer?.types.includes("Files");
  const over = (event: DragEvent) => {
    if (!taken(event)) event.preventDefault();
  };
  const drop = (event: DragEvent) => {
    if (taken(event)) return;
    event.preventDefault();
    if (!document.querySelector("dialog[open]")) void receiveDrop(event, view.toGraph(view.center));
  };
  window.addEventListener("dragover", over);
  window.addEventListener("drop", drop);
  return () => {
    window.removeEventListener("dragover", over);
    window.removeEventListener("drop", drop);
  };
}
