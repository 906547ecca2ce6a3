/** Sockets, notes and titles of frames: the small parts inside and beside nodes. */

import { memo, useEffect, useState } from "react";
import { useT } from "../i18n";
import { typeLabel } from "../i18n/types";
import { changeFrame, changeNote, type Frame, frameKey, noteKey, type Note, type Point } from "../graph";
import { historyKey } from "../fields/caret";
import { leave } from "../fields/leave";
import { edit, redo, undo } from "../state/edits";
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

/** How a socket looks while a wire is pulled, as a class. */
export function useLit(port: string): string {
  return useConnecting(({ connecting }) => {
    if (!connecting) return "";
    if (connecting.port === port) return " held";
    return connecting.fits.has(port) ? (connecting.over === port ? " lit over" : " lit") : " dim";
  });
}

export const Socket = memo(function Socket({ port, name, type, side, at, linked, wanting, faulty }: SocketProps) {
  useT();
  const style = typeStyle(type);
  const lit = useLit(port);
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
  const write = (text: string) => edit("note", ({ graph }) => changeNote(graph, note.id, { text }));
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
            const again = historyKey(event);
            if (again && event.currentTarget.value === note.text) {
              // Nothing was typed since: what is undone is the step before, be it this note.
              event.preventDefault();
              leave(event.currentTarget);
              (again === "undo" ? undo : redo)();
            }
            if (event.key !== "Escape") return;
            // As in every field: back to what it said, and what was typed is a step that undo gives back.
            const before = note.text;
            write(event.currentTarget.value);
            write(before);
            event.currentTarget.value = before;
            leave(event.currentTarget);
          }}
          onBlur={(event) => {
            write(event.currentTarget.value);
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
