/** Out of a field: back to the canvas that it lies on, else to nothing. */
export function leave(field: HTMLElement): void {
  const canvas = field.closest<HTMLElement>("#canvas");
  if (canvas) canvas.focus({ preventScroll: true });
  else field.blur();
}
