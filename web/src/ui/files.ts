/** Files from the user, and their sizes in words. */

/** `accept` is what the browser's dialog shows: media types and endings; undefined for every file. */
export function pickFile(accept: string | undefined, done: (file: File) => void): void {
  const field = document.createElement("input");
  field.type = "file";
  if (accept) field.accept = accept;
  field.onchange = () => {
    const file = field.files?.[0];
    if (file) done(file);
  };
  field.click();
}

export function bytes(size: number): string {
  if (size >= 1e9) return `${(size / 1e9).toFixed(1)} GB`;
  return size >= 1e6 ? `${Math.round(size / 1e6)} MB` : `${Math.max(1, Math.round(size / 1e3))} kB`;
}
