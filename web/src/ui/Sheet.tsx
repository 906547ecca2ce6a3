import { type ReactNode, useEffect, useRef } from "react";
import { useT } from "../i18n";

/** A sheet in the middle of the window. The browser's own dialog keeps the focus inside and the rest inert. */
export function Sheet({ title, onClose, children, className = "" }: { title: string; onClose: () => void; children: ReactNode; className?: string }) {
  const t = useT();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className={`sheet ${className}`}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <header>
        <h2>{title}</h2>
        <button type="button" className="icon" aria-label={t("close")} onClick={onClose}>
          ✕
        </button>
      </header>
      <div className="sheet-body">{children}</div>
    </dialog>
  );
}
