/** What opens above the editor: search lists, menus, sheets. */

import { useEffect, useMemo, useRef } from "react";
import { typeLabel } from "../canvas/typeStyle";
import { view } from "../canvas/view";
import { said, saidName, t as translate, type TextKey, useT, useWords } from "../i18n";
import * as m from "../model";
import { openFile } from "../state/documents";
import { edit } from "../state/edits";
import { loadPicture } from "../state/files";
import { addKept, isKept, keptTitle, LIBRARY } from "../state/library";
import { Painter } from "../painter/Painter";
import { setSweep } from "../state/sweep";
import { activeGraph, activeScene, graphOf, useApp, type Overlay } from "../state/store";
import { COLORS, commands, commandTitle, execute, jumpTo, setColor } from "./commands";
import { readable } from "./keys";
import { Connect } from "./Connect";
import { nodeOptions } from "./nodeOptions";
import { NameSheet } from "./NameSheet";
import { Popup } from "./Popup";
import { type Option, SearchList } from "./SearchList";
import { Settings } from "./Settings";
import { ShareSheet } from "./ShareSheet";
import { Sheet } from "./Sheet";
import { TypeDots } from "./TypeDots";
import { ConflictSheet, RevisionSheet } from "./VersionSheets";
import { Viewer } from "./Viewer";

const close = () => useApp.setState({ overlay: null });

export function Overlays() {
  const overlay = useApp((state) => state.overlay);
  if (!overlay) return null;
  switch (overlay.kind) {
    case "add":
      return <AddNode overlay={overlay} />;
    case "menu":
      return <Menu screen={overlay.screen} items={overlay.items} />;
    case "commands":
      return <CommandPalette />;
    case "find":
      return <FindNode />;
    case "connect":
      return <Connect id={overlay.node} onClose={close} />;
    case "shortcuts":
      return <Shortcuts />;
    case "settings":
      return <Settings onClose={close} />;
    case "viewer":
      return <Viewer {...overlay} onClose={close} />;
    case "painter":
      return <Painter source={overlay.source} onClose={close} />;
    case "name":
      return <NameSheet rename={overlay.rename} onClose={close} />;
    case "revisions":
      return <RevisionSheet onClose={close} />;
    case "conflict":
      return <ConflictSheet onClose={close} />;
    case "share":
      return <ShareSheet onClose={close} />;
    case "drop":
      return <DropChoice overlay={overlay} />;
  }
}

function AddNode({ overlay }: { overlay: Extract<Overlay, { kind: "add" }> }) {
  const t = useT();
  const { from, to, swap, screen } = overlay;
  const catalogue = useApp((state) => state.catalogue);
  const words = useWords();
  const workflows = useApp((state) => state.workflows);
  const options = useMemo(() => {
    const scene = activeScene();
    const fitting = from || to ? new Set(m.fittingTypes(scene, { ...(from ? { from } : {}), ...(to ? { to } : {}) })) : null;
    const own = Object.entries((scene.scopes[0] as m.Graph).subgraphs ?? {}).filter(([name]) => !m.holdsItself(scene.scopes, m.SUBGRAPH + name));
    const subgraphs = own.map(([name, sub]): Option => ({
      id: m.SUBGRAPH + name,
      title: sub.name || m.labelOf(name),
      group: t("subgraph.new"),
    }));
    const nodes = catalogue.nodes
      .filter((spec) => !fitting || fitting.has(spec.id))
      .map((spec): Option => {
        const help = said(spec.help);
        return {
          id: spec.id,
          title: said(spec.title),
          also: `${spec.id} ${spec.title} ${saidName(spec.category)} ${help} ${help === spec.help ? "" : spec.help} ${spec.outputs.map((port) => typeLabel(port.type)).join(" ")}`,
          group: saidName(spec.category),
          detail: help.split(/\n|(?<=[.。])\s?/)[0],
          aside: <TypeDots types={spec.outputs.map((port) => port.type)} />,
        };
      });
    const kept = workflows.filter(isKept).map((workflow): Option => ({
      id: workflow.name,
      title: keptTitle(workflow.name),
      detail: workflow.description,
      group: t("library.title"),
    }));
    return fitting ? nodes : [...subgraphs, ...(swap ? [] : kept), ...nodes];
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `said` reads the words
  }, [catalogue, from, to, swap, workflows, t, words]);

  const choose = (type: string) => {
    close();
    if (swap) {
      edit("swap", (scene) => m.swapType(scene, swap, type));
      return;
    }
    const at = view.toGraph(screen);
    if (type.startsWith(LIBRARY)) return void addKept(type, { x: at.x - m.WIDTH / 2, y: at.y - 20 });
    let id = "";
    edit(
      "add",
      (scene) => {
        // A node pulled out of a wire comes to lie beside the pointer, so that the wire ends at its edge.
        id = m.addNode(scene, type, { x: at.x - (to ? m.WIDTH : from ? 0 : m.WIDTH / 2), y: at.y - 20 });
        if (type.startsWith(m.SUBGRAPH)) delete scene.graph.nodes[id]?.values;
        if (from) {
          const input = m.fittingInput(scene, from, id);
          if (input) m.connect(scene, from, input);
        }
        if (to) {
          const output = m.fittingOutput(scene, id, to);
          if (output) m.connect(scene, output, to);
        }
      },
      { select: () => [id] },
    );
    document.getElementById("canvas")?.focus({ preventScroll: true });
  };
  const label = swap ? t("add.swap") : from || to ? t("add.fitting") : t("add.label");
  return (
    <Popup anchor={screen} onClose={close} className="add" label={label}>
      {(from || to) && <div className="popup-title">{label}</div>}
      <SearchList options={options} label={label} placeholder={t("add.placeholder")} empty={t("search.empty")} onChoose={choose} onClose={close} />
    </Popup>
  );
}

