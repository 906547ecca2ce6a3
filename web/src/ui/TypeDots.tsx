import { typeStyle } from "./typeStyle";
import { typeLabel } from "../i18n/types";

/** The types of ports as the dots that their sockets are drawn as. */
export function TypeDots({ types }: { types: readonly string[] }) {
  return (
    <span className="dots">
      {types.map((type, index) => (
        <i key={index} className={`dot ${typeStyle(type).shape}`} style={{ color: `var(${typeStyle(type).variable})` }} title={typeLabel(type)} />
      ))}
    </span>
  );
}
