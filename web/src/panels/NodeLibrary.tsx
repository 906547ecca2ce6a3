import { useMemo, useState } from "react";
import { freePlace, showAdded } from "../canvas/place";
import { WIDTH } from "../graph";
import { said, saidName, useT, useWords } from "../i18n";
import { addNodeAt, DRAG_NODE } from "../state/files";
import { addKept, DRAG_SNIPPET, importKept, isKept, keptTitle } from "../state/library";
import { useApp } from "../state/store";
import { pickFile } from "../ui/files";
import { rank } from "../ui/fuzzy";
import { TypeDots } from "../ui/TypeDots";

/** What the user has kept of graphs: dragged onto the canvas as nodes are. */
function Snippets({ query }: { query: string }) {
  const t = useT();
  const workflows = useApp((state) => state.workflows);
  const all = workflows.filter(isKept).map(({ name, description, nodes }) => ({ name, title: keptTitle(name), also: description, nodes: nodes ?? 0 }));
  const sorted = all.sort((a, b) => a.title.localeCompare(b.title));
  const found = query.trim() ? rank(sorted, query) : sorted;
  if (query.trim() && !found.length) return null;
  const insert = (name: string) => {
    const { x, y } = freePlace();
    void addKept(name, { x: x - WIDTH / 2, y: y - 20 });
  };
  return (
    <section className="snippets" aria-label={t("library.title")}>
      <h3>
        {t("library.title")}
        <button type="button" className="icon" onClick={() => pickFile(".json,application/json", (file) => void importKept(file))}>
          {t("snippet.import")}
        </button>
      </h3>
      {!all.length && <p className="hint">{t("snippet.none")}</p>}
      {found.map(({ name, title, also, nodes }) => (
        <div key={name} className="snippet-row">
          <button
            type="button"
            className="library-row"
            data-snippet={title}
            title={also}
            draggable
            onDragStart={(event) => event.dataTransfer.setData(DRAG_SNIPPET, name)}
            onDoubleClick={() => insert(name)}
            onKeyDown={(event) => event.key === "Enter" && insert(name)}
          >
            <span>{title}</span>
            <small>{query.trim() ? t("snippet.mark") : t("templates.nodes", { count: nodes })}</small>
          </button>
          <button
            type="button"
            className="icon"
            aria-haspopup="menu"
            aria-label={t("workflows.menu", { name: title })}
            title={t("menu")}
            onClick={(event) => {
              const box = event.currentTarget.getBoundingClientRect();
              useApp.setState({ overlay: { kind: "menu", screen: { x: box.left, y: box.bottom + 4 }, items: [`snippet:${name}`] } });
            }}
          >
            ⋯
          </button>
        </div>
      ))}
    </section>
  );
}

/** All node types by category: dragged onto the canvas, or added with Enter or a double click. */
export function NodeLibrary() {
  const t = useT();
  const [query, setQuery] = useState("");
  const catalogue = useApp((state) => state.catalogue);
  const packs = useApp((state) => state.packs);
  const broken = packs.filter((pack) => pack.reason);
  const words = useWords();
  const nodes = useMemo(() => {
    const all = catalogue.nodes.filter((spec) => !spec.deprecated).map((spec) => {
      const title = said(spec.title);
      const help = said(spec.help);
      return { spec, title, help, tags: [...spec.tags, ...spec.aliases], also: `${spec.id} ${spec.title} ${spec.category} ${help}` };
    });
    const sorted = all.sort((a, b) => a.spec.category.localeCompare(b.spec.category) || a.title.localeCompare(b.title));
    return query.trim() ? rank(sorted, query) : sorted;
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `said` reads the words of the language
  }, [catalogue, words, query]);
  const add = (type: string) => showAdded(addNodeAt(type, freePlace()));
  return (
    <>
      <input type="search" className="filter" placeholder={t("add.placeholder")} aria-label={t("add.placeholder")} value={query} onChange={(event) => setQuery(event.target.value)} />
      <div className="scroll library">
        <p className="hint">{t("library.hint")}</p>
        {broken.map(({ name, reason, remedy }) => (
          <p key={name} className="hint broken-pack" role="alert">
            {t("packs.broken", { name, reason: `${reason} ${remedy}` })}
          </p>
        ))}
        <Snippets query={query} />
        {nodes.map(({ spec, title, help }, index) => (
          <div key={spec.id}>
            {!query.trim() && spec.category !== nodes[index - 1]?.spec.category && <h3>{saidName(spec.category)}</h3>}
            <button
              type="button"
              className="library-row"
              data-type={spec.id}
              title={help}
              draggable
              onDragStart={(event) => event.dataTransfer.setData(DRAG_NODE, spec.id)}
              onDoubleClick={() => add(spec.id)}
              onKeyDown={(event) => event.key === "Enter" && add(spec.id)}
            >
              <span>{title}</span>
              {query.trim() !== "" && <small>{saidName(spec.category)}</small>}
              <TypeDots types={spec.outputs.map((port) => port.type)} />
            </button>
          </div>
        ))}
      </div>
    </>
  );
}
