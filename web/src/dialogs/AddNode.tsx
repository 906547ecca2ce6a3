import { useMemo } from "react";
import { specOption } from "../canvas/nodeOptions";
import { freePlace, showAdded } from "../canvas/place";
import { view } from "../canvas/view";
import { useT, useWords } from "../i18n";
import * as m from "../graph";
import { edit } from "../state/edits";
import { addKept, isKept, keptTitle, LIBRARY } from "../state/library";
import { activeScene, type Overlay, useApp } from "../state/store";
import { Popup } from "../ui/Popup";
import { type Option, SearchList } from "../ui/SearchList";
import { TypeDots } from "../ui/TypeDots";

/** Searches for a node to add; with a wire in hand, for one that fits; or for another type for a node that is there. */
export function AddNode({ overlay, onClose }: { overlay: Extract<Overlay, { kind: "add" }>; onClose: () => void }) {
  const t = useT();
  const { from, to, swap, screen, free } = overlay;
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
      .filter((spec) => !spec.deprecated && (!fitting || fitting.has(spec.id)))
      .map((spec): Option => ({ ...specOption(spec), aside: <TypeDots types={spec.outputs.map((port) => port.type)} /> }));
    const kept = workflows.filter(isKept).map((workflow): Option => ({
      id: workflow.name,
      title: keptTitle(workflow.name),
      detail: workflow.description,
      group: t("library.title"),
      aside: t("snippet.mark"),
    }));
    return fitting ? nodes : [...subgraphs, ...(swap ? [] : kept), ...nodes];
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `said` reads the words
  }, [catalogue, from, to, swap, workflows, t, words]);

  const choose = (type: string) => {
    onClose();
    if (swap) {
      edit("swap", (scene) => m.swapType(scene, swap, type));
      return;
    }
    const at = free ? freePlace() : view.toGraph(screen);
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
    if (free) showAdded(id);
    document.getElementById("canvas")?.focus({ preventScroll: true });
  };
  const label = swap ? t("add.swap") : from || to ? t("add.fitting") : t("add.label");
  return (
    <Popup anchor={screen} onClose={onClose} className="add" label={label}>
      {(from || to) && <div className="popup-title">{label}</div>}
      <SearchList options={options} label={label} placeholder={t("add.placeholder")} empty={t("search.empty")} onChoose={choose} onClose={onClose} />
    </Popup>
  );
}
