/** A node near enough to be worked with. Drawn by `layoutNode`, so its sockets lie where the wires end. */

import { memo, useEffect, useMemo, useRef, useState } from "react";
import { reached } from "../api/base";
import { Markdown } from "../ui/Markdown";
import { Popup } from "../ui/Popup";
import { Chevron } from "../ui/icons";
import { duration, said, saidName, type TextKey, useT, useWords } from "../i18n";
import { isError, problemText, problemTitle } from "../i18n/problems";
import { type InputSpec, lookOf, type NodeData, pickedImages, repeatKind, repeatOf, setLook, setTitle, SUBGRAPH } from "../graph";
import { edit } from "../state/edits";
import { enterSubgraph, exampleImage, openExample } from "../state/documents";
import { flatId, nodeProblem, nodeStatus, type Status } from "../state/status";
import { graphOf, tabOf, useApp } from "../state/store";
import { WidgetView } from "../fields/WidgetView";
import type { NodeBox } from "./geometry";
import { Socket } from "./items";
import { PresetList } from "./PresetList";
import { ResultView } from "./ResultView";
import { stage } from "./stage";

interface Props {
  box: NodeBox;
  selected: boolean;
  linked: string;
  exposed: string;
}

export const NodeView = memo(function NodeView({ box, selected, linked, exposed }: Props) {
  const t = useT();
  const { id, rect, layout, ports } = box;
  const node = useApp((state) => graphOf(state).nodes[id]);
  const look = useApp((state) => lookOf(graphOf(state), id));
  const path = useApp((state) => tabOf(state).path);
  const tab = useApp((state) => state.active);
  const flat = flatId(path, id);
  const status = useApp((state) => nodeStatus(state, flat));
  const problem = useApp((state) => nodeProblem(state, flat));
  const faulty = problem && isError(problem) ? problem.port : null;
  const illustrated = useApp((state) => !!node && state.catalogue.images.has(node.type));
  useWords();
  const [help, setHelp] = useState<Element | null>(null);
  useEffect(() => {
    const ask = (event: Event) => {
      const element = stage.elements.get(id);
      if ((event as CustomEvent<string>).detail === id && element) setHelp(element.querySelector("header"));
    };
    window.addEventListener("safelight:help", ask);
    return () => window.removeEventListener("safelight:help", ask);
  }, [id]);
  const linkedSet = useMemo(() => new Set(linked.split("\n")), [linked]);
  const exposedSet = useMemo(() => new Set(exposed.split("\n")), [exposed]);
  if (!node) return null;

  const title = node.title || said(ports.title);
  const mode = node.mode ?? "on";
  const byName = new Map(ports.inputs.map((input) => [input.name, input]));
  const isSubgraph = node.type.startsWith(SUBGRAPH);
  // Inside a subgraph a port that is shown outside is at the end of a wire from the border.
  const fed = (port: string) => linkedSet.has(port) || (path.length > 0 && exposedSet.has(port));
  const wanting = (input: InputSpec) =>
    input.required && input.socket && !fed(input.name) && node.values?.[input.name] === undefined;

  return (
    <div
      className={`node ${status.kind} mode-${mode}${selected ? " selected" : ""}${look.collapsed ? " collapsed" : ""}${ports.missing ? " missing" : ""}${ports.deprecated ? " deprecated" : ""}`}
      data-key={id}
      data-node={id}
      data-status={status.kind}
      role="group"
      aria-label={`${title}, ${t(`status.${status.kind}` as TextKey) || node.type}`}
      style={{ transform: `translate(${rect.x}px, ${rect.y}px)`, width: layout.w, height: layout.h }}
      ref={(element) => {
        if (element) stage.elements.set(id, element);
        else stage.elements.delete(id);
      }}
    >
      <header
        style={look.color ? { background: look.color, color: "#fff" } : undefined}
        onDoubleClick={(event) => {
          event.stopPropagation();
          if (isSubgraph) enterSubgraph(id);
        }}
      >
        <button
          type="button"
          className="fold nodrag"
          tabIndex={-1}
          aria-label={look.collapsed ? t("node.expand") : t("node.collapse")}
          onClick={() => edit("collapse", ({ graph }) => setLook(graph, [id], { collapsed: look.collapsed ? undefined : true }))}
        >
          <Chevron open={!look.collapsed} />
        </button>
        <Title id={id} fixed={isSubgraph} title={title} own={node.title ?? ""} kind={node.title || title.toLowerCase().includes(ports.category.toLowerCase()) ? "" : ports.category} />
        {ports.deprecated && (
          <span className="badge deprecated" title={said(ports.deprecated)}>
            {t("node.deprecated")}
          </span>
        )}
        {isSubgraph && <RepeatBadge node={node} />}
        <Badge status={status} mode={mode} pinned={look.pinned ?? false} />
        {isSubgraph && !ports.missing && (
          <button type="button" className="enter nodrag" tabIndex={-1} aria-label={t("command.enter")} title={t("command.enter")} onClick={() => enterSubgraph(id)}>
            <svg viewBox="0 0 16 16" width="13" height="13" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden="true">
              <path d="M9 2.5h4.5V7M13.5 2.5 8 8M6 4H2.5v9.5H12V10" />
            </svg>
          </button>
        )}
        {ports.help && (
          <button type="button" className="ask nodrag" tabIndex={-1} aria-label={t("node.help")} onClick={(event) => setHelp(event.currentTarget)}>
            ?
          </button>
        )}
      </header>
      {status.kind === "running" && (
        <progress className="steps" max={status.total || 1} {...(status.total ? { value: status.step } : {})} aria-label={t("status.running")} />
      )}
      {layout.rows.map((row, index) => {
        if (row.kind === "sockets") {
          const input = row.input !== undefined ? byName.get(row.input) : undefined;
          const output = ports.outputs.find((port) => port.name === row.output);
          return (
            <div className="row" key={index} style={{ top: row.y, height: row.h }}>
              {input && (
                <span className={`in${wanting(input) ? " wanting" : ""}${input.required ? "" : " optional"}${faulty === input.name ? " faulty" : ""}`} title={said(input.help)}>
                  {saidName(input.name)}
                </span>
              )}
              {output && (
                <span className="out" title={said(output.help)}>
                  {saidName(output.name)}
                </span>
              )}
            </div>
          );
        }
        if (row.kind === "group") {
          return (
            <div className="row group" key={index} style={{ top: row.y, height: row.h }}>
              {said(row.label ?? "")}
            </div>
          );
        }
        if (row.kind === "fold") {
          return (
            <button
              type="button"
              className="row more nodrag"
              key={index}
              tabIndex={-1}
              style={{ top: row.y, height: row.h }}
              aria-expanded={look.advanced ?? false}
              onClick={() => edit("advanced", ({ graph }) => setLook(graph, [id], { advanced: look.advanced ? undefined : true }))}
            >
              <Chevron open={look.advanced === true} />
              {t("node.advanced", { count: row.hidden ?? 0 })}
            </button>
          );
        }
        if (row.kind === "preview") return <ResultView key={index} tab={tab} id={flat} picked={pickedImages(ports, node, linkedSet)} y={row.y} h={row.h} />;
        if (row.kind === "message") {
          return (
            <div className="row message" key={index} style={{ top: row.y, height: row.h }}>
              {t(`node.missing.${ports.missing || "type"}` as TextKey, { type: node.type })}
            </div>
          );
        }
        const input = byName.get(row.input ?? "");
        if (!input) return null;
        const isSocket = linkedSet.has(input.name) || (look.sockets?.includes(input.name) ?? false);
        return (
          <div
            className={`row widget${exposedSet.has(input.name) ? " exposed" : ""}`}
            key={input.name}
            style={{ top: row.y, height: row.h }}
            data-widget={`${id}.${input.name}`}
            title={exposedSet.has(input.name) ? t(path.length ? "node.outside" : "node.exposed") : undefined}
          >
            {isSocket ? (
              <span className="in">{saidName(input.name)}</span>
            ) : (
              <WidgetView id={id} input={input} value={node.values?.[input.name]} label={saidName(input.name)} invalid={faulty === input.name} />
            )}
          </div>
        );
      })}
      {Object.entries(layout.inputs).map(([name, at]) => {
        const input = byName.get(name);
        if (!input) return null;
        const shown = input.socket || fed(name) || (look.sockets?.includes(name) ?? false);
        if (!shown && look.collapsed) return null;
        return (
          <span key={name} className={shown ? undefined : "latent-socket"}>
            <Socket port={`${id}.${name}`} name={saidName(name)} type={input.type} side="input" at={at} linked={fed(name)} wanting={wanting(input)} faulty={faulty === name} />
          </span>
        );
      })}
      {Object.entries(layout.outputs).map(([name, at]) => {
        const type = ports.outputs.find((port) => port.name === name)?.type ?? "?";
        return <Socket key={name} port={`${id}.${name}`} name={saidName(name)} type={type} side="output" at={at} linked wanting={false} faulty={faulty === name} />;
      })}
      {problem && !look.collapsed && (
        <div className={isError(problem) ? "node-problem" : "node-problem doubtful"} role="alert" tabIndex={0} title={problem.hint}>
          {problemTitle(problem.code) && <strong>{problemTitle(problem.code)}</strong>}
          {problemText(problem)} {problem.hint}
        </div>
      )}
      {!look.collapsed && <span className="grip" data-resize={id} />}
      {help && (
        <Popup anchor={help} onClose={() => setHelp(null)} className="help" label={t("node.help")}>
          <h3>{title}</h3>
          <code>{node.type}</code>
          {ports.deprecated && <p className="deprecated">{said(ports.deprecated)}</p>}
          <Markdown text={said(ports.help)} />
          {!isSubgraph && <PresetList id={id} type={node.type} />}
          {illustrated && (
            <button type="button" className="example" onClick={() => void openExample(node.type)}>
              <img src={reached(exampleImage(node.type))} alt="" draggable={false} />
              {t("node.example")}
            </button>
          )}
          <dl>
            {[...ports.inputs, ...ports.outputs]
              .filter((port) => port.help)
              .map((port) => (
                <div key={port.name}>
                  <dt>{saidName(port.name)}</dt>
                  <dd>{said(port.help)}</dd>
                </div>
              ))}
          </dl>
        </Popup>
      )}
    </div>
  );
});

