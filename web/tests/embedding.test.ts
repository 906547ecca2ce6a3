import { describe, expect, it } from "vitest";
import { compareDocuments, crc32, type Document } from "../src/graph";

describe("images", () => {
  it("counts the check value of CRC-32", () => {
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  });
});

describe("comparing documents", () => {
  const base: Document = {
    format: "safelight/1",
    nodes: { a: { type: "x", values: { n: 1 } }, b: { type: "y" } },
    links: [{ from: "a.o", to: "b.i" }],
    ui: { nodes: { a: { x: 0, y: 0 } } },
  };
  it("names what was added, removed, changed and rewired", () => {
    const other: Document = {
      ...base,
      nodes: { a: { type: "x", values: { n: 2 }, mode: "mute" }, c: { type: "z" } },
      links: [{ from: "a.o", to: "c.i" }],
    };
    expect(compareDocuments(base, other)).toEqual([
      { kind: "removed", node: "b", field: "" },
      { kind: "changed", node: "a", field: "n", before: 1, after: 2 },
      { kind: "changed", node: "a", field: "mode", before: undefined, after: "mute" },
      { kind: "added", node: "c", field: "" },
      { kind: "links", node: "", field: "", before: 1, after: 1 },
    ]);
  });
  it("says that nodes were moved only where nothing else is different", () => {
    expect(compareDocuments(base, { ...base, ui: { nodes: { a: { x: 9, y: 0 } } } })).toEqual([{ kind: "moved", node: "", field: "" }]);
    expect(compareDocuments(base, { ...base })).toEqual([]);
  });
});
