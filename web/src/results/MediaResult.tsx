/** A file that is no image, by the means of its medium: a player, the first lines of a text, a thumbnail, its name. */

import { useEffect, useState } from "react";
import { reached } from "../api/base";
import { blobUrl, fetchBlob, fileUrl, thumbnailUrl } from "../api/client";
import { useT } from "../i18n";
import type { MediaView } from "../graph";
import { useApp } from "../state/store";

export interface MediaFile {
  name: string;
  media_type: string;
  url: string;
  /** Address of a small image; empty where there is none. */
  thumbnail: string;
}

/** A file of a node, with its addresses. */
export function mediaFile(file: { name: string; media_type: string; digest: string }): MediaFile {
  const medium = useApp.getState().catalogue.media.of(file.media_type);
  return { name: file.name, media_type: file.media_type, url: blobUrl(file.digest), thumbnail: medium?.thumbnails ? thumbnailUrl(file.digest, 512) : "" };
}

/** A file that is chosen in a field, of the input folder. */
export function pickedFile(name: string): MediaFile {
  const { catalogue, files } = useApp.getState();
  const digest = files.find((file) => file.name === name)?.digest;
  const medium = catalogue.media.of("", name);
  return { name, media_type: medium?.types[0] ?? "", url: fileUrl("input", name), thumbnail: digest && medium?.thumbnails ? thumbnailUrl(digest, 512) : "" };
}

export function openMedia(file: MediaFile): void {
  useApp.setState({ overlay: { kind: "media", file } });
}

export function MediaResult({ file, autoPlay = false }: { file: MediaFile; autoPlay?: boolean }) {
  const view: MediaView = useApp((state) => state.catalogue.media.view(file.media_type));
  const title = file.name.split("/").pop() ?? file.name;
  switch (view) {
    case "image":
      return <img src={reached(file.url)} alt={file.name} draggable={false} />;
    case "video":
      return <video className="media nodrag" src={reached(file.url)} poster={reached(file.thumbnail) || undefined} aria-label={file.name} controls loop muted={autoPlay} autoPlay={autoPlay} preload="metadata" playsInline />;
    case "audio":
      return (
        <figure className="media audio">
          {file.thumbnail && <img src={reached(file.thumbnail)} alt="" draggable={false} />}
          <audio className="nodrag" src={reached(file.url)} aria-label={file.name} controls preload="metadata" />
        </figure>
      );
    case "text":
      return <TextFile file={file} />;
    default:
      return (
        <figure className="media">
          {file.thumbnail && <img src={reached(file.thumbnail)} alt={file.name} draggable={false} />}
          <Download file={file} title={title} />
        </figure>
      );
  }
}

const FEW = 20_000;

function TextFile({ file }: { file: MediaFile }) {
  const [text, setText] = useState("");
  useEffect(() => {
    let stale = false;
    fetchBlob(file.url)
      .then((blob) => blob.slice(0, FEW).text())
      .then(
        (found) => !stale && setText(found),
        () => undefined,
      );
    return () => {
      stale = true;
    };
  }, [file.url]);
  return (
    <pre className="media nodrag" aria-label={file.name}>
      {text}
    </pre>
  );
}

export function Download({ file, title }: { file: MediaFile; title?: string }) {
  const t = useT();
  const name = file.name.split("/").pop() ?? file.name;
  return (
    <a className="button nodrag" href={reached(file.url)} download={name}>
      {title ?? t("gallery.download")}
    </a>
  );
}
