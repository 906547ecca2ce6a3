import { address } from "../api/client";
import type { GalleryItem } from "../api/types";
import { useT } from "../i18n";
import { ImageMarks } from "../results/ImageMarks";
import { compareImages } from "../state/comparing";
import { openGalleryItem, saveFile } from "../state/documents";
import { putBack } from "../state/gallery";

/** What the server puts into one zip, and how many milliseconds lie between two downloads. */
const MOST_ZIPPED = 500;
const APART = 1000;
/** Each opens a tab. */
const MOST_OPENED = 12;

interface Props {
  items: readonly GalleryItem[];
  trashed: boolean;
  onRemove: () => void;
  onClear: () => void;
}

/** What can be done with several images at once. */
export function SeveralImages({ items, trashed, onRemove, onClear }: Props) {
  const t = useT();
  const [first, second] = items;
  const openAll = async () => {
    for (const item of items) await openGalleryItem(item.id);
  };
  // As one file: browsers lose downloads that begin at once.
  const parts = Array.from({ length: Math.ceil(items.length / MOST_ZIPPED) }, (_, at) => items.slice(at * MOST_ZIPPED, (at + 1) * MOST_ZIPPED));
  const download = async () => {
    for (const part of parts) {
      saveFile(address("GET /gallery/zip", { query: { items: part.map((item) => item.id).join(",") } }), "safelight.zip");
      await new Promise((done) => setTimeout(done, APART));
    }
  };
  return (
    <div className="image-detail" role="region" aria-label={t("gallery.chosen", { count: items.length })}>
      <div className="several-head">
        <strong>{t("gallery.chosen", { count: items.length })}</strong>
        <button type="button" className="icon" aria-label={t("gallery.unchoose")} title={t("gallery.unchoose")} onClick={onClear}>
          ✕
        </button>
      </div>
      <div className="buttons">
        {trashed ? (
          <button type="button" className="primary" onClick={() => void putBack(items.map((item) => item.id))}>
            {t("gallery.restore")}
          </button>
        ) : (
          <>
            {first && second && items.length === 2 && (
              <button type="button" className="primary" onClick={() => compareImages(first.url, second.url)}>
                {t("gallery.compare.two")}
              </button>
            )}
            {items.length <= MOST_OPENED && (
              <button type="button" onClick={() => void openAll()}>
                {t("gallery.open.all")}
              </button>
            )}
            <button type="button" onClick={() => void download()}>
              {t("gallery.download.zip")}
            </button>
            <button type="button" onClick={onRemove}>
              {t("gallery.delete")}
            </button>
          </>
        )}
      </div>
      {!trashed && <ImageMarks items={items} />}
    </div>
  );
}
