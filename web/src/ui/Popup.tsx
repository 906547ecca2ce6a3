import { type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { keepFocus } from "./focus";

interface Props {
  /** The element it belongs to, or a point on the screen. */
  anchor: Element | { x: number; y: number };
  onClose: () => void;
  children: ReactNode;
  className?: string;
  label?: string;
}

/** A panel above everything, kept inside the window, closed by Escape or a press beside it. */
export function Popup({ anchor, onClose, children, className = "", label }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<{ left: number; top: number } | null>(null);
  const close = useRef(onClose);
  // Where the focus goes back to: asked for before anything inside takes it.
  const [giveBack] = useState(keepFocus);
  useEffect(() => {
    close.current = onClose;
  });

  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const { width, height } = element.getBoundingClientRect();
    const rect = anchor instanceof Element ? anchor.getBoundingClientRect() : null;
    const x = rect ? rect.left : (anchor as { x: number }).x;
    let y = rect ? rect.bottom + 4 : (anchor as { y: number }).y;
    if (rect && y + height > innerHeight - 8 && rect.top - height - 4 > 8) y = rect.top - height - 4;
    setPlace({
      left: Math.max(8, Math.min(x, innerWidth - width - 8)),
      top: Math.max(8, Math.min(y, innerHeight - height - 8)),
    });
  }, [anchor]);

  useEffect(() => {
    // Keys belong to what is on top, also where nothing in it takes the focus by itself.
    if (!box.current?.contains(document.activeElement)) box.current?.focus({ preventScroll: true });
    const press = (event: PointerEvent) => {
      if (!box.current?.contains(event.target as Node)) close.current();
    };
    // Before the canvas sees the press, which would also begin a gesture.
    window.addEventListener("pointerdown", press, true);
    return () => {
      window.removeEventListener("pointerdown", press, true);
      giveBack();
    };
  }, [giveBack]);

  return createPortal(
    <div
      ref={box}
      className={`popup ${className}`}
      role="dialog"
      tabIndex={-1}
      aria-label={label}
      // Not `visibility: hidden`, which would refuse the focus to the field inside.
      style={place ?? { left: 0, top: 0, opacity: 0 }}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape") onClose();
      }}
    >
      {children}
    </div>,
    document.body,
  );
}
