import { useEffect, useState } from "react";
import { flagOf, keyId, keyKind, overlaps, renameFlag } from "../graph";
import { useT } from "../i18n";
import { edit } from "../state/edits";
import { flagsOf } from "./flags";
import { stage } from "./stage";
import { view } from "./view";

/** Flags are painted; only the field for a new name is an element of the page. */
export function FlagField() {
  const t = useT();
  const [wire, setWire] = useState<string | null>(null);
  useEffect(() => {
    const hear = (event: Event) => {
      const key = (event as CustomEvent<string>).detail;
      if (key && keyKind(key) === "link") setWire(keyId(key));
    };
    window.addEventListener("safelight:rename", hear);
    return () => window.removeEventListener("safelight:rename", hear);
  }, []);
  const flags = wire === null ? [] : flagsOf(stage.geometry).filter(({ wires }) => wires.some(({ id }) => id === wire));
  const seen = flags.filter(({ rect }) => overlaps(rect, view.visible()));
  const flag = seen.find(({ end }) => end === "from") ?? seen[0] ?? flags[0];
  const link = flag?.wires.find(({ id }) => id === wire)?.link;
  if (!flag || !link || wire === null) return null;
  const done = () => {
    setWire(null);
    document.getElementById("canvas")?.focus({ preventScroll: true });
  };
  return (
    <input
      key={wire}
      className="nodrag flag-name"
      aria-label={t("flags.rename")}
      style={{ transform: `translate(${flag.rect.x}px, ${flag.rect.y - 2}px)`, width: Math.max(120, flag.rect.w) }}
      defaultValue={flagOf(link)}
      autoFocus
      onFocus={(event) => event.target.select()}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape") event.currentTarget.value = flagOf(link);
        if (event.key === "Enter" || event.key === "Escape") done();
      }}
      onBlur={(event) => {
        setWire(null);
        if (event.currentTarget.value !== flagOf(link)) edit("rename", (scene) => renameFlag(scene, wire, event.currentTarget.value));
      }}
    />
  );
}
