/**
 * JSON that keeps whole numbers beyond 2^53 (seeds go to 2^63 - 1): they are read as `bigint` and written back digit
 * for digit. Everything else is plain JSON.
 */

const MARK = "\u0001big:";

/** Reads JSON text. Throws SyntaxError as JSON.parse does. */
export function parseJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(markBigNumbers(text), (_key, value: unknown) =>
    typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  );
}

/** Writes JSON text; `indent` spaces per level, none by default. */
export function stringifyJson(data: unknown, indent = 0): string {
  let big = false;
  const text = JSON.stringify(
    data,
    (_key, value: unknown) => {
      if (typeof value !== "bigint") return value;
      big = true;
      return MARK + value.toString();
    },
    indent,
  );
  return big ? text.replace(/"\\u0001big:(-?\d+)"/g, "$1") : text;
}

/** Quotes integers that a double cannot hold; text inside quotes is left alone. */
function markBigNumbers(text: string): string {
  const token = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
  return text.replace(token, (found) =>
    found.startsWith('"') || /[.eE]/.test(found) || Number.isSafeInteger(Number(found))
      ? found
      : `"${MARK.replace("\u0001", "\\u0001")}${found}"`,
  );
}
