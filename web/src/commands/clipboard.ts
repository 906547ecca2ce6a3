/**
 * Copying and pasting by the browser's own events, which work on every page; menus and the command list ask for the same
 * through the clipboard's interface, where the browser gives that.
 */

import { here } from "../canvas/pointer";
import { view } from "../canvas/view";
import * as m from "../graph";
import { t, type TextKey } from "../i18n";
import { removeSelected } from "../state/edits";
import { paste, receiveFiles, receiveText } from "../state/files";
import { activeGraph, activeScene, activeTab, toast, useApp } from "../state/store";
import { readable } from "../ui/keyNames";
import { copyText } from "../ui/copy";

/** What was copied last in this window: pasted by the menu where the browser does not let a page read the clipboard. */
let newest = "";

const part = () => m.copyText(activeScene().scopes, activeTab().selection);

/** Whether the canvas is meant: not a field, a sheet, a form, or text that the user has marked. */
function isOurs(event: ClipboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : document.body;
  if (useApp.getState().form || document.querySelector("dialog[open]") || target.closest("input, textarea, select, [contenteditable], .popup")) return false;
  // What is marked in a field is text of the selection as well, long after the focus has left the field; its range is empty.
  return event.type === "paste" || (document.getSelection()?.isCollapsed ?? true);
}

export function startClipboard(): () => void {
  const take = (event: ClipboardEvent) => {
    if (!isOurs(event) || !activeTab().selection.length) return;
    newest = part();
    event.clipboardData?.setData("text/plain", newest);
    event.preventDefault();
    if (event.type === "cut") removeSelected();
  };
  const give = (event: ClipboardEvent) => {
    const data = event.clipboardData;
    if (!data || !isOurs(event)) return;
    event.preventDefault();
    void receive([...data.files], data.getData("text/plain"), false);
  };
  document.addEventListener("copy", take);
  document.addEventListener("cut", take);
  document.addEventListener("paste", give);
  return () => {
    document.removeEventListener("copy", take);
    document.removeEventListener("cut", take);
    document.removeEventListener("paste", give);
  };
}

/** Copies a text, and says so by `done`, or that the browser forbids it. */
export async function copyAndTell(text: string, done: TextKey = "copied"): Promise<void> {
  if (await copyText(text)) toast(t(done));
  else toast(t("clipboard.denied"), "error");
}

export async function copySelected(cut = false): Promise<void> {
  if (!activeTab().selection.length) return;
  newest = part();
  if (!(await copyText(newest))) toast(t("clipboard.denied"), "error");
  else if (cut) removeSelected();
}

/** `linked`: with the wires that came into the copied nodes from outside. */
export async function pasteFromClipboard(linked = false): Promise<void> {
  const clipboard = (navigator as { clipboard?: Clipboard }).clipboard;
  if (!clipboard) return newest ? receive([], newest, linked) : toast(t("clipboard.keys", { keys: readable("$mod+v") }));
  try {
    const files: File[] = [];
    let text = "";
    for (const item of await clipboard.read()) {
      const image = item.types.find((type) => useApp.getState().catalogue.media.view(type) === "image");
      if (image) files.push(new File([await item.getType(image)], "pasted.png", { type: image }));
      else if (item.types.includes("text/plain")) text = await (await item.getType("text/plain")).text();
    }
    await receive(files, text, linked);
  } catch {
    toast(t("clipboard.denied"), "error");
  }
}

async function receive(files: File[], text: string, linked: boolean): Promise<void> {
  const at = view.toGraph(here());
  if (files.length) return receiveFiles(files, at);
  const pasted = m.readPart(text);
  if (pasted) paste(pasted, at, linked ? incoming(pasted) : []);
  else if (!(await receiveText(text))) toast(t("paste.nothing"));
}

/** Wires from outside into the copied nodes, if those are still in this graph under their old ids. */
function incoming(pasted: m.Document): { from: string; to: string }[] {
  return activeGraph()
    .links.filter((link) => m.splitPort(link.to).node in pasted.nodes && !(m.splitPort(link.from).node in pasted.nodes))
    .map(({ from, to }) => ({ from, to }));
}
