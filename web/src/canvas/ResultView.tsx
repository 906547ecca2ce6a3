/**
 * What a node made: images, a video or another medium, or the preview of the one that is being made; a curve; values that can be read. A node that
 * loads an image shows it before it has run.
 */

import { reached } from "../api/base";
import { blobUrl, fileUrl, thumbnailUrl } from "../api/client";
import type { NodeState } from "../api/types";
import { saidName, useT } from "../i18n";
import { chooseSecond } from "../state/comparing";
import { resultKey, resultKind, useResults } from "../state/status";
import { MediaResult, mediaFile, pickedFile } from "../results/MediaResult";
import { useApp } from "../state/store";

interface Props {
  tab: string;
  id: string;
  /** Names of the images that are chosen in its fields. */
  picked: string[];
  y: number;
  h: number;
}

interface Shown {
  name: string;
  /** Its address in full, and small. */
  url: string;
  thumbnail: string;
  small: boolean;
}

/** At most so many images stand in a node, in a square of rows; the viewer has all. */
const SHOWN = 9;

export function ResultView({ tab, id, picked, y, h }: Props) {
  const t = useT();
  const result = useResults((state) => state.results[resultKey(tab, id)]);
  const kind = result && resultKind(result);
  const files = useApp((state) => state.files);
  const media = useApp((state) => state.catalogue.media);
  const given = result?.kept ?? result?.files ?? [];
  const other = given.find((file) => media.view(file.media_type) !== "image");
  const made = given
    .filter((file) => media.view(file.media_type) === "image")
    .map((file): Shown => ({ name: file.name, url: blobUrl(file.digest), thumbnail: thumbnailUrl(file.digest, 512), small: (file.width ?? 512) <= 256 }));
  const viewed = picked.find((name) => !["image", "file"].includes(media.of("", name)?.view ?? "file"));
  const shown = other && !made.length ? mediaFile(other) : viewed && !made.length ? pickedFile(viewed) : null;
  const chosen = picked.map((name): Shown => {
    const url = fileUrl("input", name);
    const digest = files.find((file) => file.name === name)?.digest;
    return { name, url, thumbnail: digest ? thumbnailUrl(digest, 512) : url, small: false };
  });
  const images = made.length ? made : chosen;
  const columns = Math.ceil(Math.sqrt(Math.min(images.length, SHOWN)));
  const rows = Math.ceil(Math.min(images.length, SHOWN) / columns);
  const open = (index: number) => useApp.setState({ overlay: { kind: "viewer", images: images.map((one) => one.url), index } });
  return (
    <div className={`result ${kind ?? ""}`} style={{ top: y, height: h }}>
      {kind === "curve" && result?.curve ? (
        <Curve points={result.curve} height={h} />
      ) : kind === "values" && result?.values ? (
        <Values values={result.values} />
      ) : result?.live ? (
        <img className="live" src={reached(result.live)} alt="" draggable={false} />
      ) : shown ? (
        <MediaResult file={shown} />
      ) : images.length ? (
        images.slice(0, SHOWN).map((one, index) => (
          <img
            key={`${index} ${one.url}`}
            src={reached(one.thumbnail)}
            alt={one.name}
            draggable={false}
            data-url={one.url}
            className={one.small ? "small" : ""}
            style={{ flexBasis: `${100 / columns}%`, height: `${100 / rows}%` }}
            onClick={(event) => chooseSecond(one.url) && event.stopPropagation()}
            onDoubleClick={(event) => {
              event.stopPropagation();
              open(index);
            }}
          />
        )).concat(images.length > SHOWN ? [<More key="more" count={images.length - SHOWN} onOpen={() => open(SHOWN)} />] : [])
      ) : (
        <span className="hint">{t("node.preview")}</span>
      )}
    </div>
  );
}

function More({ count, onOpen }: { count: number; onOpen: () => void }) {
  const t = useT();
  return (
    <button type="button" className="more-images nodrag" title={t("result.more", { count })} aria-label={t("result.more", { count })} onClick={onOpen}>
      +{count}
    </button>
  );
}

/** At most so many points are drawn: more than a node is wide show nothing more. */
const MOST = 200;
const WIDTH = 220;

/** A loss over the steps, with its range and the newest value. */
function Curve({ points, height }: { points: NodeState["curve"]; height: number }) {
  const t = useT();
  const every = Math.ceil(points.length / MOST);
  const drawn = points.filter((_, index) => index % every === 0 || index === points.length - 1);
  const values = points.map(([, value]) => value).filter(Number.isFinite);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const first = points[0]?.[0] ?? 0;
  const last = points[points.length - 1]?.[0] ?? 1;
  const room = height - 26;
  const place = ([step, value]: NodeState["curve"][number]) => {
    const x = ((step - first) / (last - first || 1)) * WIDTH;
    const y = 4 + (1 - (value - low) / (high - low || 1)) * (room - 8);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  const now = values[values.length - 1] ?? 0;
  return (
    <figure className="curve" aria-label={t("result.curve", { value: short(now), low: short(low), high: short(high), step: last })}>
      <svg viewBox={`0 0 ${WIDTH} ${room}`} preserveAspectRatio="none" aria-hidden="true">
        <polyline points={drawn.filter(([, value]) => Number.isFinite(value)).map(place).join(" ")} fill="none" stroke="currentColor" strokeWidth="1.5" vectorEffect="non-scaling-stroke" />
      </svg>
      <figcaption>
        <span>{`${short(low)} – ${short(high)}`}</span>
        <b>{short(now)}</b>
        <span>{last}</span>
      </figcaption>
    </figure>
  );
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function Values({ values }: { values: NodeState["values"] }) {
  const entries = Object.entries(values);
  return (
    <dl className="values">
      {entries.map(([name, value]) => (
        <div key={name}>
          {entries.length > 1 && <dt>{saidName(name)}</dt>}
          <dd title={readable(value)}>{readable(value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function readable(value: unknown): string {
  if (Array.isArray(value)) return value.map(readable).join(", ");
  return typeof value === "number" ? String(Number(value.toPrecision(8))) : String(value);
}
