import { describe, expect, it } from "vitest";
import { type Document, type InputSpec, moveInput, parseValues, removeInput, renameInput } from "../src/graph";

const spec = (type: string, choices: string[] = []): InputSpec => ({ name: "x", type, socket: false, required: false, lazy: false, default: 0, choices, widget: null, help: "" });

describe("several values of a field", () => {
  it("reads numbers and evenly spaced ones", () => {
    expect(parseValues("1, 2;3", spec("int")).values).toEqual([1, 2, 3]);
    expect(parseValues("3..6 9", spec("int")).values).toEqual([3, 4, 5, 6, 9]);
    expect(parseValues("0..1..0.25", spec("float")).values).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(parseValues("0..0.3..0.1", spec("float")).values).toEqual([0, 0.1, 0.2, 0.3]);
    expect(parseValues("5..1..2", spec("int")).values).toEqual([5, 3, 1]);
  });
  it("says what is no value", () => {
    expect(parseValues("1, x, 2.5", spec("int"))).toEqual({ values: [1], wrong: ["x", "2.5"] });
    expect(parseValues("1..1e9", spec("int")).wrong).toEqual(["1..1e9"]);
    expect(parseValues("euler, nope", spec("choice", ["euler", "heun"]))).toEqual({ values: ["euler"], wrong: ["nope"] });
  });
  it("keeps commas in texts, which stand one a line", () => {
    expect(parseValues("a red apple, on a table\na pear", spec("str")).values).toEqual(["a red apple, on a table", "a pear"]);
  });
});

describe("fields of a form", () => {
  const document = (): Document => ({
    format: "safelight/1",
    nodes: {},
    links: [],
    inputs: [
      { name: "seed", to: "a.seed" },
      { name: "steps", to: "a.steps" },
      { name: "seed", to: "b.seed" },
      { name: "size", to: "c.size" },
    ],
  });
  it("are moved, renamed and removed with all their ports", () => {
    const moved = document();
    moveInput(moved, "seed", "size");
    expect(moved.inputs?.map((entry) => entry.to)).toEqual(["a.steps", "a.seed", "b.seed", "c.size"]);
    moveInput(moved, "steps", undefined);
    expect(moved.inputs?.map((entry) => entry.name)).toEqual(["seed", "seed", "size", "steps"]);
    renameInput(moved, "seed", " start value ");
    renameInput(moved, "size", "steps");
    expect(moved.inputs?.map((entry) => entry.name)).toEqual(["start_value", "start_value", "size", "steps"]);
    removeInput(moved, "start_value");
    expect(moved.inputs?.length).toBe(2);
  });
});
