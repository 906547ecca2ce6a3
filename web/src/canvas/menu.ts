/** What a right click offers: commands, by what lies under the pointer. */

import { frameAt, wireAt } from "./geometry";
import { stage } from "./stage";
import { view } from "./view";
import { frameKey, linkKey } from "../graph";
import { select } from "../state/edits";
import { activeTab, useApp } from "../state/store";

const NODE = ["runTo", "-", "copy", "duplicate", "rename", "connect", "swap", "color", "-", "mute", "bypass", "collapse", "pin", "-", "frame", "subgraph", "enter", "unpack", "keep", "-", "help", "-", "dissolve", "delete"];
const FRAME = ["rename", "color", "duplicate", "delete"];
const CANVAS = ["add", "note", "paste", "-", "selectAll", "fitAll", "layout", "-", "save", "open", "copyJson", "export"];
const ITEM = ["rename", "duplicate", "delete"];

export function openMenu(event: MouseEvent): void {
  const target = event.target as HTMLElement;
  const screen = { x: event.clientX, y: event.clientY };
  const socket = target.closest<HTMLElement>("[data-port]")?.dataset;
  const widget = target.closest<HTMLElement>("[data-widget]")?.dataset.widget ?? (socket?.side === "input" ? socket.port : undefined);
  const key = target.closest<HTMLElement>("[data-key]")?.dataset.key;
  if (key !== undefined) {
    if (!activeTab().selection.includes(key)) select([key]);
    const items = key.startsWith("/") ? ITEM : NODE;
    const image = target.closest<HTMLImageElement>("img[data-url]");
    const shown = image && { node: key, url: image.dataset.url ?? "", name: image.alt };
    const first = widget ? [`port:${widget}`, "-"] : socket?.port ? [`out:${socket.port}`, "-"] : shown ? ["image", "-"] : [];
    useApp.setState({ overlay: { kind: "menu", screen, items: [...first, ...items], ...(shown ? { image: shown } : {}) } });
    return;
  }
  const at = view.toGraph(screen);
  const wire = wireAt(stage.geometry, at, 7 / view.zoom);
  const frame = frameAt(stage.geometry, at, view.zoom);
  if (wire) {
    select([linkKey(wire.wire.id)]);
    useApp.setState({ overlay: { kind: "menu", screen, items: ["delete"] } });
  } else if (frame) {
    select([frameKey(frame.frame.id)]);
    useApp.setState({ overlay: { kind: "menu", screen, items: FRAME } });
  } else useApp.setState({ overlay: { kind: "menu", screen, items: CANVAS } });
}
