import { useState } from "react";
import { useT } from "../i18n";
import { paintPicture } from "../state/painting";
import { Sheet } from "./Sheet";

interface Props {
  pictures: string[];
  index: number;
  compare?: string;
  onClose: () => void;
}

/** A picture as large as the window allows, or two on top of each other with a slider between them. */
export function Viewer({ pictures, index, compare, onClose }: Props) {
  const t = useT();
  const [at, setAt] = useState(index);
  const [part, setPart] = useState(50);
  const source = pictures[at];
  const step = (by: number) => setAt((before) => (before + by + pictures.length) % pictures.length);
  return (
    <Sheet title={t("viewer.title")} onClose={onClose} className="viewer">
      <div
        className="picture"
        onKeyDown={(event) => {
          if (compare || pictures.length < 2) return;
          if (event.key === "ArrowRight") step(1);
          if (event.key === "ArrowLeft") step(-1);
        }}
      >
        <img src={source} alt={t("viewer.title")} />
        {compare && <img className="over" src={compare} alt="" style={{ clipPath: `inset(0 0 0 ${part}%)` }} />}
        {compare && <span className="divider" style={{ left: `${part}%` }} />}
      </div>
      {!compare && source && (
        <div className="buttons">
          <button type="button" onClick={() => paintPicture(source)}>
            {t("painter.open")}
          </button>
        </div>
      )}
      {compare ? (
        <input type="range" min="0" max="100" value={part} aria-label={t("viewer.slider")} onChange={(event) => setPart(Number(event.target.value))} autoFocus />
      ) : (
        pictures.length > 1 && (
          <div className="buttons">
            <button type="button" onClick={() => step(-1)}>
              {t("viewer.previous")}
            </button>
            <span>
              {at + 1} / {pictures.length}
            </span>
            <button type="button" onClick={() => step(1)}>
              {t("viewer.next")}
            </button>
          </div>
        )
      )}
    </Sheet>
  );
}
