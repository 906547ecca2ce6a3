import { useEffect, useRef, useState } from "react";
import { reached } from "../api/base";
import { type TextKey, useT } from "../i18n";
import { Sheet } from "../ui/Sheet";
import { transformOf, useDrag, usePlace } from "./zoom";

type Way = "slider" | "difference" | "beside";
const WAYS: readonly Way[] = ["slider", "difference", "beside"];
const MOST_GAIN = 16;

/** Two images: one over the other with a slider between, what differs, or beside each other under one zoom. */
export function Compare({ first, second, onClose }: { first: string; second: string; onClose: () => void }) {
  const t = useT();
  const [way, setWay] = useState<Way>("slider");
  const [part, setPart] = useState(50);
  const [gain, setGain] = useState(1);
  const stage = useRef<HTMLDivElement>(null);
  const [place, setPlace] = usePlace(stage);
  const measured = useDifference(first, second, way === "difference");
  const slide = (clientX: number) => {
    const box = stage.current?.querySelector("img")?.getBoundingClientRect();
    if (box) setPart(Math.max(0, Math.min(100, ((clientX - box.left) / box.width) * 100)));
  };
  const drag = useDrag(setPlace, way === "slider" && place.zoom === 1 ? slide : null);
  const transform = transformOf(place);
  const sharp = place.zoom > 2 ? "pixels" : "";
  return (
    <Sheet title={t("viewer.compare")} onClose={onClose} className="viewer compare">
      <div className="segmented" role="group" aria-label={t("viewer.compare")}>
        {WAYS.map((one) => (
          <button key={one} type="button" data-compare={one} aria-pressed={way === one} onClick={() => setWay(one)}>
            {t(`compare.${one}` as TextKey)}
          </button>
        ))}
      </div>
      <div
        ref={stage}
        className={`image ${way}`}
        role="group"
        aria-label={t("viewer.compare")}
        {...drag}
      >
        {way === "beside" ? (
          [first, second].map((source, index) => (
            <div className="frame" key={index}>
              <div className="images" style={{ transform }}>
                <img src={reached(source)} alt={t(index ? "compare.second" : "compare.first")} draggable={false} className={sharp} />
              </div>
            </div>
          ))
        ) : (
          <div className="frame">
            <div className="images" style={{ transform, ...(way === "difference" ? { filter: `brightness(${gain})` } : {}) }}>
              <img src={reached(first)} alt={t("compare.first")} draggable={false} className={sharp} />
              <img className={`over ${sharp}`} src={reached(second)} alt={t("compare.second")} draggable={false} style={way === "slider" ? { clipPath: `inset(0 0 0 ${part}%)` } : { mixBlendMode: "difference" }} />
              {way === "slider" && <span className="divider" style={{ left: `${part}%`, width: 2 / place.zoom }} />}
            </div>
          </div>
        )}
      </div>
      {way === "slider" && <input type="range" min="0" max="100" value={Math.round(part)} aria-label={t("viewer.slider")} onChange={(event) => setPart(Number(event.target.value))} data-first />}
      {way === "difference" && (
        <div className="buttons">
          <label className="painter-field">
            <span>{t("compare.gain")}</span>
            <input type="range" min="1" max={MOST_GAIN} value={gain} onChange={(event) => setGain(Number(event.target.value))} />
            <output>{gain} ×</output>
          </label>
          <span data-difference>
            {measured && t(!measured.largest ? "compare.same" : measured.sized ? "compare.measured" : "compare.measured.resized", { share: (measured.share * 100).toFixed(measured.share < 0.1 ? 1 : 0), largest: measured.largest })}
          </span>
        </div>
      )}
    </Sheet>
  );
}

interface Difference {
  /** The part of the pixels that differ, 0 to 1. */
  share: number;
  /** The largest difference of a channel, of 255. */
  largest: number;
  /** Both have the same width and height. */
  sized: boolean;
}

/** Measured in the pixels of the first; the second is brought to its size. */
function useDifference(first: string, second: string, wanted: boolean): Difference | null {
  const [found, setFound] = useState<Difference | null>(null);
  useEffect(() => {
    if (!wanted) return;
    let stopped = false;
    void Promise.all([first, second].map(loaded)).then(
      ([one, other]) => {
        if (!stopped && one && other) setFound(difference(one, other));
      },
      () => undefined,
    );
    return () => {
      stopped = true;
    };
  }, [first, second, wanted]);
  return found;
}

async function loaded(source: string): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = reached(source);
  await image.decode();
  return image;
}

function difference(first: HTMLImageElement, second: HTMLImageElement): Difference {
  const [width, height] = [first.naturalWidth, first.naturalHeight];
  const [one, other] = [first, second].map((image) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  }) as [Uint8ClampedArray, Uint8ClampedArray];
  let [largest, differing] = [0, 0];
  for (let at = 0; at < one.length; at += 4) {
    let most = 0;
    for (let channel = at; channel < at + 4; channel++) most = Math.max(most, Math.abs((one[channel] as number) - (other[channel] as number)));
    largest = Math.max(largest, most);
    if (most) differing++;
  }
  return { share: differing / (width * height), largest, sized: second.naturalWidth === width && second.naturalHeight === height };
}