/** `fixed`: a double click is for something else, the title is changed by F2 or the menu. */
function Title({ id, title, own, kind, fixed }: { id: string; title: string; own: string; kind: string; fixed: boolean }) {
  const t = useT();
  const [editing, setEditing] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const rename = (event: Event) => {
      if ((event as CustomEvent<string>).detail === id) setEditing(true);
    };
    window.addEventListener("safelight:rename", rename);
    return () => window.removeEventListener("safelight:rename", rename);
  }, [id]);
  useEffect(() => field.current?.select(), [editing]);
  if (!editing) {
    return (
      <span
        className="node-title"
        onDoubleClick={(event) => {
          if (fixed) return;
          event.stopPropagation();
          setEditing(true);
        }}
      >
        {title}
        {kind && <small>{saidName(kind)}</small>}
      </span>
    );
  }
  return (
    <input
      ref={field}
      className="nodrag node-title"
      aria-label={t("node.rename")}
      defaultValue={own || title}
      autoFocus
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") event.currentTarget.blur();
        if (event.key === "Escape") setEditing(false);
      }}
      onBlur={(event) => {
        const value = event.currentTarget.value;
        setEditing(false);
        if (value !== title) edit("rename", ({ graph }) => setTitle(graph, id, value));
      }}
    />
  );
}

