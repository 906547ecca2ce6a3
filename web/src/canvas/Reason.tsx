import { useConnecting } from "./stage";
import { view } from "./view";

/** Why the wire in hand does not fit where the pointer is. */
export function Reason() {
  const connecting = useConnecting((state) => state.connecting);
  if (!connecting?.reason) return null;
  const place = view.toClient(connecting.at);
  return (
    <div className="reason" role="status" style={{ left: place.x - view.left + 16, top: place.y - view.top + 16 }}>
      {connecting.reason}
    </div>
  );
}
