import { prepare, type Sight } from "./paint";
import type { View } from "./view";

/** Pixels that are painted around what is in sight, so that a pan has something to bring in. */
const MARGIN = 240;

/**
 * The far view as a picture that is kept: panning a large graph moves it instead of drawing every node anew. It is drawn
 * again when what it shows has changed, or when the pan leaves its margin; while zooming it would never serve twice, so
 * then nothing is kept.
 */
export class FarPicture {
  readonly #canvas = document.createElement("canvas");
  #shown: readonly unknown[] = [];
  #at = { x: 0, y: 0, zoom: 0 };
  #lastZoom = 0;

  /**
   * Puts the picture where the view is. `shown` is all that it depends on beside the place. Returns false when there is
   * none to be had: the caller paints by itself.
   */
  show(context: CanvasRenderingContext2D, view: View, shown: readonly unknown[], paint: (context: CanvasRenderingContext2D, window: Sight) => void): boolean {
    const still = view.zoom === this.#lastZoom;
    this.#lastZoom = view.zoom;
    if (!still) return false;
    const same = this.#at.zoom === view.zoom && shown.length === this.#shown.length && shown.every((part, index) => part === this.#shown[index]);
    const near = Math.abs(view.x - this.#at.x) <= MARGIN && Math.abs(view.y - this.#at.y) <= MARGIN;
    if (!same || !near) {
      const window = { x: view.x + MARGIN, y: view.y + MARGIN, zoom: view.zoom, width: view.width + 2 * MARGIN, height: view.height + 2 * MARGIN, far: true };
      const own = prepare(this.#canvas, window);
      if (!own) return false;
      paint(own, window);
      this.#shown = shown;
      this.#at = view.viewport;
    }
    const x = view.x - this.#at.x - MARGIN;
    const y = view.y - this.#at.y - MARGIN;
    context.drawImage(this.#canvas, x, y, view.width + 2 * MARGIN, view.height + 2 * MARGIN);
    return true;
  }
}
