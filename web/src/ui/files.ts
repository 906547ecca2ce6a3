/** Files from the user, and their sizes in words. */

/** `accept` is what the browser's dialog shows: media types and endings; undefined for every file. */
export function pickFile(accept: string | undefined, done: (file: File) => void): void {
  pickFiles(accept, false, ([file]) => file && done(file));
}

/** As `pickFile`, for one or, where `several`, for any number of files. */
export function pickFiles(accept: string | undefined, several: boolean, done: (files: File[]) => void): void {
  const field = document.createElement("input");
  field.type = "file";
  field.multiple = several;
  if (accept) field.accept = accept;
  field.onchange = () => {
    if (field.files?.length) done([...field.files]);
  };
  field.click();
}

export function bytes(size: number): string {
  if (size >= 1e9) return `${(size / 1e9).toFixed(1)} GB`;
  return size >= 1e6 ? `${Math.round(size / 1e6)} MB` : `${Math.max(1, Math.round(size / 1e3))} kB`;
}
