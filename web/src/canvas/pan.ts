import { type Gesture, pointOf } from "./gesture";
import { view } from "./view";

export function panGesture(start: PointerEvent): Gesture {
  let last = pointOf(start);
  return {
    move(event) {
      view.pan(event.clientX - last.x, event.clientY - last.y);
      last = pointOf(event);
    },
    end() {},
    cancel() {},
  };
}
