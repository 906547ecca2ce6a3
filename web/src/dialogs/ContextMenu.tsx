import { useEffect, useRef } from "react";
import { t as translate, type TextKey, useT } from "../i18n";
import * as m from "../graph";
import { saveFile } from "../state/documents";
import { edit } from "../state/edits";
import { paintShown } from "../state/painting";
import { activeScene, graphOf, type Overlay, type ShownImage, useApp } from "../state/store";
import { setSweep } from "../state/sweep";
import { COLORS, commands, commandTitle, execute, setColor } from "../commands/commands";
import { readable } from "../commands/keys";
import { Popup } from "../ui/Popup";

const close = () => useApp.setState({ overlay: null });

/** What a right click opened; see `menu.ts` for what is offered where. */
export function ContextMenu({ screen, items, image }: Extract<Overlay, { kind: "menu" }>) {
  const t = useT();
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => list.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus(), []);
  const rows = items.flatMap((item): { id: string; title: string; keys?: string; run: () => void }[] => {
    if (item === "-") return [{ id: "-", title: "", run: close }];
    if (item === "color") return [{ id: "color", title: t("command.color"), run: close }];
    if (item === "image") return image ? imageItems(image) : [];
    if (item.startsWith("port:")) return portItems(item.slice(5));
    if (item.startsWith("out:")) return [exposeItem(item.slice(4), "outputs")];
    const command = commands.find((candidate) => candidate.id === item);
    if (!command || !(command.when?.() ?? true)) return [];
    return [{ id: item, title: commandTitle(item), ...(command.keys?.[0] ? { keys: command.keys[0] } : {}), run: () => execute(item) }];
  });
  return (
    <Popup anchor={screen} onClose={close} className="menu-popup" label={t("menu")}>
      <div
        role="menu"
        ref={list}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
          event.preventDefault();
          const all = [...(list.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
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
              role="menuitem"
              data-command={row.id}
              onClick={() => {
                close();
                row.run();
              }}
            >
              <span>{row.title}</span>
              {row.keys && <kbd>{readable(row.keys)}</kbd>}
            </button>
          ),
        )}
      </div>
    </Popup>
  );
}

function imageItems({ node, url, name }: ShownImage): { id: string; title: string; run: () => void }[] {
  return [
    { id: "look", title: translate("image.look"), run: () => useApp.setState({ overlay: { kind: "viewer", images: [url], index: 0 } }) },
    { id: "paint", title: translate("painter.open"), run: () => paintShown(node, url, name) },
    { id: "download", title: translate("gallery.download"), run: () => saveFile(url, name.split("/").pop() ?? name) },
  ];
}

function portItems(port: string): { id: string; title: string; run: () => void }[] {
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
        const entry = graph.inputs?.find((one) => one.to === port);
        const value = graph.nodes[node]?.values?.[name];
        setSweep(entry?.name ?? port, typeof value === "object" || value === undefined ? "" : String(value));
        useApp.setState({ form: true });
      },
    },
    { id: "reset", title: t("node.reset"), run: () => edit("reset", (scene) => m.resetValue(scene.graph, node, name)) },
  ];
}

/** A port becomes one of the subgraph that is open, or of the whole workflow, which shows it in its form. */
function exposeItem(port: string, side: m.PortSide): { id: string; title: string; run: () => void } {
  const { scopes, graph } = activeScene();
  const inside = scopes.length > 1;
  const entry = side === "inputs" ? graph.inputs?.find((one) => one.to === port) : graph.outputs?.find((one) => one.from === port);
  const title: TextKey = entry ? (inside ? "subgraph.takeOff" : "node.hide") : inside ? "subgraph.show" : "node.expose";
  const run = () =>
    edit("expose", (scene) => {
      if (entry && inside) m.removePort(scene.scopes[0] as m.Graph, scene.graph, side, entry.name);
      else if (entry) m.hidePort(scene.graph, port);
      else if (side === "inputs") m.exposeInput(scene.graph, port);
      else m.exposeOutput(scene.graph, port);
    });
  return { id: "expose", title: translate(title), run };
}
