/** The rating, the tags and the boards of one image or of several, to be changed. */

import { useId, useState } from "react";
import type { GalleryItem } from "../api/types";
import { useT } from "../i18n";
import { layOn, makeBoard, mark, STARS, useBoards } from "../state/boards";

const NEW = "+";

export function ImageMarks({ items }: { items: readonly GalleryItem[] }) {
  const t = useT();
  const { boards, tags } = useBoards();
  const [word, setWord] = useState("");
  const [board, setBoard] = useState<string | null>(null);
  const list = useId();
  const ids = items.map((item) => item.id);
  const rating = items.every((item) => item.rating === items[0]?.rating) ? (items[0]?.rating ?? 0) : 0;
  const has = [...new Set(items.flatMap((item) => item.tags))].sort((a, b) => a.localeCompare(b));
  const on = boards.filter(({ id }) => items.some((item) => item.boards.includes(id)));
  const off = boards.filter(({ id }) => !items.every((item) => item.boards.includes(id)));
  const addTags = () => {
    const words = word.split(",").filter((one) => one.trim());
    setWord("");
    if (words.length) void mark(ids, { add_tags: words });
  };
  const lay = (id: string) => {
    const wanted = boards.find((one) => one.id === id);
    if (id === NEW) setBoard("");
    else if (wanted) void layOn(wanted, ids);
  };
  return (
    <div className="image-marks">
      <div className="stars" role="group" aria-label={t("gallery.rating")}>
        {STARS.map((star) => (
          <button
            key={star}
            type="button"
            className="icon"
            data-stars={star}
            aria-pressed={rating >= star}
            aria-label={t("gallery.rate", { count: star })}
            title={t("gallery.rate.key", { count: star })}
            onClick={() => void mark(ids, { rating: rating === star ? 0 : star })}
          >
            {rating >= star ? "★" : "☆"}
          </button>
        ))}
      </div>
      <div className="chips">
        {has.map((tag) => (
          <span key={tag} className="chip" data-tag={tag}>
            {tag}
            <button type="button" className="icon" aria-label={t("gallery.tag.remove", { name: tag })} title={t("gallery.tag.remove", { name: tag })} onClick={() => void mark(ids, { remove_tags: [tag] })}>
              ✕
            </button>
          </span>
        ))}
        <input
          className="add-tag"
          list={list}
          aria-label={t("gallery.tag.add")}
          placeholder={t("gallery.tag.add")}
          value={word}
          maxLength={120}
          onChange={(event) => setWord(event.target.value)}
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Enter") addTags();
          }}
          onBlur={addTags}
        />
        <datalist id={list}>
          {tags.filter((tag) => !has.includes(tag)).map((tag) => (
            <option key={tag} value={tag} />
          ))}
        </datalist>
      </div>
      <div className="chips">
        {on.map(({ id, name }) => (
          <span key={id} className="chip board" data-on-board={name}>
            {name}
            <button type="button" className="icon" aria-label={t("gallery.board.off", { name })} title={t("gallery.board.off", { name })} onClick={() => void mark(ids, { remove_boards: [id] })}>
              ✕
            </button>
          </span>
        ))}
        {board === null ? (
          <select aria-label={t("gallery.board.add")} value="" onChange={(event) => lay(event.target.value)}>
            <option value="">{t("gallery.board.add")}</option>
            {off.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
            <option value={NEW}>{t("gallery.board.new")}…</option>
          </select>
        ) : (
          <BoardName name={board} onName={(name) => void makeBoard(name, ids)} onClose={() => setBoard(null)} />
        )}
      </div>
    </div>
  );
}

/** Asks for the name of a board in place: Enter takes it, Escape does not. */
export function BoardName({ name, onName, onClose }: { name: string; onName: (name: string) => void; onClose: () => void }) {
  const t = useT();
  const [text, setText] = useState(name);
  const take = () => {
    if (text.trim() && text.trim() !== name) onName(text.trim());
    onClose();
  };
  return (
    <input
      className="board-name"
      aria-label={t("gallery.board.name")}
      placeholder={t("gallery.board.name")}
      autoFocus
      maxLength={100}
      value={text}
      onChange={(event) => setText(event.target.value)}
      onFocus={(event) => event.target.select()}
      onBlur={onClose}
      onKeyDown={(event) => {
        if (event.key === "Enter") take();
        else if (event.key === "Escape") onClose();
        else return event.stopPropagation();
        // The sheet around it, or the selection, is not meant.
        event.preventDefault();
        event.stopPropagation();
      }}
    />
  );
}