function Badge({ status, mode, pinned }: { status: Status; mode: string; pinned: boolean }) {
  const t = useT();
  if (mode !== "on") return <span className="badge quiet">{t(mode === "mute" ? "mode.mute" : "mode.bypass")}</span>;
  const { kind, seconds, step, total } = status;
  let text = "";
  if (kind === "running") text = total ? t("run.step", { step, total }) : "…";
  else if (kind === "done" || (kind === "will-run" && seconds)) text = seconds !== null && seconds >= 0.05 ? duration(seconds) : "";
  const name = t(`status.${kind}` as TextKey);
  return (
    <>
      {pinned && <span className="badge quiet" aria-label={t("command.pin")}>⌖</span>}
      {kind !== "none" && (
        <span className={`badge ${kind}`} title={name}>
          {text}
          <i aria-hidden="true" />
        </span>
      )}
    </>
  );
}


/** Says of an instance that it is repeated, and by what. */
function RepeatBadge({ node }: { node: NodeData }) {
  const t = useT();
  const repeat = repeatOf(node);
  const kind = repeatKind(repeat);
  if (!repeat || kind === "none") return null;
  const text = kind === "times" ? (typeof repeat.times === "number" ? t("repeat.badge.times", { count: repeat.times }) : t("repeat.badge.count")) : t(`repeat.badge.${kind}` as TextKey);
  return (
    <span className="badge quiet repeat" title={`${t("repeat.title")}: ${text}`}>
      ↻{typeof repeat.times === "number" && kind === "times" ? ` ${repeat.times}` : ""}
    </span>
  );
}
