/** Below 2^32, so that the number can be read out and typed again. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] as number;
}
