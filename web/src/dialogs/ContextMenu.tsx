import { useEffect, useRef } from "react";
import { saidName, t as translate, type TextKey, useT } from "../i18n";
import { areFlags, goTo, linksFrom, toggleFlags } from "../canvas/flags";
import { nodeTitle } from "../i18n/nodes";
import { view } from "../canvas/view";
import * as m from "../graph";
import { startComparing } from "../state/comparing";
import { placeWorkflow, saveFile } from "../state/documents";
import { edit, selectedNodes } from "../state/edits";
import { paintShown } from "../state/painting";
import { addKept, keptText, keptTitle, removeKept } from "../state/library";
import { applyPreset, presetsOf } from "../state/presets";
import { removeWorkflow } from "../state/saving";
import { activeScene, graphOf, type Overlay, type ShownImage, useApp } from "../state/store";
import { setSweep } from "../state/sweep";
import { COLORS, commands, commandTitle, execute, keysOf, setColor } from "../commands/commands";
import { readable } from "../ui/keyNames";
import { Popup } from "../ui/Popup";

interface MenuRow {
  id: string;
  title: string;
  keys?: string;
  checked?: boolean;
  run: () => void;
}

const close = () => useApp.setState({ overlay: null });

/** What a right click opened; see `menu.ts` for what is offered where. */
export function ContextMenu({ screen, items, image }: Extract<Overlay, { kind: "menu" }>) {
  const t = useT();
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => list.current?.querySelector<HTMLElement>("[role^=menuitem]")?.focus(), []);
  const rows = items.flatMap((item): MenuRow[] => {
    if (item === "-") return [{ id: "-", title: "", run: close }];
    if (item === "color") return [{ id: "color", title: t("command.color"), run: close }];
    if (item === "image") return image ? imageItems(image) : [];
    if (item.startsWith("saved:")) return savedItems(item.slice(6));
    if (item === "applied") return presetItems();
    if (item.startsWith("snippet:")) return snippetItems(item.slice(8));
    if (item.startsWith("port:")) return portItems(item.slice(5));
    if (item.startsWith("out:")) return [exposeItem(item.slice(4), "outputs"), ...flagItem(item.slice(4))];
    if (item.startsWith("go:")) return [goItem(item.slice(3))];
    const command = commands.find((candidate) => candidate.id === item);
    if (!command || !(command.when?.() ?? true)) return [];
    const keys = keysOf(command)[0];
    return [{ id: item, title: commandTitle(item), ...(keys ? { keys } : {}), ...(command.checked ? { checked: command.checked() } : {}), run: () => execute(item) }];
  });
  return (
    <Popup anchor={screen} onClose={close} className="menu-popup" label={t("menu")}>
      <div
        role="menu"
        ref={list}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
          event.preventDefault();
          const all = [...(list.current?.querySelectorAll<HTMLElement>("[role^=menuitem]") ?? [])];
          const at = all.indexOf(document.activeElement as HTMLElement);
          all[(at + (event.key === "ArrowDown" ? 1 : all.length - 1)) % all.length]?.focus();
        }}
      >
        {rows.map((row, index) =>
          row.id === "-" ? (
            index > 0 && index < rows.length - 1 && rows[index - 1]?.id !== "-" && <hr key={index} />
          ) : row.id === "color" ? (
            <div key={index} className="colors" role="group" aria-label={row.title}>
              {Object.entries(COLORS).map(([name, color]) => (
                <button
                  key={name}
                  type="button"
                  role="menuitem"
                  data-color={name}
                  aria-label={t(`color.${name}` as TextKey)}
                  title={t(`color.${name}` as TextKey)}
                  style={{ background: color ?? "var(--node-header)" }}
                  onClick={() => {
                    close();
                    setColor(color);
                  }}
                />
              ))}
            </div>
          ) : (
            <button
              key={index}
              type="button"
              role={row.checked === undefined ? "menuitem" : "menuitemcheckbox"}
              aria-checked={row.checked}
              data-command={row.id}
              onClick={() => {
                close();
                row.run();
              }}
            >
              <span className="menu-title">{row.title}</span>
              {row.keys && <kbd>{readable(row.keys)}</kbd>}
            </button>
          ),
        )}
      </div>
    </Popup>
  );
}

function savedItems(name: string): MenuRow[] {
  const found = useApp.getState().workflows.find((one) => one.name === name);
  if (!found) return [];
  return [
    { id: "star", title: translate(found.starred ? "workflows.takeStar" : "workflows.giveStar"), run: () => void placeWorkflow(name, { starred: !found.starred }) },
    { id: "rename", title: translate("command.renameWorkflow"), run: () => useApp.setState({ overlay: { kind: "name", rename: name } }) },
    { id: "move", title: translate("workflows.move"), run: () => useApp.setState({ overlay: { kind: "move", name } }) },
    { id: "delete", title: translate("command.delete"), run: () => removeWorkflow(found) },
  ];
}

/** How many presets stand in the menu itself; the sheet has all. */
const MOST_PRESETS = 8;

