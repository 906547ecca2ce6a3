/** The list of names below the caret of a prompt. The focus stays in the field. */

import { useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { useT } from "../i18n";
import { useApp } from "../state/store";
import { letterBox } from "./caret";
import { type Suggestion, suggestions, type Wanted, wantedAt } from "./completion";

type Area = HTMLTextAreaElement & HTMLInputElement;

export interface Completion {
  /** To be told what was typed, and where the caret is. */
  typed: (text: string, caret: number) => void;
  /** Whether the list took the key. */
  key: (event: React.KeyboardEvent) => boolean;
  close: () => void;
  /** What the field says of the list. */
  aria: React.AriaAttributes & { role?: "combobox" };
  list: React.ReactNode;
}

/** Completion in a field that holds `text`; `accept` is told what was chosen. */
export function useCompletion(field: React.RefObject<Area | null>, text: string, accept: (wanted: Wanted, chosen: Suggestion) => void): Completion {
  const models = useApp((state) => state.models);
  const [asked, setAsked] = useState<{ wanted: Wanted; text: string }>();
  const [index, setIndex] = useState(0);
  const id = useId();
  // The start of what Escape closed the list of: it stays closed for as long as that is typed on.
  const refused = useRef(-1);
  // Undo and other fields of the same value change the text as well; what was asked then holds no more.
  const wanted = asked?.text === text ? asked.wanted : undefined;
  const found = wanted ? suggestions(wanted, models) : [];
  const open = wanted !== undefined && (found.length > 0 || (!wanted.bare && !wanted.query));
  const at = Math.min(index, found.length - 1);
  const close = () => setAsked(undefined);
  const choose = (chosen: Suggestion | undefined) => {
    close();
    if (wanted && chosen) accept(wanted, chosen);
  };

  return {
    typed: (text, caret) => {
      const next = wantedAt(text, caret);
      if (next?.start !== refused.current) refused.current = -1;
      setAsked(next && refused.current < 0 ? { wanted: next, text } : undefined);
      setIndex(0);
    },
    key: (event) => {
      if (!open || event.nativeEvent.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return false;
      if (event.key === "ArrowDown" && found.length) setIndex((at + 1) % found.length);
      else if (event.key === "ArrowUp" && found.length) setIndex((at + found.length - 1) % found.length);
      else if ((event.key === "Enter" || event.key === "Tab") && found[at]) choose(found[at]);
      else if (event.key === "Escape") {
        refused.current = wanted.start;
        close();
      } else {
        if (/^(Arrow(Left|Right)|Home|End|Page)/.test(event.key)) close();
        return false;
      }
      event.preventDefault();
      event.stopPropagation();
      return true;
    },
    close,
    aria: open
      ? { role: "combobox", "aria-autocomplete": "list", "aria-expanded": true, "aria-controls": id, "aria-activedescendant": found[at] ? `${id}-${at}` : undefined }
      : { "aria-autocomplete": "list" },
    list: open && field.current && (
      <List id={id} field={field.current} wanted={wanted} found={found} at={at} onPoint={setIndex} onChoose={choose} onClose={close} />
    ),
  };
}

interface ListProps {
  id: string;
  field: Area;
  wanted: Wanted;
  found: readonly Suggestion[];
  at: number;
  onPoint: (index: number) => void;
  onChoose: (chosen: Suggestion) => void;
  onClose: () => void;
}

function List({ id, field, wanted, found, at, onPoint, onChoose, onClose }: ListProps) {
  const t = useT();
  const box = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<{ left: number; top: number }>();
  const close = useRef(onClose);
  useEffect(() => {
    close.current = onClose;
  });

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const letter = letterBox(field, wanted.start);
    const { width, height } = element.getBoundingClientRect();
    const below = letter.bottom + 4;
    const top = below + height > innerHeight - 8 && letter.top - height - 4 > 8 ? letter.top - height - 4 : below;
    setPlace({ left: Math.max(8, Math.min(letter.left, innerWidth - width - 8)), top });
  }, [field, wanted.start, found.length]);

  useEffect(() => {
    box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at, found]);

  useEffect(() => {
    // The field may move under the list when the canvas does.
    const away = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) close.current();
    };
    window.addEventListener("wheel", away, { capture: true, passive: true });
    window.addEventListener("pointerdown", away, true);
    return () => {
      window.removeEventListener("wheel", away, true);
      window.removeEventListener("pointerdown", away, true);
    };
  }, []);

  const lora = wanted.kind === "lora";
  return createPortal(
    <div ref={box} className="popup suggestions" style={place ?? { left: 0, top: 0, opacity: 0 }} onPointerDown={(event) => event.preventDefault()}>
      <div className="suggestions-title">{t(lora ? "complete.loras" : "complete.embeddings")}</div>
      <div className="list" role="listbox" id={id} aria-label={t(lora ? "complete.loras" : "complete.embeddings")}>
        {found.map((entry, number) => (
          <div
            key={entry.name}
            id={`${id}-${number}`}
            role="option"
            data-option={entry.name}
            aria-selected={number === at}
            className="option"
            onPointerMove={() => number !== at && onPoint(number)}
            onClick={() => onChoose(entry)}
          >
            <span className="title">{entry.title}</span>
            <span className="aside">{entry.family}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <div className="empty">{t(lora ? "complete.noLoras" : "complete.noEmbeddings")}</div>}
      {lora && found.length > 0 && <div className="suggestions-note">{t("complete.loraNote")}</div>}
    </div>,
    document.body,
  );
}
