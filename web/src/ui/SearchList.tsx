import { type ReactNode, useEffect, useId, useMemo, useRef, useState } from "react";
import { rank } from "./fuzzy";

export interface Option {
  id: string;
  title: string;
  /** Other names of it. */
  tags?: readonly string[];
  /** Further text that is searched, with less weight. */
  also?: string;
  detail?: ReactNode;
  aside?: ReactNode;
  group?: string;
}

interface Props {
  options: readonly Option[];
  label: string;
  placeholder: string;
  empty: string;
  onChoose: (id: string) => void;
  onClose: () => void;
  current?: string;
  /** Takes what was typed when no option has that name. */
  onText?: (text: string) => void;
  /** Takes an option away: by a middle click, or by Delete where nothing that was typed stands behind the cursor. */
  onRemove?: (id: string) => void;
  limit?: number;
  /** Choosing with Enter goes on to the next, for walking through what was found. */
  cycle?: boolean;
}

/** A search field with a list below it: for nodes, commands, choices, models. Follows the combobox pattern of ARIA. */
export function SearchList({ options, label, placeholder, empty, onChoose, onClose, current, onText, onRemove, limit = 200, cycle = false }: Props) {
  const [query, setQuery] = useState("");
  const [index, setIndex] = useState(() => Math.max(0, options.findIndex((option) => option.id === current)));
  const list = useRef<HTMLDivElement>(null);
  const id = useId();
  const found = useMemo(() => (query.trim() ? rank(options, query) : options).slice(0, limit), [options, query, limit]);
  const at = Math.min(index, Math.max(0, found.length - 1));

  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at, found]);

  return (
    <div className="search-list">
      <input
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={found[at] ? `${id}-${at}` : undefined}
        aria-label={label}
        placeholder={placeholder}
        autoFocus
        value={query}
        spellCheck={false}
        onChange={(event) => {
          setQuery(event.target.value);
          setIndex(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" || (event.key === "Tab" && !event.shiftKey)) setIndex(Math.min(at + 1, found.length - 1));
          else if (event.key === "ArrowUp" || (event.key === "Tab" && event.shiftKey)) setIndex(Math.max(at - 1, 0));
          else if (event.key === "PageDown") setIndex(Math.min(at + 8, found.length - 1));
          else if (event.key === "PageUp") setIndex(Math.max(at - 8, 0));
          else if (event.key === "Enter") {
            const chosen = found[at];
            if (chosen) {
              onChoose(chosen.id);
              if (cycle) setIndex((at + 1) % found.length);
            } else if (onText && query.trim()) onText(query.trim());
          } else if (event.key === "Delete" && onRemove && event.currentTarget.selectionStart === query.length) {
            if (found[at]) onRemove(found[at].id);
          } else if (event.key === "Escape") onClose();
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      <div className="list" role="listbox" id={`${id}-list`} aria-label={label} ref={list}>
        {found.map((option, number) => (
          <div key={option.id}>
            {!query.trim() && option.group && option.group !== found[number - 1]?.group && (
              <div className="group" role="presentation">
                {option.group}
              </div>
            )}
            <div
              id={`${id}-${number}`}
              role="option"
              data-option={option.id}
              aria-selected={number === at}
              className={option.id === current ? "option current" : "option"}
              onPointerMove={() => number !== at && setIndex(number)}
              onClick={() => onChoose(option.id)}
              // Else the middle button begins to scroll.
              onMouseDown={(event) => event.button === 1 && event.preventDefault()}
              onAuxClick={(event) => event.button === 1 && onRemove?.(option.id)}
            >
              <span className="title">{option.title}</span>
              {option.aside && <span className="aside">{option.aside}</span>}
              {option.detail && <span className="detail">{option.detail}</span>}
            </div>
          </div>
        ))}
        {!found.length && <div className="empty">{empty}</div>}
      </div>
    </div>
  );
}
