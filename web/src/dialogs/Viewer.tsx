import { useEffect, useRef, useState } from "react";
import { useT } from "../i18n";
import { paintImage } from "../state/painting";
import { Sheet } from "../ui/Sheet";

interface Props {
  images: string[];
  index: number;
  compare?: string;
  onClose: () => void;
}

interface Place {
  zoom: number;
  x: number;
  y: number;
}

const WHOLE: Place = { zoom: 1, x: 0, y: 0 };
const MAX_ZOOM = 16;

/** An image as large as the window allows, or two on top of each other with a slider between them. */
export function Viewer({ images, index, compare, onClose }: Props) {
  const t = useT();
  const [at, setAt] = useState(index);
  const [part, setPart] = useState(50);
  const [place, setPlace] = useState(WHOLE);
  const stage = useRef<HTMLDivElement>(null);
  const drag = useRef<{ x: number; y: number; slider: boolean } | null>(null);
  const source = images[at];
  const step = (by: number) => {
    setAt((before) => (before + by + images.length) % images.length);
    setPlace(WHOLE);
  };
  useEffect(() => {
    // React listens to wheels passively; here it zooms at the pointer.
    const element = stage.current;
    if (!element) return;
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      const [px, py] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
      setPlace(({ zoom, x, y }) => {
        const next = Math.min(MAX_ZOOM, Math.max(1, zoom * Math.exp(-event.deltaY * 0.002)));
        return next === 1 ? WHOLE : { zoom: next, x: px - ((px - x) * next) / zoom, y: py - ((py - y) * next) / zoom };
      });
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, []);
  const transform = `translate(${place.x}px, ${place.y}px) scale(${place.zoom})`;
  const slide = (clientX: number) => {
    const box = stage.current?.querySelector("img")?.getBoundingClientRect();
    if (box) setPart(Math.max(0, Math.min(100, ((clientX - box.left) / box.width) * 100)));
  };
  return (
    <Sheet title={t(compare ? "viewer.compare" : "viewer.title")} onClose={onClose} className="viewer">
      <div
        ref={stage}
        className="image"
        tabIndex={compare ? -1 : 0}
        autoFocus={!compare}
        role="group"
        aria-label={t("viewer.title")}
        onKeyDown={(event) => {
          if (compare || images.length < 2) return;
          if (event.key === "ArrowRight") step(1);
          if (event.key === "ArrowLeft") step(-1);
        }}
        onDoubleClick={() => setPlace((before) => (before.zoom > 1 ? WHOLE : { ...WHOLE, zoom: 3 }))}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          drag.current = { x: event.clientX, y: event.clientY, slider: compare !== undefined && place.zoom === 1 };
          if (drag.current.slider) slide(event.clientX);
        }}
        onPointerMove={(event) => {
          const from = drag.current;
          if (!from) return;
          if (from.slider) return slide(event.clientX);
          setPlace((before) => (before.zoom > 1 ? { ...before, x: before.x + event.clientX - from.x, y: before.y + event.clientY - from.y } : before));
          drag.current = { ...from, x: event.clientX, y: event.clientY };
        }}
        onPointerUp={() => (drag.current = null)}
        onPointerCancel={() => (drag.current = null)}
      >
        <div className="images" style={{ transform }}>
          <img src={source} alt={t("viewer.title")} draggable={false} className={place.zoom > 2 ? "pixels" : ""} />
          {compare && <img className="over" src={compare} alt="" draggable={false} style={{ clipPath: `inset(0 0 0 ${part}%)` }} />}
          {compare && <span className="divider" style={{ left: `${part}%`, width: 2 / place.zoom }} />}
        </div>
      </div>
      {compare ? (
        <input type="range" min="0" max="100" value={Math.round(part)} aria-label={t("viewer.slider")} onChange={(event) => setPart(Number(event.target.value))} autoFocus />
      ) : (
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
            <button type="button" onClick={() => paintImage(source)}>
              {t("painter.open")}
            </button>
          )}
        </div>
      )}
    </Sheet>
  );
}
