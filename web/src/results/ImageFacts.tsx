/** What is known of an image at a glance, each to be copied. */

import { useState } from "react";
import type { GalleryItem } from "../api/types";
import { useT, when } from "../i18n";
import { copyText } from "../ui/copy";
import { bytes } from "../ui/files";
import { Icon } from "../ui/icons";

export function ImageFacts({ item, prompts = false }: { item: GalleryItem; prompts?: boolean }) {
  const t = useT();
  // What was copied last; said in place, since a message would lie below the viewer.
  const [copied, setCopied] = useState("");
  const copy = (text: string) => void copyText(text).then((done) => done && setCopied(text));
  const facts: [string, string][] = [
    ...(prompts ? item.prompts.map((prompt): [string, string] => [t("gallery.fact.prompt"), prompt]) : []),
    [t("gallery.fact.model"), item.models.join(", ")],
    [t("gallery.fact.seed"), item.seed === null ? "" : String(item.seed)],
    [t("gallery.fact.workflow"), item.workflow ?? ""],
    [t("gallery.fact.size"), [item.width ? `${item.width} × ${item.height}` : "", item.seconds ? `${item.seconds.toFixed(1)} s` : "", bytes(item.size)].filter(Boolean).join(" · ")],
    [t("gallery.fact.made"), `${when(item.made)}${item.run ? ` · ${item.run}` : ""}`],
    [t("gallery.fact.file"), item.name],
  ];
  return (
    <dl className="facts copied">
      {facts
        .filter(([, value]) => value)
        .map(([name, value], index) => (
          <div key={index}>
            <dt>{name}</dt>
            <dd>{value}</dd>
            <dd>
              <button type="button" className="icon" aria-label={t("gallery.copy", { name })} title={t(copied === value ? "copied" : "gallery.copy", { name })} onClick={() => copy(value)}>
                {copied === value ? "✓" : <Icon name="copy" />}
              </button>
            </dd>
          </div>
        ))}
    </dl>
  );
}
