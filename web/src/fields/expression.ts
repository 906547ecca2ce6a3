/** Arithmetic typed into a number field: `512*1.5`, `(20+4)/2`, `2^10`. No names, no calls, nothing is executed. */

/** The value of an expression; undefined when it is none. */
export function evaluate(text: string): number | undefined {
  // 1,024 is a thousand and more; 0,5 and 1,5 are the fractions of those who write them so.
  const plain = text.replace(/(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?![\d,])/g, (number) => number.replace(/,/g, ""));
  const tokens = plain.replace(/,/g, ".").match(/\d+\.?\d*(?:e[+-]?\d+)?|\.\d+|[-+*/^%()]|\S/gi) ?? [];
  let at = 0;
  const take = (token: string) => (tokens[at] === token ? (at++, true) : false);

  function sum(): number {
    let value = product();
    for (;;) {
      if (take("+")) value += product();
      else if (take("-")) value -= product();
      else return value;
    }
  }
  function product(): number {
    let value = unary();
    for (;;) {
      if (take("*")) value *= unary();
      else if (take("/")) value /= unary();
      else if (take("%")) value %= unary();
      else return value;
    }
  }
  function unary(): number {
    if (take("-")) return -unary();
    if (take("+")) return unary();
    const base = atom();
    return take("^") ? base ** unary() : base;
  }
  function atom(): number {
    if (take("(")) {
      const value = sum();
      return take(")") ? value : NaN;
    }
    const token = tokens[at++] ?? "";
    return /^[\d.]/.test(token) ? Number(token) : NaN;
  }

  const value = tokens.length ? sum() : NaN;
  return at === tokens.length && Number.isFinite(value) ? value : undefined;
}

export interface Range {
  min: number | null;
  max: number | null;
  /** Values are whole numbers. */
  whole: boolean;
  multipleOf: number | null;
}

/** The nearest value that the port takes. */
export function bounded(value: number, { min, max, whole, multipleOf }: Range): number {
  let result = multipleOf ? Math.round(value / multipleOf) * multipleOf : whole ? Math.round(value) : value;
  if (min !== null && result < min) result = multipleOf ? Math.ceil(min / multipleOf) * multipleOf : min;
  if (max !== null && result > max) result = multipleOf ? Math.floor(max / multipleOf) * multipleOf : max;
  return whole ? result : Number(result.toPrecision(12));
}

/** A number with all its digits, as it is typed. */
export function written(value: unknown): string {
  return typeof value === "bigint" || typeof value === "number" ? String(value) : "";
}

/** A number as it is shown: whole numbers as such, others with as many digits as their step has. */
export function shown(value: unknown, step = 0.01, whole = false): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "number") return value === undefined || value === null ? "" : String(value);
  if (whole || Number.isInteger(value)) return String(value);
  const digits = Math.min(6, Math.max(1, Math.ceil(-Math.log10(step || 0.01))));
  return String(Number(value.toFixed(Math.max(digits, 2))));
}
