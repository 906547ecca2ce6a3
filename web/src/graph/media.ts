/** The media as the server describes them: how a file is shown, by its media type. Of two that have one, the first. */

import type { MediumInfo } from "../api/types";

export type { MediumInfo };
export type MediaView = MediumInfo["view"];

export class Media {
  constructor(readonly all: readonly MediumInfo[] = []) {}

  /** The medium of a media type, or of a file whose type the browser does not know. */
  of(mediaType: string, name = ""): MediumInfo | undefined {
    const byType = this.all.find((one) => one.types.includes(mediaType));
    const ending = /\.[^.]+$/.exec(name)?.[0].toLowerCase();
    return byType ?? (ending ? this.all.find((one) => one.suffixes.includes(ending)) : undefined);
  }

  view(mediaType: string): MediaView {
    return this.of(mediaType)?.view ?? "file";
  }

  named(name: string): MediumInfo | undefined {
    return this.all.find((one) => one.name === name);
  }

  /** What a file field of this kind takes, for the browser's file dialog; undefined for everything. */
  accept(kind: string): string | undefined {
    const medium = this.named(kind === "mask" ? "image" : kind);
    return medium && [...medium.types, ...medium.suffixes].join(",");
  }

  /** What can hold a workflow, for the browser's file dialog. */
  get carriers(): string {
    return [".json", ...this.all.filter((one) => one.carries.length).flatMap((one) => [...one.types, ...one.suffixes])].join(",");
  }

  /** Whether a file of this type fits into a field of this kind. */
  fits(kind: string, mediaType: string): boolean {
    const medium = this.named(kind === "mask" ? "image" : kind);
    return medium === undefined || medium.types.includes(mediaType);
  }

  carries(mediaType: string): boolean {
    return this.all.some((one) => one.carries.includes(mediaType));
  }
}