function presetItems(): MenuRow[] {
  const ids = selectedNodes();
  const type = activeScene().graph.nodes[ids[0] ?? ""]?.type ?? "";
  return presetsOf(useApp.getState().presets, type)
    .slice(0, MOST_PRESETS)
    .map((preset) => ({ id: `preset:${preset.name}`, title: translate("presets.apply", { name: preset.name }), run: () => applyPreset(preset, ids) }));
}

function snippetItems(name: string): MenuRow[] {
  const at = view.toGraph(view.center);
  const exported = async () => {
    const text = await keptText(name);
    if (text) saveFile(URL.createObjectURL(new Blob([text], { type: "application/json" })), `${keptTitle(name)}.json`);
  };
  return [
    { id: "insert", title: translate("snippet.insert"), run: () => void addKept(name, { x: at.x - m.WIDTH / 2, y: at.y - 20 }) },
    { id: "rename", title: translate("command.rename"), run: () => useApp.setState({ overlay: { kind: "snippet", rename: name } }) },
    { id: "export", title: translate("snippet.export"), run: () => void exported() },
    { id: "delete", title: translate("command.delete"), run: () => void removeKept(name) },
  ];
}

function imageItems({ node, url, name }: ShownImage): MenuRow[] {
  return [
    { id: "look", title: translate("image.look"), run: () => useApp.setState({ overlay: { kind: "viewer", images: [url], index: 0 } }) },
    { id: "compare", title: translate("gallery.compare"), run: () => startComparing(url) },
    { id: "paint", title: translate("painter.open"), run: () => paintShown(node, url, name) },
    { id: "download", title: translate("gallery.download"), run: () => saveFile(url, name.split("/").pop() ?? name) },
  ];
}

function portItems(port: string): MenuRow[] {
  const t = translate;
  const { node, port: name } = m.splitPort(port);
  const graph = graphOf(useApp.getState());
  const shown = m.lookOf(graph, node).sockets?.includes(name) || graph.links.some((link) => link.to === port);
  const data = graph.nodes[node];
  const isWidget = data && m.portsOf(activeScene().scopes, node, data, useApp.getState().catalogue).inputs.find((input) => input.name === name)?.socket === false;
  if (!isWidget) return [exposeItem(port, "inputs")];
  return [
    { id: "toSocket", title: t(shown ? "node.toWidget" : "node.toSocket"), run: () => edit("socket", (scene) => m.toggleSocket(scene.graph, node, name)) },
    exposeItem(port, "inputs"),
    {
      id: "sweep",
      title: t("sweep.several"),
      run: () => {
        const value = graph.nodes[node]?.values?.[name];
        setSweep(m.inputName(activeScene().scopes[0] as m.Document, port), typeof value === "object" || value === undefined ? "" : String(value));
        useApp.setState({ form: true });
      },
    },
    ...shareItem(node, name),
    { id: "reset", title: t("node.reset"), run: () => edit("reset", (scene) => m.resetValue(scene.graph, node, name)) },
  ];
}

/** The value for the same field of the other nodes that are selected. */
function shareItem(node: string, port: string): MenuRow[] {
  const chosen = selectedNodes();
  const count = m.sharing(activeScene(), node, port, chosen).length;
  return count ? [{ id: "share", title: translate("node.share", { count }), run: () => edit("value", (scene) => m.shareValue(scene, node, port, chosen)) }] : [];
}

/** All links of an output at once. */
function flagItem(port: string): MenuRow[] {
  const links = linksFrom(port);
  return links.length ? [{ id: "flagAll", title: translate("flags.all"), checked: areFlags(links), run: () => toggleFlags(links) }] : [];
}

/** One of several ends of links that are shown as a name: `to:` or `from:` with the link. */
function goItem(way: string): MenuRow {
  const [end, wire = ""] = [way.slice(0, way.indexOf(":")) as "from" | "to", way.slice(way.indexOf(":") + 1)];
  const { node, port } = m.splitPort(wire.split(">")[end === "from" ? 0 : 1] ?? "");
  return { id: "go", title: `${end === "from" ? "←" : "→"} ${nodeTitle(activeScene(), node)} · ${saidName(port)}`, run: () => goTo(wire, end) };
}

/** A port becomes one of the subgraph that is open, or of the whole workflow, which shows it in its form. */
function exposeItem(port: string, side: m.PortSide): MenuRow {
  const { scopes, graph } = activeScene();
  const inside = scopes.length > 1;
  const entry = side === "inputs" ? graph.inputs?.find((one) => one.to === port) : graph.outputs?.find((one) => one.from === port);
  const title: TextKey = entry ? (inside ? "subgraph.takeOff" : "node.hide") : inside ? "subgraph.show" : "node.expose";
  const run = () =>
    edit("expose", (scene) => {
      const [from, to] = side === "inputs" ? [m.joinPort(m.INPUTS, entry?.name ?? m.NEW), port] : [port, m.joinPort(m.OUTPUTS, entry?.name ?? m.NEW)];
      if (entry && inside) m.unlink(scene, (link) => link.from === from && link.to === to);
      else if (inside) m.connect(scene, from, to);
      else if (entry) m.hidePort(scene.graph, port);
      else if (side === "inputs") m.exposeInput(scene.graph, port);
      else m.exposeOutput(scene.graph, port);
    });
  return { id: "expose", title: translate(title), run };
}
