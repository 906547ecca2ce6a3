import { expect, test } from "vitest";
import { rank } from "../src/ui/fuzzy";
import * as m from "../src/graph";
import { build, catalogue } from "./helpers";

const widget = { widget: "number", group: "", advanced: false, shown_if: {} };

function input(name: string, more: object = {}, rest: object = {}): m.InputSpec {
  const plain = { name, type: "int", socket: false, required: false, lazy: false, default: 0, choices: [], help: "" };
  return { ...plain, widget: { ...widget, ...more }, ...rest } as unknown as m.InputSpec;
}

const ports = {
  inputs: [
    input("image", {}, { socket: true }),
    input("tile", { group: "Memory" }),
    input("mode", {}, { default: "fine" }),
    input("steps", { shown_if: { mode: ["fine", "finest"] } }),
    input("overlap", { group: "Memory", shown_if: { tile: [64] } }),
    input("seed", { advanced: true }),
    input("noise", { advanced: true, group: "Noise", shown_if: { mode: ["fast"] } }),
  ],
} as unknown as m.NodePorts;

/** The rows as words: names of fields, [groups], and (the fold). */
function rows(options: Parameters<typeof m.fieldRows>[1] = {}): string {
  const word = (row: m.FieldRow) =>
    row.kind === "field" ? row.input.name : row.kind === "group" ? `[${row.label}]` : `(${row.open ? "open" : "closed"} ${row.hidden})`;
  return m.fieldRows(ports, options).map(word).join(" ");
}

test("groups stand below their headings, advanced fields in a fold", () => {
  expect(rows()).toBe("mode steps [Memory] tile (closed 1)");
  expect(rows({ open: true })).toBe("mode steps [Memory] tile (open 1) seed");
  expect(rows({ open: true, values: { mode: "fast" } })).toBe("mode [Memory] tile (open 2) seed [Noise] noise");
});

test("conditions follow values", () => {
  expect(rows({ values: { mode: "fast" } })).toBe("mode [Memory] tile (closed 2)");
  expect(rows({ values: { tile: 64 } })).toBe("mode steps [Memory] tile overlap (closed 1)");
});

test("what acts is never hidden", () => {
  const fast = { mode: "fast" };
  expect(rows({ values: { ...fast, steps: 3 } }), "another value than the default").toBe("mode steps [Memory] tile (closed 2)");
  expect(rows({ values: { ...fast, steps: 0 } }), "the default, written down").toBe("mode [Memory] tile (closed 2)");
  expect(rows({ values: { seed: 7 } }), "a changed advanced field, and nothing else to open").toBe("mode steps [Memory] tile seed");
  expect(rows({ values: fast, kept: new Set(["steps"]) }), "a link or the form").toBe("mode steps [Memory] tile (closed 2)");
  expect(rows({ linked: new Set(["tile"]), kept: new Set(["tile"]) }), "what a link will say is not known").toBe("mode steps [Memory] tile overlap (closed 1)");
});

test("fields of instances show whatever they were inside the subgraph", () => {
  const document = build((scene) => {
    m.addNode(scene, "vae.encode", { x: 0, y: 0 }, "encode");
    scene.graph.inputs = [{ name: "seed", to: "encode.seed" }];
  });
  const outer = { ...m.emptyDocument("outer"), nodes: { n: { type: "subgraph:s" } }, subgraphs: { s: document } };
  const found = m.portsOf([outer], "n", outer.nodes.n, catalogue).inputs[0]!;
  expect(found.widget).toMatchObject({ widget: "seed", advanced: false, shown_if: {} });
});

test("nodes are found by what other programs call them", () => {
  const options = catalogue.nodes.map((spec) => ({ title: spec.title, tags: spec.tags, also: `${spec.id} ${spec.help}`, id: spec.id }));
  const first = (query: string) => rank(options, query)[0]?.id;
  expect(first("KSampler")).toBe("sampling.sample");
  expect(first("load checkpoint")).toBe("models.load");
  expect(first("CLIP Text Encode")).toBe("text.encode");
  expect(first("vae decode")).toBe("vae.decode");
  expect(first("EmptyLatentImage")).toBe("latent.empty");
  expect(first("hires fix")).toBe("latent.resize");
});
