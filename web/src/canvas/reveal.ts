import { useEffect } from "react";
import { useApp } from "../state/store";
import { stage } from "./stage";
import { view } from "./view";

/** Brings the node that was jumped to into sight, when the graph that it is in is on screen. */
export function useReveal(): void {
  const reveal = useApp((state) => state.reveal);
  useEffect(() => {
    if (reveal === null) return;
    const frame = requestAnimationFrame(() => {
      useApp.setState({ reveal: null });
      const box = stage.geometry.nodes.get(reveal)?.rect;
      if (!box) return;
      if (view.zoom < 0.5) view.fit(box, { max: 0.9 });
      else view.centerOn({ x: box.x + box.w / 2, y: box.y + box.h / 2 });
    });
    return () => cancelAnimationFrame(frame);
  }, [reveal]);
}
