import { useEffect, useRef, useState } from "react";

interface Props {
  className: string;
  title?: string | undefined;
  /** Types of dragged data that are taken; what else is dragged over it goes to the canvas below. */
  takes: readonly string[];
  onTake: (data: DataTransfer) => void;
  children: React.ReactNode;
}

/** A place that takes what is dropped on it, and shows so while it is dragged over. */
export function DropZone({ className, title, takes, onTake, children }: Props) {
  const zone = useRef<HTMLDivElement>(null);
  const [over, setOver] = useState(false);
  useEffect(() => {
    // The canvas listens by itself, below React: an event that React stops would have reached it already.
    const element = zone.current;
    if (!element) return;
    const fits = (event: DragEvent) => event.dataTransfer?.types.some((type) => takes.includes(type)) === true;
    const onOver = (event: DragEvent) => {
      if (!fits(event)) return;
      event.preventDefault();
      event.stopPropagation();
      setOver(true);
    };
    const onLeave = (event: DragEvent) => {
      if (!element.contains(event.relatedTarget as Node | null)) setOver(false);
    };
    const onDrop = (event: DragEvent) => {
      setOver(false);
      if (!fits(event) || !event.dataTransfer) return;
      event.preventDefault();
      event.stopPropagation();
      onTake(event.dataTransfer);
    };
    element.addEventListener("dragover", onOver);
    element.addEventListener("dragleave", onLeave);
    element.addEventListener("drop", onDrop);
    return () => {
      element.removeEventListener("dragover", onOver);
      element.removeEventListener("dragleave", onLeave);
      element.removeEventListener("drop", onDrop);
    };
  });
  return (
    <div ref={zone} className={`${className}${over ? " drop" : ""}`} title={title}>
      {children}
    </div>
  );
}
