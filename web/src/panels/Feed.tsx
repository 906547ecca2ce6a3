import { useState } from "react";
import { reached } from "../api/base";
import { blobUrl, thumbnailUrl } from "../api/client";
import { useT } from "../i18n";
import { chooseSecond, compareImages } from "../state/comparing";
import { clearFeed, type FeedItem, useFeed } from "../state/feed";
import { dragImage } from "../state/files";
import { useApp } from "../state/store";
import { Icon } from "../ui/icons";

const keyOf = ({ run, node, file }: FeedItem) => `${run} ${node} ${file.digest} ${file.name}`;

/** The images that the runs of this page made, the newest first: looked at, compared, dragged onto the canvas. */
export function Feed({ onClose }: { onClose: () => void }) {
  const t = useT();
  const all = useFeed((state) => state.items);
  const media = useApp((state) => state.catalogue.media);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const items = all.filter((item) => media.view(item.file.media_type) === "image");
  const urls = items.map((item) => blobUrl(item.file.digest));
  const two = items.filter((item) => chosen.includes(keyOf(item)));
  const press = (item: FeedItem, index: number, event: React.MouseEvent) => {
    const key = keyOf(item);
    if (event.ctrlKey || event.metaKey) return setChosen((before) => (before.includes(key) ? before.filter((one) => one !== key) : [...before, key].slice(-2)));
    if (!chooseSecond(urls[index] ?? "")) useApp.setState({ overlay: { kind: "viewer", images: urls, index } });
  };
  return (
    <section className="feed" aria-label={t("feed.title")}>
      <header>
        <h3>{t("feed.title")}</h3>
        <small>{items.length ? t("feed.count", { count: items.length }) : ""}</small>
        {two.length === 2 && (
          <button type="button" className="primary" onClick={() => compareImages(blobUrl(two[1]?.file.digest ?? ""), blobUrl(two[0]?.file.digest ?? ""))}>
            {t("gallery.compare.two")}
          </button>
        )}
        <button type="button" className="icon" disabled={!items.length} aria-label={t("feed.clear")} title={t("feed.clear")} onClick={clearFeed}>
          <Icon name="clear" />
        </button>
        <button type="button" className="icon" aria-label={t("feed.close")} title={t("feed.close")} onClick={onClose}>
          ✕
        </button>
      </header>
      {!items.length && <p className="hint">{t("feed.empty")}</p>}
      <ul>
        {items.map((item, index) => (
          <li key={keyOf(item)}>
            <button
              type="button"
              className="plain"
              data-feed={item.run}
              aria-label={`${item.file.name} · ${item.run}`}
              title={t("feed.hint", { name: item.file.name })}
              aria-pressed={chosen.includes(keyOf(item))}
              draggable
              onDragStart={(event) => dragImage(event.dataTransfer, urls[index] ?? "", item.file.name, item.file.media_type)}
              onClick={(event) => press(item, index, event)}
           >
              <img src={reached(thumbnailUrl(item.file.digest, 128))} alt="" draggable={false} decoding="async" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
