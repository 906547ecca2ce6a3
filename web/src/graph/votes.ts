/** Votes between the images of a sweep: which two are shown next, and on which side. */

import type { Vote } from "../api/types";

export interface Candidate {
  cell: number[];
  url: string;
}

/** Pairs that are put in order at once; of larger sweeps a part. */
const MOST = 20_000;

/**
 * All pairs in a shuffled order, each with its sides by chance; the same for the same seed.
 *
 * `by` is the axis whose values are compared: two are a pair that are the same on all others. -1 compares all with all.
 */
export function votePairs(candidates: readonly Candidate[], by: number, seed: number): [Candidate, Candidate][] {
  const chance = random(seed);
  const groups = new Map<string, Candidate[]>();
  for (const one of shuffled(candidates, chance)) {
    const key = by < 0 ? "" : one.cell.filter((_, axis) => axis !== by).join();
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const pairs: [Candidate, Candidate][] = [];
  for (const group of groups.values()) {
    group.forEach((one, index) => {
      for (const other of group.slice(index + 1, index + 1 + MOST - pairs.length)) pairs.push(chance() < 0.5 ? [one, other] : [other, one]);
    });
  }
  return shuffled(pairs, chance);
}

const pairKey = (one: readonly number[], other: readonly number[]) => [one.join(), other.join()].sort().join(" ");

/** How often each of these pairs was voted on, whichever side was which. */
export function voteCounts(pairs: readonly [Candidate, Candidate][], votes: readonly Vote[]): number[] {
  const counts = new Map<string, number>();
  for (const { left, right } of votes) counts.set(pairKey(left, right), (counts.get(pairKey(left, right)) ?? 0) + 1);
  return pairs.map(([one, other]) => counts.get(pairKey(one.cell, other.cell)) ?? 0);
}

/** The first of those that were voted on least; -1 where there is none. */
export const nextPair = (counts: readonly number[]): number => counts.reduce((best, count, index) => (best < 0 || count < (counts[best] ?? 0) ? index : best), -1);

function shuffled<T>(items: readonly T[], chance: () => number): T[] {
  const made = [...items];
  for (let at = made.length - 1; at > 0; at--) {
    const from = Math.floor(chance() * (at + 1));
    [made[at], made[from]] = [made[from] as T, made[at] as T];
  }
  return made;
}

/** Numbers in 0..1 from a seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
