/** Below 2^32, so that the number can be read out and typed again. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] as number;
}

/** `value` + `by`, exactly: beyond 2^53 as bigint, which documents keep digit by digit. */
export function plus(value: unknown, by: number): number | bigint {
  const number = typeof value === "bigint" ? value : Number(value ?? 0);
  if (typeof number === "number" && Number.isSafeInteger(number) && Number.isSafeInteger(number + by)) return number + by;
  if (typeof number === "number" && !Number.isInteger(number)) return number + by;
  const sum = BigInt(number) + BigInt(by);
  return sum >= BigInt(Number.MIN_SAFE_INTEGER) && sum <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(sum) : sum;
}
