import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { type Suggestion, type Wanted, withEmbedding, without } from "./completion";
import { caretAfter, historyKey } from "./caret";
import { leave } from "./leave";
import { changeWeight } from "./prompt";
import { useCompletion } from "./Suggestions";

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
  /** A LoRA was chosen in a prompt; `text` is the prompt without its name. */
  onLora?: (text: string, lora: { name: string; title: string; weight?: number }) => void;
  /** The document's own undo and redo: they know of what a completion or a key has changed, and go burst by burst. */
  onUndo?: () => void;
  onRedo?: () => void;
}

/**
 * A line of text, or several. In prompts Ctrl+Up and Ctrl+Down change the weight of the chosen words, and the names of
 * embeddings and LoRAs complete.
 */
export function TextField({ label, value, multiline, prompt, placeholder, disabled, help, onChange, onEnd, onLora, onUndo, onRedo }: Props) {
  const text = typeof value === "string" ? value : String(value ?? "");
  const [before, setBefore] = useState(text);
  const area = useRef<HTMLTextAreaElement & HTMLInputElement>(null);
  const cursor = useRef<[number, number] | null>(null);
  const typed = useRef(text);
  const was = useRef(text);

  useLayoutEffect(() => {
    const element = area.current;
    const changed = was.current;
    was.current = text;
    if (!element || document.activeElement !== element) return;
    if (cursor.current) element.setSelectionRange(...cursor.current);
    // Undone or redone: the cursor stands where the text has changed.
    else if (typed.current !== text && changed !== text) element.setSelectionRange(...caretAfter(changed, text));
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

  const accept = (wanted: Wanted, { name, title }: Suggestion) => {
    onEnd?.(); // a step of its own: undo gives back what was typed
    const edited = wanted.kind === "lora" ? without(text, wanted) : withEmbedding(text, wanted, title);
    cursor.current = [edited.caret, edited.caret];
    if (wanted.kind === "lora") onLora?.(edited.text, { name, title, weight: wanted.weight });
    else onChange(edited.text);
    onEnd?.();
  };
  const completion = useCompletion(area, text, accept);
  const complete = ({ value: now, selectionStart }: HTMLTextAreaElement | HTMLInputElement) => completion.typed(now, selectionStart ?? now.length);

  const shared = {
    ref: area,
    className: "nodrag",
    "aria-label": label,
    value: text,
    disabled,
    spellCheck: false,
    ...(prompt ? completion.aria : {}),
    placeholder: placeholder || (multiline ? label : ""),
    onFocus: () => setBefore(text),
    onBlur: () => {
      completion.close();
      onEnd?.();
    },
    onChange: (event: React.ChangeEvent<HTMLTextAreaElement | HTMLInputElement>) => {
      typed.current = event.target.value;
      onChange(event.target.value);
      if (prompt && !(event.nativeEvent as InputEvent).isComposing) complete(event.target);
    },
    onCompositionEnd: (event: React.CompositionEvent<HTMLTextAreaElement | HTMLInputElement>) => {
      if (prompt) complete(event.currentTarget);
    },
    onKeyDown: (event: React.KeyboardEvent<HTMLTextAreaElement | HTMLInputElement>) => {
      if (completion.key(event)) return;
      const again = historyKey(event);
      if (again && onUndo && onRedo) {
        event.preventDefault();
        event.stopPropagation();
        (again === "undo" ? onUndo : onRedo)();
        return;
      }
      const steps = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
      if (prompt && steps && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        const { selectionStart, selectionEnd } = event.currentTarget;
        const edited = changeWeight(text, selectionStart ?? 0, selectionEnd ?? 0, steps);
        cursor.current = [edited.start, edited.end];
        onChange(edited.text);
      } else if (event.key === "Escape") {
        event.stopPropagation();
        // A step of its own: undo gives back what was typed.
        onEnd?.();
        if (text !== before) onChange(before);
        onEnd?.();
        leave(event.currentTarget);
      } else if (event.key === "Enter" && !multiline && !event.ctrlKey) event.currentTarget.blur();
    },
  };
  return multiline ? (
    <div className="field text multiline" title={help}>
      <textarea {...shared} />
      {completion.list}
    </div>
  ) : (
    <label className="field text" title={help}>
      <span className="label">{label}</span>
      <input {...shared} />
      {completion.list}
    </label>
  );
}
