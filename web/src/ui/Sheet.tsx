import { type ReactNode, useEffect, useRef } from "react";
import { useT } from "../i18n";
import { keepFocus } from "./focus";

/** A sheet in the middle of the window. The browser's own dialog keeps the focus inside and the rest inert. */
export function Sheet({ title, onClose, children, className = "" }: { title: string; onClose: () => void; children: ReactNode; className?: string }) {
  const t = useT();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    const giveBack = keepFocus();
    element?.showModal();
    // The browser would choose the first button, which closes the sheet.
    const body = element?.querySelector(".sheet-body");
    const first = body?.querySelector<HTMLElement>("[data-first], input:not([type=hidden]), textarea, select") ?? body?.querySelector<HTMLElement>("button.primary, button") ?? element;
    if (!body?.contains(document.activeElement)) first?.focus();
    if (first instanceof HTMLInputElement && first.type === "text") first.select();
    return () => {
      element?.close();
      giveBack();
    };
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

/** What a sheet asks for, with the button that takes it, called `label`, and one to leave it. */
export function SheetForm({ label, disabled = false, className = "", onSubmit, onClose, children }: { label: string; disabled?: boolean; className?: string; onSubmit: () => void; onClose: () => void; children: ReactNode }) {
  const t = useT();
  return (
    <form
      className={`sheet-form ${className}`}
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit();
      }}
    >
      {children}
      <div className="buttons">
        <button type="submit" className="primary" disabled={disabled}>
          {label}
        </button>
        <button type="button" onClick={onClose}>
          {t("cancel")}
        </button>
      </div>
    </form>
  );
}
