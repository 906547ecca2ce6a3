import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { changeWeight } from "./prompt";

interface Props {
  label: string;
  value: unknown;
  multiline: boolean;
  prompt?: boolean;
  placeholder?: string;
  disabled?: boolean;
  help?: string;
  onChange: (value: string) => void;
  onEnd?: () => void;
}

/** Back to the canvas that the field lies on, else to nothing. */
function leave(field: HTMLElement): void {
  const canvas = field.closest<HTMLElement>("#canvas");
  if (canvas) canvas.focus({ preventScroll: true });
  else field.blur();
}

/** A line of text, or several. In prompts Ctrl+Up and Ctrl+Down change the weight of the chosen words. */
export function TextField({ label, value, multiline, prompt, placeholder, disabled, help, onChange, onEnd }: Props) {
  const text = typeof value === "string" ? value : String(value ?? "");
  const [before, setBefore] = useState(text);
  const area = useRef<HTMLTextAreaElement & HTMLInputElement>(null);
  const cursor = useRef<[number, number] | null>(null);

  useLayoutEffect(() => {
    if (!cursor.current) return;
    area.current?.setSelectionRange(...cursor.current);
    cursor.current = null;
  }, [text]);
  useEffect(() => {
    const element = area.current;
    // A long text scrolls itself; the wheel must not zoom the canvas meanwhile.
    const wheel = (event: WheelEvent) => {
      if (document.activeElement === element && element && element.scrollHeight > element.clientHeight && !event.ctrlKey) {
        event.stopPropagation();
      }
    };
    element?.addEventListener("wheel", wheel);
    return () => element?.removeEventListener("wheel", wheel);
  }, []);

  const shared = {
    ref: area,
    className: "nodrag",
    "aria-label": label,
    value: text,
    disabled,
    spellCheck: false,
    placeholder: placeholder || (multiline ? label : ""),
    onFocus: () => setBefore(text),
    onBlur: () => onEnd?.(),
    onChange: (event: { target: { value: string } }) => onChange(event.target.value),
    onKeyDown: (event: React.KeyboardEvent<HTMLTextAreaElement | HTMLInputElement>) => {
      const steps = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
      if (prompt && steps && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        const { selectionStart, selectionEnd } = event.currentTarget;
        const edited = changeWeight(text, selectionStart ?? 0, selectionEnd ?? 0, steps);
        cursor.current = [edited.start, edited.end];
        onChange(edited.text);
      } else if (event.key === "Escape") {
        event.stopPropagation();
        if (text !== before) onChange(before);
        leave(event.currentTarget);
      } else if (event.key === "Enter" && !multiline && !event.ctrlKey) event.currentTarget.blur();
    },
  };
  return multiline ? (
    <div className="field text multiline" title={help}>
      <textarea {...shared} />
    </div>
  ) : (
    <label className="field text" title={help}>
      <span className="label">{label}</span>
      <input {...shared} />
    </label>
  );
}
