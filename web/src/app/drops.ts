/** Files dropped anywhere in the window open here, links nowhere but in fields: the browser would leave the page for both. */

import { view } from "../canvas/view";
import { receiveDrop } from "../state/files";

export function startDrops(): () => void {
  const files = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  const field = (event: DragEvent) => event.target instanceof Element && event.target.closest("input, textarea, [contenteditable]") !== null;
  const over = (event: DragEvent) => {
    if (event.defaultPrevented) return;
    if (files(event)) event.preventDefault();
    else if (!field(event)) {
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = "none";
    }
  };
  const drop = (event: DragEvent) => {
    if (event.defaultPrevented || !files(event)) return;
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
