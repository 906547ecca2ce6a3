import { describe, expect, it } from "vitest";
import type { Vote } from "../src/api/types";
import { nextPair, votePairs, voteCounts } from "../src/graph/votes";

const grid = [0, 1, 2].flatMap((first) => [0, 1].map((second) => ({ cell: [first, second], url: `${first}${second}` })));
const keys = (pairs: ReturnType<typeof votePairs>) => pairs.map(([one, other]) => `${one.url}-${other.url}`);
const vote = (left: number[], right: number[]): Vote => ({ id: "v1", left, right, preferred: "tie", made: 0 });

describe("pairs to vote on", () => {
  it("differ in the axis that is compared alone", () => {
    const pairs = votePairs(grid, 0, 1);
    expect(pairs).toHaveLength(6);
    expect(pairs.every(([one, other]) => one.cell[0] !== other.cell[0] && one.cell[1] === other.cell[1])).toBe(true);
    expect(votePairs(grid, 1, 1)).toHaveLength(3);
    expect(votePairs(grid, -1, 1)).toHaveLength(15);
  });

  it("have an order, and sides, that follow from the seed", () => {
    expect(keys(votePairs(grid, -1, 5))).toEqual(keys(votePairs(grid, -1, 5)));
    expect(keys(votePairs(grid, -1, 5))).not.toEqual(keys(votePairs(grid, -1, 6)));
    const swapped = Array.from({ length: 400 }, (_, seed) => votePairs(grid.slice(0, 2), -1, seed)[0]?.[0].url === "00");
    const share = swapped.filter(Boolean).length / 400;
    expect(share).toBeGreaterThan(0.42);
    expect(share).toBeLessThan(0.58);
  });

  it("come again only when all had their turn", () => {
    const pairs = votePairs(grid, 0, 1);
    const votes: Vote[] = [];
    const seen = new Set<number>();
    for (let turn = 0; turn < 6; turn++) {
      const at = nextPair(voteCounts(pairs, votes));
      seen.add(at);
      const [one, other] = pairs[at]!;
      votes.push(turn % 2 ? vote(one.cell, other.cell) : vote(other.cell, one.cell));
    }
    expect(seen.size).toBe(6);
    expect(nextPair(voteCounts(pairs, votes))).toBe(0);
    expect(nextPair([])).toBe(-1);
  });

  it("of a large sweep are a part", () => {
    const many = Array.from({ length: 1000 }, (_, index) => ({ cell: [index], url: "" }));
    expect(votePairs(many, -1, 1)).toHaveLength(20_000);
  });
});
