import { useEffect, useRef, useState } from "react";
import { plus } from "../graph";
import { bounded, evaluate, type Range, shown, written } from "./expression";

interface Props extends Range {
  label: string;
  value: unknown;
  step: number;
  /** Draws how far the value is between its bounds. */
  bar?: boolean;
  disabled?: boolean;
  help?: string;
  /** What is shown for 0, and may be typed for it, where 0 has a meaning of its own. */
  zero?: string;
  onChange: (value: number | bigint) => void;
  /** The gesture is over: what follows is another step of undo. */
  onEnd?: () => void;
}

const PIXELS_A_STEP = 6;
/** Pixels that a finger may move in a tap. */
const TAP = 8;

/** A number that is dragged, wheeled, stepped with arrows or typed as an expression. */
export function NumberField({ label, value, step, bar, disabled, help, zero, onChange, onEnd, ...range }: Props) {
  const [typing, setTyping] = useState<string | null>(null);
  const byKey = useRef(false);
  const field = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const drag = useRef<{ x: number; y: number; start: number; moved: boolean } | null>(null);
  const number = typeof value === "number" ? value : Number(value ?? 0);
  const { min, max } = range;
  const word = number === 0 ? zero : "";
  const text = word || shown(value, step, range.whole);
  const part = bar && min !== null && max !== null && max > min ? Math.min(1, Math.max(0, (number - min) / (max - min))) : 0;

  const set = (next: number) => {
    const result = bounded(next, range);
    if (result !== number) onChange(result);
  };
  const add = (by: number) => {
    if (!range.whole) return set(number + by);
    // Exactly, also where a seed is larger than what numbers hold.
    const next = plus(value, Math.round(by));
    if (typeof next === "bigint") onChange(next);
    else set(next);
  };
  const begin = word || written(value);
  const commit = () => {
    if (typing === null) return;
    if (typing === begin) return setTyping(null); // looked at, not changed
    const big = range.whole && /^\d{16,19}$/.test(typing.trim()) ? BigInt(typing.trim()) : undefined;
    const result = evaluate(typing);
    setTyping(null);
    if (big !== undefined && !Number.isSafeInteger(Number(big))) onChange(big);
    else if (result !== undefined) set(result);
    else if (zero && typing.trim().toLowerCase() === zero.toLowerCase()) set(0);
    onEnd?.();
  };

  useEffect(() => {
    // React listens to wheels passively; a focused field steps instead of zooming the canvas.
    const element = field.current;
    if (!element) return;
    const wheel = (event: WheelEvent) => {
      if (document.activeElement !== element || event.ctrlKey) return;
      event.preventDefault();
      event.stopPropagation();
      add((event.deltaY < 0 ? step : -step) * (event.shiftKey ? 0.1 : 1));
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  });
  useEffect(() => {
    // What was there is replaced by what is typed; the key that began it is part of what is typed.
    if (typing !== null && !byKey.current) input.current?.select();
    byKey.current = false;
    // eslint-disable-next-line react-hooks/exhaustive-deps -- only when typing begins
  }, [typing === null]);

  if (typing !== null) {
    return (
      <div className="field number typing">
        <span className="label">{label}</span>
        <input
          ref={input}
          className="nodrag"
          aria-label={label}
          autoFocus
          value={typing}
          onChange={(event) => setTyping(event.target.value)}
          onBlur={commit}
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Enter" && !event.ctrlKey) {
              commit();
              requestAnimationFrame(() => field.current?.focus());
            }
            if (event.key === "Escape") {
              setTyping(null);
              requestAnimationFrame(() => field.current?.focus());
            }
          }}
        />
      </div>
    );
  }
  return (
    <div
      ref={field}
      className={`field number nodrag${disabled ? " disabled" : ""}`}
      role={bar ? "slider" : "spinbutton"}
      tabIndex={disabled ? -1 : 0}
      title={help}
      aria-label={label}
      aria-valuenow={number}
      aria-valuetext={text}
      {...(min !== null && Number.isSafeInteger(Math.round(min)) ? { "aria-valuemin": min } : {})}
      {...(max !== null && Number.isSafeInteger(Math.round(max)) ? { "aria-valuemax": max } : {})}
      onPointerDown={(event) => {
        if (event.button !== 0 || disabled) return;
        drag.current = { x: event.clientX, y: event.clientY, start: number, moved: false };
        // A finger that swipes here means what lies around the field: only a tap is for the number.
        if (event.pointerType === "touch") return;
        event.currentTarget.setPointerCapture(event.pointerId);
        event.currentTarget.focus();
      }}
      onPointerMove={(event) => {
        const at = drag.current;
        if (at && event.pointerType === "touch" && Math.abs(event.clientX - at.x) + Math.abs(event.clientY - at.y) > TAP) drag.current = null;
        if (!at || event.pointerType === "touch" || (!at.moved && Math.abs(event.clientX - at.x) < 3)) return;
        at.moved = true;
        const width = event.currentTarget.clientWidth || 200;
        const moved = event.clientX - at.x;
        const reach = bar && min !== null && max !== null ? ((max - min) / width) * moved : (moved / PIXELS_A_STEP) * step;
        const raw = at.start + reach * (event.shiftKey ? 0.1 : 1);
        const grid = event.shiftKey ? step / 10 : step;
        set(range.whole || grid > 0 ? Math.round(raw / grid) * grid : raw);
      }}
      onPointerUp={() => {
        const at = drag.current;
        drag.current = null;
        if (at?.moved) onEnd?.();
        else if (at) setTyping(begin);
      }}
      onPointerCancel={() => (drag.current = null)}
      onKeyDown={(event) => {
        const steps: Record<string, number> = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
        const by = steps[event.key];
        if (by !== undefined && !event.altKey && !event.ctrlKey) {
          event.preventDefault();
          event.stopPropagation();
          add(by * step * (event.shiftKey ? 10 : 1));
        } else if (event.key === "Home" && min !== null) set(min);
        else if (event.key === "End" && max !== null) set(max);
        else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
          event.stopPropagation();
          setTyping(begin);
        } else if (event.key === "Backspace" || event.key === "Delete") {
          event.preventDefault();
          event.stopPropagation();
          byKey.current = true;
          setTyping("");
        } else if (/^[\d.(-]$/.test(event.key) && !event.ctrlKey && !event.metaKey) {
          event.preventDefault();
          event.stopPropagation();
          byKey.current = true;
          setTyping(event.key);
        }
      }}
    >
      {bar && <span className="bar" style={{ width: `${part * 100}%` }} />}
      <span className="label">{label}</span>
      <span className={`value${word ? " word" : ""}`}>{text}</span>
    </div>
  );
}
