import { describe, expect, test } from "vitest";
import { freshId, parseJson, readDocument, splitPort, stringifyJson, writeDocument } from "../src/graph";

describe("JSON", () => {
  test("a seed beyond 2^53 keeps every digit", () => {
    const text = '{"seed":9223372036854775807,"small":7,"text":"9223372036854775807 \\" 9223372036854775807","f":1.5}';
    const data = parseJson(text) as Record<string, unknown>;
    expect(data.seed).toBe(9223372036854775807n);
    expect(data.text).toBe('9223372036854775807 " 9223372036854775807');
    expect(stringifyJson(data)).toBe(text);
  });
  test("long decimals stay numbers", () => {
    expect(parseJson("[0.12345678901234567, 12345678901234567e3]")).toEqual([0.12345678901234567, 12345678901234567e3]);
  });
});

describe("reading", () => {
  test("unknown fields, nodes and links are kept", () => {
    const text = stringifyJson(
      {
        format: "safelight/1",
        nodes: { a: { type: "gone.node", values: { x: [1, { y: 2 }] }, mood: "blue" } },
        links: [{ from: "a.out", to: "b.in", note: "mine" }],
        author: { name: "me" },
        ui: { nodes: { a: { x: 1, y: 2, sparkle: true } }, other: 3 },
      },
      2,
    );
    expect(writeDocument(readDocument(text))).toBe(text);
  });
  test.each([
    ["{", "This is not JSON"],
    ["[]", "not a Safelight workflow"],
    ['{"format":"safelight/9"}', "this version reads safelight/1"],
    ['{"format":"safelight/1","nodes":{"a":{}}}', 'The node "a" names no type'],
    ['{"format":"safelight/1","links":[{"from":"a","to":"b.c"}]}', "node.port"],
  ])("%s is refused with a reason", (text, reason) => {
    expect(() => readDocument(text)).toThrow(reason);
  });
});

test("ids are readable and free", () => {
  const taken = new Set(["sample", "sample_2"]);
  expect(freshId("sampling.sample", (id) => taken.has(id))).toBe("sample_3");
  expect(freshId("sample_2", (id) => taken.has(id))).toBe("sample_3");
  expect(freshId("My node! (blue)", () => false)).toBe("my_node_blue");
  expect(freshId("...", () => false)).toBe("node");
  expect(splitPort("a/b.c")).toEqual({ node: "a/b", port: "c" });
});
