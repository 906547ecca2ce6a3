/** Where a letter of a text field is on the screen: a copy of the field is laid out up to it. */

const COPIED = [
  "boxSizing", "width", "height", "paddingTop", "paddingRight", "paddingBottom", "paddingLeft",
  "borderTopWidth", "borderRightWidth", "borderBottomWidth", "borderLeftWidth", "borderStyle",
  "fontFamily", "fontSize", "fontStyle", "fontWeight", "fontVariant", "fontStretch", "lineHeight", "letterSpacing",
  "wordSpacing", "textAlign", "textIndent", "textTransform", "tabSize", "overflowWrap", "wordBreak",
] as const; // prettier-ignore

/** The box of the letter at `index`, in pixels of the window, whatever the zoom of the canvas. */
export function letterBox(field: HTMLTextAreaElement | HTMLInputElement, index: number): DOMRect {
  const style = getComputedStyle(field);
  const copy = document.createElement("div");
  for (const name of COPIED) copy.style[name] = style[name];
  Object.assign(copy.style, { position: "absolute", left: "-9999px", top: "0", overflow: "hidden", visibility: "hidden" });
  copy.style.whiteSpace = field instanceof HTMLTextAreaElement ? "pre-wrap" : "pre";
  copy.textContent = field.value.slice(0, index);
  const mark = document.createElement("span");
  mark.textContent = field.value.slice(index, index + 1) || ".";
  copy.append(mark);
  document.body.append(copy);
  const { offsetLeft, offsetTop, offsetHeight } = mark;
  copy.remove();
  const box = field.getBoundingClientRect();
  const scale = box.width / (field.offsetWidth || 1);
  const left = box.left + (offsetLeft - field.scrollLeft) * scale;
  const top = box.top + (offsetTop - field.scrollTop) * scale;
  return new DOMRect(left, Math.min(Math.max(top, box.top), box.bottom), 0, offsetHeight * scale);
}

/** Where the cursor belongs after `before` became `after` by itself: behind what has changed. */
export function caretAfter(before: string, after: string): [number, number] {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start++;
  let end = 0;
  while (end < most - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return [after.length - end, after.length - end];
}

/** Ctrl+Z, Ctrl+Shift+Z and Ctrl+Y, with Command on a Mac. */
export function historyKey(event: { key: string; ctrlKey: boolean; metaKey: boolean; shiftKey: boolean; altKey: boolean }): "undo" | "redo" | null {
  if ((!event.ctrlKey && !event.metaKey) || event.altKey) return null;
  const key = event.key.toLowerCase();
  if (key === "z") return event.shiftKey ? "redo" : "undo";
  return key === "y" ? "redo" : null;
}
