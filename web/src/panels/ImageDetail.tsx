import { useEffect, useState } from "react";
import { reached } from "../api/base";
import { call } from "../api/client";
import type { GalleryDetail, GalleryItem, Parameter } from "../api/types";
import { said, saidName, useT, useWords } from "../i18n";
import { asDocument } from "../graph";
import { openGalleryItem } from "../state/documents";
import { startComparing } from "../state/comparing";
import { loadShown } from "../state/files";
import { putBack } from "../state/gallery";
import { useApp } from "../state/store";
import { view } from "../canvas/view";
import { ImageFacts } from "../results/ImageFacts";
import { ImageMarks } from "../results/ImageMarks";

interface Props {
  item: GalleryItem;
  onRemove: (item: GalleryItem) => void;
  onView: (item: GalleryItem) => void;
}

/** Everything that is known of an image: what it shows, how it was made, and what can be done with it. */
export function ImageDetail({ item, onRemove, onView }: Props) {
  const t = useT();
  useWords();
  const catalogue = useApp((state) => state.catalogue);
  const [detail, setDetail] = useState<GalleryDetail | null>(null);
  useEffect(() => {
    let stale = false;
    call("GET /gallery/{item}", { path: { item: item.id } }).then(
      (found) => !stale && setDetail(found),
      () => undefined,
    );
    return () => {
      stale = true;
    };
  }, [item.id]);
  // A file that no run here has made still carries the values that made it.
  const [carried, setCarried] = useState<Parameter[]>([]);
  const bare = detail !== null && !detail.parameters.length;
  useEffect(() => {
    if (!bare) return;
    call("GET /gallery/{item}/document", { path: { item: item.id } }).then(
      (document) => setCarried(Object.entries(asDocument(document).nodes).flatMap(([node, { type, values }]) => Object.entries(values ?? {}).map(([port, value]) => ({ node, type, port, value })))),
      () => undefined,
    );
  }, [item.id, bare]);
  const byNode = new Map<string, { type: string; values: [string, string][] }>();
  for (const { node, type, port, value } of bare ? carried : (detail?.parameters ?? [])) {
    const group = byNode.get(node) ?? { type, values: [] };
    group.values.push([port, typeof value === "string" ? value : JSON.stringify(value)]);
    byNode.set(node, group);
  }
  return (
    <div className="image-detail" aria-label={item.name} role="region">
      <div className="image-head">
        {item.thumbnail && (
          <button type="button" className="plain" aria-label={t("viewer.title")} onClick={() => onView(item)}>
            <img src={reached(item.thumbnail)} alt="" />
          </button>
        )}
        <div>
          {item.prompts.map((prompt, index) => (
            <p key={index} className="prompt">
              {prompt}
            </p>
          ))}
        </div>
      </div>
      <div className="buttons">
        {item.trashed === null ? (
          <>
            <button type="button" className="primary" onClick={() => void openGalleryItem(item.id)}>
              {t("gallery.open")}
            </button>
            <button type="button" onClick={() => void loadShown(item.url, item.name, view.toGraph(view.center))}>
              {t("gallery.load")}
            </button>
            <button type="button" onClick={() => startComparing(item.url)}>
              {t("gallery.compare")}
            </button>
            <a className="button" href={reached(item.url)} download={item.name.split("/").pop()}>
              {t("gallery.download")}
            </a>
            <button type="button" onClick={() => onRemove(item)}>
              {t("gallery.delete")}
            </button>
          </>
        ) : (
          <button type="button" className="primary" onClick={() => void putBack([item.id])}>
            {t("gallery.restore")}
          </button>
        )}
      </div>
      {item.trashed === null && <ImageMarks items={[item]} />}
      <ImageFacts item={item} />
      {byNode.size > 0 && (
        <details>
          <summary>{t("gallery.parameters")}</summary>
          {[...byNode].map(([node, { type, values }]) => (
            <section key={node}>
              <h4>
                {said(catalogue.get(type)?.title ?? type)} <small>{node}</small>
              </h4>
              <dl className="facts">
                {values.map(([port, value]) => (
                  <div key={port}>
                    <dt>{saidName(port)}</dt>
                    <dd>{value}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </details>
      )}
    </div>
  );
}
