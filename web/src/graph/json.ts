/**
 * JSON that keeps whole numbers beyond 2^53 (seeds go to 2^64 - 1): they are read as `bigint` and written back digit
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

/**
 * Whether two values are written as the same JSON, in whatever order the fields of their objects stand. What both share
 * is not looked into: documents that differ by one edit are compared in the time of that edit.
 */
export function sameJson(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const written = (value: Record<string, unknown>) => Object.keys(value).filter((key) => value[key] !== undefined);
  const keys = written(left);
  return keys.length === written(right).length && keys.every((key) => right[key] !== undefined && sameJson(left[key], right[key]));
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