function CommandPalette() {
  const t = useT();
  const options = commands
    .filter((command) => command.when?.() ?? true)
    .map((command): Option => ({
      id: command.id,
      title: commandTitle(command.id),
      also: command.id,
      group: t(`group.${command.group}` as TextKey),
      aside: command.keys?.[0] ? <kbd>{readable(command.keys[0])}</kbd> : null,
    }));
  return (
    <Popup anchor={{ x: innerWidth / 2 - 240, y: Math.min(120, innerHeight / 6) }} onClose={close} className="commands" label={t("commands.label")}>
      <SearchList
        options={options}
        label={t("commands.label")}
        placeholder={t("commands.placeholder")}
        empty={t("search.empty")}
        onClose={close}
        onChoose={(id) => {
          close();
          execute(id);
        }}
      />
    </Popup>
  );
}

function FindNode() {
  const t = useT();
  return (
    <Popup anchor={{ x: innerWidth / 2 - 240, y: 72 }} onClose={close} className="commands" label={t("find.label")}>
      <SearchList
        options={nodeOptions(activeGraph())}
        label={t("find.label")}
        placeholder={t("find.placeholder")}
        empty={t("search.empty")}
        onClose={close}
        cycle
        onChoose={(id) => jumpTo([...activeScenePath(), id].join("/"))}
      />
    </Popup>
  );
}

const activeScenePath = () => useApp.getState().tabs.find((tab) => tab.id === useApp.getState().active)?.path ?? [];

function Menu({ screen, items }: { screen: m.Point; items: string[] }) {
  const t = useT();
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => list.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus(), []);
  const rows = items.flatMap((item): { id: string; title: string; keys?: string; run: () => void }[] => {
    if (item === "-") return [{ id: "-", title: "", run: close }];
    if (item === "color") return [{ id: "color", title: t("command.color"), run: close }];
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

function Shortcuts() {
  const t = useT();
  const groups = [...new Set(commands.map((command) => command.group))];
  const mouse = (["add", "wire", "pickUp", "moveAll", "unlink", "cut", "bend", "insert", "copy", "pan", "zoom", "box", "scrub"] as const).map((key) =>
    t(`mouse.${key}` as TextKey).split("|"),
  );
  const types = ["Image", "Mask", "Latent", "Conditioning", "ModelRef[Denoiser]", "ModelRef[TextEncoder]", "ModelRef[VAE]", "ModelRef[ControlNet]", "str", "int", "bool", "Any"];
  return (
    <Sheet title={t("shortcuts.title")} onClose={close} className="wide">
      <div className="columns">
        {groups.map((group) => (
          <section key={group}>
            <h3>{t(`group.${group}` as TextKey)}</h3>
            {commands
              .filter((command) => command.group === group && command.keys)
              .map((command) => (
                <div className="shortcut" key={command.id}>
                  <span>{commandTitle(command.id)}</span>
                  <span>
                    {command.keys?.map((keys) => (
                      <kbd key={keys}>{readable(keys)}</kbd>
                    ))}
                  </span>
                </div>
              ))}
          </section>
        ))}
        <section>
          <h3>{t("shortcuts.mouse")}</h3>
          {mouse.map(([action, effect]) => (
            <div className="shortcut" key={action}>
              <span>{effect}</span>
              <em>{action}</em>
            </div>
          ))}
        </section>
        <section>
          <h3>{t("legend")}</h3>
          {types.map((type) => (
            <div className="shortcut" key={type}>
              <span>{typeLabel(type)}</span>
              <TypeDots types={[type]} />
            </div>
          ))}
          <p className="hint">{t("legend.shapes")}</p>
        </section>
      </div>
    </Sheet>
  );
}

function DropChoice({ overlay }: { overlay: Extract<Overlay, { kind: "drop" }> }) {
  const t = useT();
  return (
    <Sheet title={t("drop.title")} onClose={close}>
      <div className="buttons">
        <button
          type="button"
          className="primary"
          autoFocus
          onClick={() => {
            close();
            void openFile(overlay.file);
          }}
        >
          {t("drop.open")}
        </button>
        <button
          type="button"
          onClick={() => {
            close();
            void loadPicture(overlay.file, overlay.at);
          }}
        >
          {t("drop.load")}
        </button>
      </div>
    </Sheet>
  );
}
