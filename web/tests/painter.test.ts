import { describe, expect, it } from "vitest";
import { feathered, flood, share } from "../src/painter/coverage";
import { dragged, gripAt, settled, withRatio } from "../src/painter/crop";
import { addMark, type Mark, NO_MARKS, radius, redoMark, undoMark } from "../src/state/marks";

/** A mask from rows of characters: `#` is chosen. */
function mask(...rows: string[]): Uint8ClampedArray {
  return Uint8ClampedArray.from(rows.join("").split("").map((mark) => (mark === "#" ? 255 : 0)));
}

describe("marks", () => {
  it("are undone and redone one by one, and a new one ends what could be redone", () => {
    const [first, second]: Mark[] = [{ kind: "invert" }, { kind: "clear" }];
    const both = addMark(addMark(NO_MARKS, first as Mark), second as Mark);
    const back = undoMark(both);
    expect(back.done).toEqual([first]);
    expect(redoMark(back)).toEqual(both);
    expect(addMark(back, { kind: "all" }).undone).toEqual([]);
    expect(undoMark(NO_MARKS)).toEqual(NO_MARKS);
    expect(redoMark(NO_MARKS)).toEqual(NO_MARKS);
  });

  it("a pen's pressure changes the brush, a mouse has all of it", () => {
    expect(radius(40, null)).toBe(20);
    expect(radius(40, 1)).toBe(20);
    expect(radius(40, 0)).toBe(3);
    expect(radius(40, 0.5)).toBeGreaterThan(radius(40, 0.2));
  });
});

describe("coverage", () => {
  it("fills what a line encloses, and one pixel under its edge", () => {
    const given = mask("#####", "#...#", "#...#", "#####", ".....");
    expect(flood(given, 5, 5, 2, 1, false)).toBe(true);
    expect(given).toEqual(mask("#####", "#####", "#####", "#####", "....."));
    expect(flood(given, 5, 5, 2, 1, false)).toBe(false);
    expect(flood(given, 5, 5, 2, 1, true)).toBe(true);
    expect(share(given)).toBe(0);
    expect(flood(given, 5, 5, 9, 1, false)).toBe(false);
  });

  it("fills around corners of any shape", () => {
    const size = 40;
    const given = new Uint8ClampedArray(size * size);
    for (let row = 2; row < size; row += 4) {
      for (let column = 0; column < size; column++) if (row % 8 === 2 ? column > 0 : column < size - 1) given[row * size + column] = 255;
    }
    flood(given, size, size, 0, 0, false);
    expect(share(given)).toBe(1);
  });

  it("a soft edge keeps the amount, and lies about as wide as it says", () => {
    const size = 64;
    const given = new Uint8ClampedArray(size * size).map((_, index) => (index % size < 32 ? 255 : 0));
    const soft = feathered(given, size, size, 12);
    expect(share(soft)).toBeCloseTo(0.5, 2);
    const row = [...soft.slice(20 * size, 21 * size)];
    expect(row[31]).toBeGreaterThan(row[32] as number);
    expect(row[20]).toBe(255);
    expect(row[43]).toBe(0);
    const between = row.filter((value) => value > 12 && value < 243).length;
    expect(between).toBeGreaterThan(8);
    expect(between).toBeLessThan(18);
    expect(feathered(given, size, size, 0)).toBe(given);
  });
});

describe("the crop rectangle", () => {
  it("is whole, inside, and at least a pixel", () => {
    expect(settled({ x: -3, y: 2.4, w: 500, h: 0 }, 100, 80)).toEqual({ x: 0, y: 2, w: 100, h: 1 });
  });

  it("is taken at corners, edges and inside, and begun anew beside", () => {
    const rect = { x: 10, y: 10, w: 40, h: 40 };
    expect(gripAt(rect, { x: 10, y: 11 }, 3)).toBe("nw");
    expect(gripAt(rect, { x: 30, y: 51 }, 3)).toBe("s");
    expect(gripAt(rect, { x: 30, y: 30 }, 3)).toBe("move");
    expect(gripAt(rect, { x: 90, y: 30 }, 3)).toBe("new");
  });

  it("follows the grip, stays inside, and keeps its ratio", () => {
    const rect = { x: 10, y: 10, w: 40, h: 40 };
    expect(dragged(rect, "e", 15, 99, 0, 100, 100)).toEqual({ x: 10, y: 10, w: 55, h: 40 });
    expect(dragged(rect, "nw", 60, 0, 0, 100, 100)).toEqual({ x: 50, y: 10, w: 20, h: 40 });
    expect(dragged(rect, "move", 500, -500, 0, 100, 100)).toEqual({ x: 60, y: 0, w: 40, h: 40 });
    expect(dragged(rect, "se", 40, 0, 2, 100, 100)).toEqual({ x: 10, y: 10, w: 80, h: 40 });
    expect(withRatio({ x: 0, y: 0, w: 100, h: 50 }, 1, "nw")).toEqual({ x: 50, y: 0, w: 50, h: 50 });
  });
});
