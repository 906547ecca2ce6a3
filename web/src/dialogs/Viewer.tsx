import { useEffect, useRef, useState } from "react";
import { reached } from "../api/base";
import type { GalleryItem } from "../api/types";
import { useT } from "../i18n";
import { ImageFacts } from "../results/ImageFacts";
import { ImageMarks } from "../results/ImageMarks";
import { outputOf, rateByKey } from "../state/boards";
import { openGalleryItem } from "../state/documents";
import { setPreference, useApp } from "../state/store";
import { startComparing } from "../state/comparing";
import { paintImage } from "../state/painting";
import { Sheet } from "../ui/Sheet";
import { Compare } from "./Compare";
import { transformOf, useDrag, usePlace, WHOLE } from "./zoom";

interface Props {
  images: string[];
  index: number;
  compare?: string;
  onClose: () => void;
}

export function Viewer({ images, index, compare, onClose }: Props) {
  const source = images[index];
  return compare && source ? <Compare first={source} second={compare} onClose={onClose} /> : <Images images={images} index={index} onClose={onClose} />;
}

/** What is known of the image at an address, and whether something was of the one before: then the place for it is kept. */
function useOutput(url: string | undefined): { item: GalleryItem | null; kept: boolean } {
  const version = useApp((state) => state.filesVersion);
  const [found, setFound] = useState<{ url: string; item: GalleryItem | null } | null>(null);
  useEffect(() => {
    if (!url) return;
    let stale = false;
    outputOf(url).then((item) => !stale && setFound({ url, item }), () => undefined);
    return () => {
      stale = true;
    };
  }, [url, version]);
  return { item: found && found.url === url ? found.item : null, kept: Boolean(found?.item) };
}

/** An image as large as the window allows, with what is known of it. */
function Images({ images, index, onClose }: Omit<Props, "compare">) {
  const t = useT();
  const [at, setAt] = useState(index);
  const stage = useRef<HTMLDivElement>(null);
  const [place, setPlace] = usePlace(stage);
  const drag = useDrag(setPlace);
  const source = images[at];
  const { item, kept } = useOutput(source);
  const details = useApp((state) => state.preferences.viewerDetails);
  const step = (by: number) => {
    setAt((before) => (before + by + images.length) % images.length);
    setPlace(() => WHOLE);
  };
  return (
    <Sheet title={t("viewer.title")} onClose={onClose} className={kept && details ? "viewer with-details" : "viewer"}>
      <div
        className="looked-at"
        onKeyDown={(event) => {
          if (!(event.target instanceof HTMLInputElement) && item && rateByKey(event, [item.id])) event.preventDefault();
        }}
      >
        <div
          ref={stage}
          className="image"
          tabIndex={0}
          data-first
          role="group"
          aria-label={t("viewer.title")}
          onKeyDown={(event) => {
            if (images.length < 2) return;
            if (event.key === "ArrowRight") step(1);
            if (event.key === "ArrowLeft") step(-1);
          }}
          {...drag}
        >
          <div className="images" style={{ transform: transformOf(place) }}>
            <img src={source && reached(source)} alt={t("viewer.title")} draggable={false} className={place.zoom > 2 ? "pixels" : ""} />
          </div>
        </div>
        {item && details && (
          <div className="image-detail" role="region" aria-label={item.name}>
            <ImageMarks items={[item]} />
            <ImageFacts item={item} prompts />
          </div>
        )}
        <div className="buttons">
          {images.length > 1 && (
            <>
              <button type="button" onClick={() => step(-1)}>
                {t("viewer.previous")}
              </button>
              <span>
                {at + 1} / {images.length}
              </span>
              <button type="button" onClick={() => step(1)}>
                {t("viewer.next")}
              </button>
            </>
          )}
          {source && (
            <>
              <button type="button" onClick={() => startComparing(source)}>
                {t("gallery.compare")}
              </button>
              <button type="button" onClick={() => paintImage(source)}>
                {t("painter.open")}
              </button>
            </>
          )}
          {item && (
            <>
              <button
                type="button"
                onClick={() => {
                  onClose();
                  void openGalleryItem(item.id);
                }}
              >
                {t("gallery.open")}
              </button>
              <a className="button" href={reached(item.url)} download={item.name.split("/").pop()}>
                {t("gallery.download")}
              </a>
              <button type="button" aria-pressed={details} onClick={() => setPreference({ viewerDetails: !details })}>
                {t("viewer.details")}
              </button>
            </>
          )}
        </div>
      </div>
    </Sheet>
  );
}
