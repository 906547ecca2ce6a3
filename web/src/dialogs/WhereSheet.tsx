import { useMemo, useState } from "react";
import { useT, useWords } from "../i18n";
import { specOption } from "../canvas/nodeOptions";
import { freePlace, showAdded } from "../canvas/place";
import { addNodeAt } from "../state/files";
import { useApp } from "../state/store";
import { rank } from "../ui/fuzzy";
import { Sheet } from "../ui/Sheet";

const SHOWN = 200;

/** Their word, our node: the other names that nodes are found by, as a table. Choosing a row adds the node. */
export function WhereSheet({ onClose }: { onClose: () => void }) {
  const t = useT();
  const words = useWords();
  const catalogue = useApp((state) => state.catalogue);
  const [query, setQuery] = useState("");
  const rows = useMemo(
    () =>
      catalogue.nodes
        .filter((spec) => !spec.deprecated)
        .flatMap((spec) => {
          const { title: ours, group } = specOption(spec);
          return spec.tags.map((tag) => ({ id: spec.id, tag, title: tag, ours, group }));
        })
        .sort((a, b) => a.tag.localeCompare(b.tag)),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the titles are read with the words
    [catalogue, words],
  );
  const found = query.trim() ? rank(rows.map((row) => ({ ...row, also: row.ours })), query) : rows;
  const add = (type: string) => {
    onClose();
    showAdded(addNodeAt(type, freePlace()));
  };
  return (
    <Sheet title={t("where.title")} onClose={onClose} className="where">
      <p className="hint">{t("where.hint")}</p>
      <input type="search" aria-label={t("where.search")} placeholder={t("where.search")} value={query} onChange={(event) => setQuery(event.target.value)} />
      <ul className="where-list">
        {found.slice(0, SHOWN).map((row) => (
          <li key={`${row.id} ${row.tag}`}>
            <button type="button" data-where={row.id} onClick={() => add(row.id)}>
              <span>{row.tag}</span>
              <strong>{row.ours}</strong>
              <small>{row.group}</small>
            </button>
          </li>
        ))}
      </ul>
      {found.length > SHOWN && <p className="hint">{t("versions.more", { count: found.length - SHOWN })}</p>}
      {!found.length && <p className="hint">{t("where.none")}</p>}
    </Sheet>
  );
}
