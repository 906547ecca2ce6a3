import { prepare, type Sight } from "./paint";
import type { View } from "./view";

/** Pixels that are painted around what is in sight, so that a pan has something to bring in. */
const MARGIN = 160;

/**
 * The sheet below the nodes, larger than the view: a pan moves it instead of drawing every wire again. It is drawn again
 * when what it shows has changed, or when the pan leaves its margin. While zooming and dragging nothing would serve
 * twice, so then only what is in sight is drawn.
 */
export class Sheet {
  #shown: readonly unknown[] = [];
  #at = { x: 0, y: 0, zoom: 0 };
  #margin = 0;
  #lastZoom = 0;

  /** What it shows is out of date in a way that `show` cannot see. */
  forget(): void {
    this.#shown = [];
  }

  /** Brings the canvas up to date. `shown` is all that it depends on beside the place; null while that changes at every frame. */
  show(canvas: HTMLCanvasElement, view: View, shown: readonly unknown[] | null, paint: (context: CanvasRenderingContext2D, sight: Sight) => void): void {
    const rests = view.zoom === this.#lastZoom;
    this.#lastZoom = view.zoom;
    if (!shown || !this.#serves(view, shown)) this.#draw(canvas, view, shown && rests ? MARGIN : 0, paint);
    this.#shown = shown ?? [];
    canvas.style.transform = `translate(${view.x - this.#at.x - MARGIN}px, ${view.y - this.#at.y - MARGIN}px)`;
  }

  #serves(view: View, shown: readonly unknown[]): boolean {
    const [dx, dy] = [view.x - this.#at.x, view.y - this.#at.y];
    const near = Math.max(Math.abs(dx), Math.abs(dy)) <= this.#margin;
    // Between two pixels of the screen lines would be blurred.
    const whole = [dx, dy].every((way) => Number.isInteger(way * (window.devicePixelRatio || 1)));
    return near && whole && view.zoom === this.#at.zoom && shown.length === this.#shown.length && shown.every((part, index) => part === this.#shown[index]);
  }

  #draw(canvas: HTMLCanvasElement, view: View, margin: number, paint: (context: CanvasRenderingContext2D, sight: Sight) => void): void {
    const size = { width: view.width + 2 * MARGIN, height: view.height + 2 * MARGIN };
    const context = prepare(canvas, size);
    if (!context) return;
    canvas.style.width = `${size.width}px`;
    canvas.style.height = `${size.height}px`;
    context.save();
    context.translate(MARGIN - margin, MARGIN - margin);
    const sight = { x: view.x + margin, y: view.y + margin, zoom: view.zoom, width: view.width + 2 * margin, height: view.height + 2 * margin, far: view.far };
    paint(context, sight);
    context.restore();
    this.#at = view.viewport;
    this.#margin = margin;
  }
}
