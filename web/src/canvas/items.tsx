/** Sockets, notes and titles of frames: the small parts inside and beside nodes. */

import { memo, useEffect, useState } from "react";
import { useT } from "../i18n";
import { typeLabel } from "../i18n/types";
import { changeFrame, changeNote, type Frame, frameKey, noteKey, type Note, type Point } from "../graph";
import { edit } from "../state/edits";
import { Markdown } from "../ui/Markdown";
import { stage, useConnecting } from "./stage";
import { typeStyle } from "../ui/typeStyle";

interface SocketProps {
  port: string;
  name: string;
  type: string;
  side: "input" | "output";
  at: Point;
  linked: boolean;
  wanting: boolean;
  /** A problem names this port. */
  faulty: boolean;
}

export const Socket = memo(function Socket({ port, name, type, side, at, linked, wanting, faulty }: SocketProps) {
  useT();
  const style = typeStyle(type);
  const lit = useConnecting(({ connecting }) => {
    if (!connecting) return "";
    if (connecting.port === port) return " held";
    return connecting.fits.has(port) ? (connecting.over === port ? " lit over" : " lit") : " dim";
  });
  return (
    <button
      type="button"
      tabIndex={-1}
      data-port={port}
      data-side={side}
      className={`socket ${side} ${style.shape}${linked ? " linked" : ""}${wanting ? " wanting" : ""}${faulty ? " faulty" : ""}${lit}`}
      style={{ left: at.x, top: at.y, color: `var(${style.variable})` }}
      aria-label={`${name}: ${typeLabel(type)}`}
      title={`${name}: ${typeLabel(type)}`}
    >
      <i />
    </button>
  );
});

export const NoteView = memo(function NoteView({ note, selected }: { note: Note; selected: boolean }) {
  const t = useT();
  const [editing, setEditing] = useState(note.text === "");
  const key = noteKey(note.id);
  useRename(key, () => setEditing(true));
  return (
    <div
      className={`note${selected ? " selected" : ""}`}
      data-key={key}
      role="note"
      style={{ transform: `translate(${note.x}px, ${note.y}px)`, width: note.w, height: note.h }}
      ref={(element) => {
        if (element) stage.elements.set(key, element);
        else stage.elements.delete(key);
      }}
      onDoubleClick={(event) => {
        event.stopPropagation();
        setEditing(true);
      }}
    >
      {editing ? (
        <textarea
          className="nodrag"
          autoFocus
          defaultValue={note.text}
          placeholder={t("note.placeholder")}
          aria-label={t("note.new")}
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Escape") event.currentTarget.blur();
          }}
          onBlur={(event) => {
            const text = event.currentTarget.value;
            edit("note", ({ graph }) => changeNote(graph, note.id, { text }));
            setEditing(false);
          }}
        />
      ) : (
        <Markdown text={note.text || t("note.placeholder")} breaks />
      )}
    </div>
  );
});

/** Frames are painted; only the field for a new title is an element of the page. */
export function FrameTitle({ frame }: { frame: Frame }) {
  const t = useT();
  const [editing, setEditing] = useState(false);
  useRename(frameKey(frame.id), () => setEditing(true));
  if (!editing) return null;
  return (
    <input
      className="nodrag frame-title"
      aria-label={t("frame.rename")}
      style={{ transform: `translate(${frame.x + 6}px, ${frame.y + 3}px)`, width: Math.max(80, frame.w - 12) }}
      defaultValue={frame.title}
      autoFocus
      onFocus={(event) => event.target.select()}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Enter") event.currentTarget.blur();
        if (event.key === "Escape") setEditing(false);
      }}
      onBlur={(event) => {
        const title = event.currentTarget.value.trim();
        setEditing(false);
        if (title !== frame.title) edit("rename", ({ graph }) => changeFrame(graph, frame.id, { title }));
      }}
    />
  );
}

/** Calls `begin` when this item is to be renamed: by F2, a double click, or the menu. */
function useRename(key: string, begin: () => void): void {
  useEffect(() => {
    const hear = (event: Event) => {
      if ((event as CustomEvent<string>).detail === key) begin();
    };
    window.addEventListener("safelight:rename", hear);
    return () => window.removeEventListener("safelight:rename", hear);
  });
}
