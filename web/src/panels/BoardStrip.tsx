import { useState } from "react";
import type { Board } from "../api/types";
import { useT } from "../i18n";
import { BoardName } from "../results/ImageMarks";
import { DRAG_ITEMS, layOn, makeBoard, removeBoard, renameBoard, useBoards } from "../state/boards";

/** All boards: one is looked at by a click; images that are dropped on one come to lie there, on the plus on a new one. */
export function BoardStrip({ board, setBoard }: { board: string; setBoard: (id: string) => void }) {
  const t = useT();
  const { boards } = useBoards();
  const [naming, setNaming] = useState<"new" | "rename" | null>(null);
  const [dropped, setDropped] = useState<string[]>([]);
  const [over, setOver] = useState("");
  const open = boards.find((one) => one.id === board);
  const take = (id: string, drop: (items: string[]) => void) => ({
    onDragOver: (event: React.DragEvent) => {
      if (!event.dataTransfer.types.includes(DRAG_ITEMS)) return;
      event.preventDefault();
      event.stopPropagation();
      setOver(id);
    },
    onDragLeave: () => setOver(""),
    onDrop: (event: React.DragEvent) => {
      event.preventDefault();
      event.stopPropagation();
      setOver("");
      const text = event.dataTransfer.getData(DRAG_ITEMS);
      if (text) drop(JSON.parse(text) as string[]);
    },
  });
  const name = async (text: string) => {
    if (naming === "rename" && open) return renameBoard(open.id, text);
    const made: Board | null = await makeBoard(text, dropped);
    if (made && !dropped.length) setBoard(made.id);
    return made;
  };
  return (
    <div className="boards" role="group" aria-label={t("gallery.boards")}>
      <button type="button" className="chip" aria-pressed={!board} onClick={() => setBoard("")}>
        {t("gallery.board.all")}
      </button>
      {boards.map((one) =>
        naming === "rename" && one.id === board ? (
          <BoardName key={one.id} name={one.name} onName={(text) => void name(text)} onClose={() => setNaming(null)} />
        ) : (
          <button
            key={one.id}
            type="button"
            className={`chip${over === one.id ? " over" : ""}`}
            data-board={one.name}
            title={one.name}
            aria-pressed={one.id === board}
            onClick={() => setBoard(one.id === board ? "" : one.id)}
            {...take(one.id, (items) => void layOn(one, items))}
          >
            <span>{one.name}</span> <small>{one.count}</small>
          </button>
        ),
      )}
      {naming === "new" ? (
        <BoardName name="" onName={(text) => void name(text)} onClose={() => setNaming(null)} />
      ) : (
        <button
          type="button"
          className={`chip${over === "+" ? " over" : ""}`}
          aria-label={t("gallery.board.new")}
          title={t("gallery.board.new")}
          onClick={() => {
            setDropped([]);
            setNaming("new");
          }}
          {...take("+", (items) => {
            setDropped(items);
            setNaming("new");
          })}
        >
          +
        </button>
      )}
      {open && naming === null && (
        <>
          <button type="button" className="icon" aria-label={t("gallery.board.rename")} title={t("gallery.board.rename")} onClick={() => setNaming("rename")}>
            ✎
          </button>
          <button
            type="button"
            className="icon"
            aria-label={t("gallery.board.delete")}
            title={t("gallery.board.delete")}
            onClick={() => {
              setBoard("");
              void removeBoard(open);
            }}
          >
            ✕
          </button>
        </>
      )}
    </div>
  );
}
