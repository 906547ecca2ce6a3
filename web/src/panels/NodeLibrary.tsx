import { useMemo, useState } from "react";
import { view } from "../canvas/view";
import { said, saidName, useT, useWords } from "../i18n";
import { addModel, addNodeAt, DRAG_MODEL, DRAG_NODE } from "../state/files";
import { useApp } from "../state/store";
import { bytes } from "../ui/files";
import { rank } from "../ui/fuzzy";
import { TypeDots } from "../ui/TypeDots";

/** All node types by category, and the models: dragged onto the canvas, or added with Enter or a double click. */
export function NodeLibrary() {
  const t = useT();
  const [query, setQuery] = useState("");
  const catalogue = useApp((state) => state.catalogue);
  const models = useApp((state) => state.models);
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
  const found = useMemo(() => {
    const all = models.map((model) => ({ model, title: model.name, also: `${model.family} ${model.kind}` }));
    return query.trim() ? rank(all, query) : all;
  }, [models, query]);
  const center = () => view.toGraph(view.center);
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
              onDoubleClick={() => addNodeAt(spec.id, center())}
              onKeyDown={(event) => event.key === "Enter" && addNodeAt(spec.id, center())}
            >
              <span>{title}</span>
              {query.trim() !== "" && <small>{saidName(spec.category)}</small>}
              <TypeDots types={spec.outputs.map((port) => port.type)} />
            </button>
          </div>
        ))}
        <h3>{t("panel.models")}</h3>
        {!found.length && <p className="hint">{t("models.none")}</p>}
        {found.map(({ model }) => (
          <button
            key={model.name}
            type="button"
            className="library-row"
            data-model={model.name}
            draggable
            onDragStart={(event) => event.dataTransfer.setData(DRAG_MODEL, JSON.stringify({ name: model.name, kind: model.kind }))}
            onDoubleClick={() => addModel(model, center())}
            onKeyDown={(event) => event.key === "Enter" && addModel(model, center())}
          >
            <span>{model.name}</span>
            <small>{[model.family, model.kind, model.size ? bytes(model.size) : ""].filter(Boolean).join(" · ")}</small>
          </button>
        ))}
      </div>
    </>
  );
}
