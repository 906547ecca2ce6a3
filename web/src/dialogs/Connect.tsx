import { saidName, useT } from "../i18n";
import { nodeTitle } from "../i18n/nodes";
import * as m from "../graph";
import { edit } from "../state/edits";
import { activeScene } from "../state/store";
import { Popup } from "../ui/Popup";
import { type Option, SearchList } from "../ui/SearchList";
import { TypeDots } from "../ui/TypeDots";

/** Wires without a mouse: every link that the ports of a node could get, as a list that is searched. */
export function Connect({ id, onClose }: { id: string; onClose: () => void }) {
  const t = useT();
  const scene = activeScene();
  const titleOf = (node: string) => nodeTitle(scene, node);
  const nameOf = (port: string) => (port === m.NEW ? t("ports.new") : saidName(port));
  const titles = Object.keys(scene.graph.nodes).map(titleOf);
  const options = m.possibleLinks(scene.scopes, scene.catalogue, id, scene.types).map(({ from, to, type }): Option => {
    const source = m.splitPort(from);
    const target = m.splitPort(to);
    const out = source.node === id;
    const [own, other] = out ? [source, target] : [target, source];
    return {
      id: `${from}>${to}`,
      title: `${nameOf(own.port)} ${out ? "→" : "←"} ${titleOf(other.node)} · ${nameOf(other.port)}`,
      also: other.node,
      // Nodes of one title are told apart by their ids.
      detail: titles.filter((title) => title === titleOf(other.node)).length > 1 ? other.node : undefined,
      group: t(out ? "connect.out" : "connect.in"),
      aside: <TypeDots types={[type]} />,
    };
  });
  const label = t("connect.label", { node: titleOf(id) });
  return (
    <Popup anchor={{ x: innerWidth / 2 - 240, y: 72 }} onClose={onClose} className="commands" label={label}>
      <div className="popup-title">{label}</div>
      <SearchList
        options={options}
        label={label}
        placeholder={t("connect.placeholder")}
        empty={t("connect.none")}
        onClose={onClose}
        onChoose={(link) => {
          const [from = "", to = ""] = link.split(">");
          onClose();
          edit("connect", (now) => void m.connect(now, from, to));
        }}
      />
    </Popup>
  );
}
