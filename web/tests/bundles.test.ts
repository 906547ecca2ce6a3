import { describe, expect, it } from "vitest";
import { bundle, type Bundled, linesVia, type Point, pointOn } from "../src/graph";

const wire = (from: string, to: string, a: Point, b: Point, bend: Point[] = []): Bundled => ({ from, to, points: [a, ...bend, b] });
const pair = (x = 600): Bundled[] => [40, 0, 20].map((y) => wire("one", "two", { x: 0, y }, { x, y: 200 - y }));

describe("links between the same two nodes", () => {
  it("lie side by side, in the order of the outputs", () => {
    const wires = pair();
    bundle(wires);
    expect(wires.map(({ via }) => via?.[0])).toEqual([{ x: 48, y: 24 }, { x: 48, y: 16 }, { x: 48, y: 20 }]);
    expect(wires.map(({ via }) => via?.[1])).toEqual([{ x: 552, y: 184 }, { x: 552, y: 176 }, { x: 552, y: 180 }]);
  });

  it("stay apart where they are alone, bent, near to each other or the wrong way round", () => {
    const bent = pair();
    bent[0] = wire("one", "two", { x: 0, y: 0 }, { x: 600, y: 0 }, [{ x: 300, y: 90 }]);
    const wires = [...pair(100), ...pair(-400)];
    bundle(wires);
    bundle(bent);
    bundle([bent[1] as Bundled]);
    expect(wires.every(({ via }) => via === undefined)).toBe(true);
    expect(bent.map(({ via }) => via === undefined)).toEqual([true, false, false]);
    const alone = [wire("one", "two", { x: 0, y: 0 }, { x: 600, y: 0 }), wire("one", "three", { x: 0, y: 20 }, { x: 600, y: 90 })];
    bundle(alone);
    expect(alone.every(({ via }) => via === undefined)).toBe(true);
  });

  it.each(["curved", "straight", "angled"] as const)("are drawn from socket to socket (%s)", (style) => {
    const wires = pair();
    bundle(wires);
    for (const { points, via } of wires) {
      const lines = linesVia(points, via as [Point, Point], style);
      expect(pointOn((lines[0] as (typeof lines)[number]).line, 0)).toEqual(points[0]);
      expect(pointOn((lines[lines.length - 1] as (typeof lines)[number]).line, 1)).toEqual(points[1]);
      expect(lines.every(({ segment }) => segment === 0)).toBe(true);
    }
  });
});
