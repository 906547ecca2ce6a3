/** What a right click offers: commands, by what lies under the pointer. */

import { chooseFlag, flagAt } from "./flags";
import { frameAt, wireAt } from "./geometry";
import { stage } from "./stage";
import { view } from "./view";
import * as m from "../graph";
import { select } from "../state/edits";
import { activeTab, useApp } from "../state/store";

const NODE = ["runTo", "-", "copy", "duplicate", "rename", "connect", "swap", "color", "-", "applied", "presets", "-", "mute", "bypass", "collapse", "pin", "-", "flag", "otherEnd", "-", "frame", "subgraph", "enter", "unpack", "keep", "snippet", "-", "help", "-", "dissolve", "delete"];
const FRAME = ["rename", "color", "duplicate", "delete"];
const CANVAS = ["add", "note", "paste", "-", "selectAll", "fitAll", "layout", "-", "save", "open", "copyJson", "export"];
const ITEM = ["rename", "duplicate", "delete"];
const PORT = ["rename", "portUp", "portDown", "-", "delete"];
const FLAG = ["otherEnd", "rename", "flag", "-", "delete"];
const BORDER = ["connect", "flag", "otherEnd", "-", "frame", "layout", "fitAll", "-", "leave"];

export function openMenu(event: MouseEvent): void {
  const target = event.target as HTMLElement;
  const screen = { x: event.clientX, y: event.clientY };
  const socket = target.closest<HTMLElement>("[data-port]")?.dataset;
  const widget = target.closest<HTMLElement>("[data-widget]")?.dataset.widget ?? (socket?.side === "input" ? socket.port : undefined);
  const key = target.closest<HTMLElement>("[data-key]")?.dataset.key;
  if (key !== undefined) {
    const row = m.portOfKey(key) ? key : portBelow(socket?.port);
    if (row) {
      select([row]);
      useApp.setState({ overlay: { kind: "menu", screen, items: PORT } });
      return;
    }
    if (!activeTab().selection.includes(key)) select([key]);
    const items = m.isBorder(key) ? BORDER : key.startsWith("/") ? ITEM : NODE;
    const image = target.closest<HTMLImageElement>("img[data-url]");
    const shown = image && { node: key, url: image.dataset.url ?? "", name: image.alt };
    const first = widget ? [`port:${widget}`, "-"] : socket?.port ? [`out:${socket.port}`, "-"] : shown ? ["image", "-"] : [];
    useApp.setState({ overlay: { kind: "menu", screen, items: [...first, ...items], ...(shown ? { image: shown } : {}) } });
    return;
  }
  const at = view.toGraph(screen);
  const flag = flagAt(stage.geometry, at);
  if (flag) {
    chooseFlag(flag);
    useApp.setState({ overlay: { kind: "menu", screen, items: FLAG } });
    return;
  }
  const wire = wireAt(stage.geometry, at, 7 / view.zoom);
  const frame = frameAt(stage.geometry, at, view.zoom);
  if (wire) {
    select([m.linkKey(wire.wire.id)]);
    useApp.setState({ overlay: { kind: "menu", screen, items: ["flag", "delete"] } });
  } else if (frame) {
    select([m.frameKey(frame.frame.id)]);
    useApp.setState({ overlay: { kind: "menu", screen, items: FRAME } });
  } else useApp.setState({ overlay: { kind: "menu", screen, items: CANVAS } });
}

/** The key of the port that a socket of a border node is of. */
function portBelow(socket: string | undefined): string | undefined {
  const { node, port } = m.splitPort(socket ?? "");
  return m.isBorder(node) && port !== m.NEW ? m.portKey(m.sideOf(node), port) : undefined;
}
