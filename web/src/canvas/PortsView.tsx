/** A node of the border of a subgraph: its ports in the order that they have outside, to be named, ordered and linked. */

import { memo, useEffect, useRef, useState } from "react";
import { saidName, useT, useWords } from "../i18n";
import { joinPort, NEW, portKey, type PortSide, sideOf } from "../graph";
import { typeLabel } from "../i18n/types";
import type { NodeBox } from "./geometry";
import { Socket, useLit } from "./items";
import { renamePort } from "./ports";
import { stage } from "./stage";

interface Props {
  box: NodeBox;
  selected: boolean;
  /** Keys of its ports that are selected, a line each: text, so that equal ones are seen to be equal. */
  chosen: string;
}

export const PortsView = memo(function PortsView({ box, selected, chosen }: Props) {
  const t = useT();
  useWords();
  const { id, rect, layout, ports } = box;
  const side = sideOf(id);
  const title = t(`subgraph.${side}`);
  const rows = side === "inputs" ? ports.outputs : ports.inputs;
  const places = side === "inputs" ? layout.outputs : layout.inputs;
  const keys = new Set(chosen.split("\n"));
  const named = rows.filter(({ name }) => name !== NEW);
  const add = places[NEW];
  return (
    <div
      className={`node border ${side}${selected ? " selected" : ""}`}
      data-key={id}
      data-node={id}
      role="group"
      aria-label={title}
      style={{ transform: `translate(${rect.x}px, ${rect.y}px)`, width: layout.w, height: layout.h }}
      ref={(element) => {
        if (element) stage.elements.set(id, element);
        else stage.elements.delete(id);
      }}
    >
      <header title={t("ports.hint")}>
        <span className="node-title">{title}</span>
      </header>
      {named.map(({ name, type, help }) => (
        <PortRow key={name} side={side} name={name} title={[typeLabel(type), help].filter(Boolean).join(" · ")} y={(places[name]?.y ?? 0) - ROW / 2} selected={keys.has(portKey(side, name))} />
      ))}
      {add && <div className={`row ${side === "inputs" ? "last" : ""}`} style={{ top: add.y - ROW / 2, height: ROW }} aria-hidden="true"><span className={side === "inputs" ? "out" : "in"}>{t("ports.new")}</span></div>}
      {named.map(({ name, type }) => {
        const at = places[name];
        return at && <Socket key={name} port={joinPort(id, name)} name={saidName(name)} type={type} side={side === "inputs" ? "output" : "input"} at={at} linked wanting={false} faulty={false} />;
      })}
      {add && <AddSocket id={id} side={side} at={add} />}
    </div>
  );
});

const ROW = 24;

function PortRow({ side, name, title, y, selected }: { side: PortSide; name: string; title: string; y: number; selected: boolean }) {
  const t = useT();
  const [editing, setEditing] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const key = portKey(side, name);
  useEffect(() => {
    const rename = (event: Event) => {
      if ((event as CustomEvent<string>).detail === key) setEditing(true);
    };
    window.addEventListener("safelight:rename", rename);
    return () => window.removeEventListener("safelight:rename", rename);
  }, [key]);
  useEffect(() => field.current?.select(), [editing]);
  return (
    <div
      className={`row port${selected ? " selected" : ""}`}
      style={{ top: y, height: ROW }}
      data-key={key}
      title={title}
      onDoubleClick={(event) => {
        event.stopPropagation();
        setEditing(true);
      }}
    >
      {editing ? (
        <input
          ref={field}
          className="nodrag"
          aria-label={t("ports.rename", { name: saidName(name) })}
          defaultValue={name}
          autoFocus
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Enter") event.currentTarget.blur();
            if (event.key === "Escape") setEditing(false);
            if (event.key === "Enter" || event.key === "Escape") document.getElementById("canvas")?.focus({ preventScroll: true });
          }}
          onBlur={(event) => {
            setEditing(false);
            if (event.currentTarget.value !== name) renamePort({ side, name }, event.currentTarget.value);
          }}
        />
      ) : (
        <span className={side === "inputs" ? "out" : "in"}>{saidName(name)}</span>
      )}
    </div>
  );
}

/** Where a wire makes a new port; a click lists what could be one. */
function AddSocket({ id, side, at }: { id: string; side: PortSide; at: { x: number; y: number } }) {
  const t = useT();
  const port = joinPort(id, NEW);
  const lit = useLit(port);
  return (
    <button
      type="button"
      tabIndex={-1}
      data-port={port}
      data-side={side === "inputs" ? "output" : "input"}
      className={`socket add${lit}`}
      style={{ left: at.x, top: at.y }}
      aria-label={t("ports.new")}
      title={t("ports.new")}
    >
      <i>+</i>
    </button>
  );
}
