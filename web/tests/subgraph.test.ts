import { expect, test } from "vitest";
import * as m from "../src/model";
import { build, catalogue, edited, wires } from "./helpers";

const base = build((scene) => {
  for (const [type, id] of [
    ["text.encode", "positive"],
    ["latent.empty", "empty"],
    ["sampling.sample", "sample"],
    ["latent.repeat", "repeat"],
    ["vae.decode", "decode"],
  ] as const) {
    m.addNode(scene, type, { x: Object.keys(scene.graph.nodes).length * 300, y: 0 }, id);
  }
  m.connect(scene, "positive.conditioning", "sample.positive");
  m.connect(scene, "positive.conditioning", "sample.negative");
  m.connect(scene, "empty.latent", "sample.latent");
  m.connect(scene, "sample.latent", "repeat.latent");
  m.connect(scene, "repeat.latent", "decode.latent");
  m.exposeInput(scene.graph, "sample.seed");
  m.exposeInput(scene.graph, "positive.text", "prompt");
  m.exposeOutput(scene.graph, "decode.image", "image");
});

const packed = edited(base, (scene) => void m.makeSubgraph(scene, new Set(["sample", "repeat"]), "Hi-res fix"));
const key = "hi-res_fix";

test("making one: crossing links become its ports, the workflow's ports go through it", () => {
  const inside = packed.subgraphs![key]!;
  expect(Object.keys(inside.nodes)).toEqual(["sample", "repeat"]);
  expect(inside.links).toEqual([{ from: "sample.latent", to: "repeat.latent" }]);
  expect(inside.inputs).toEqual([
    { name: "positive", to: "sample.positive" },
    { name: "positive", to: "sample.negative" },
    { name: "latent", to: "sample.latent" },
    { name: "seed", to: "sample.seed" },
  ]);
  expect(inside.outputs).toEqual([{ name: "latent", from: "repeat.latent" }]);
  expect(wires(packed)).toEqual([
    `empty.latent > ${key}.latent`,
    `${key}.latent > decode.latent`,
    `positive.conditioning > ${key}.positive`,
  ]);
  expect(packed.inputs).toEqual([
    { name: "seed", to: `${key}.seed` },
    { name: "prompt", to: "positive.text" },
  ]);
});

test("an instance shows the ports of its definition, with types, widgets and defaults of what is inside", () => {
  const ports = m.portsOf([packed], key, packed.nodes[key]!, catalogue);
  expect(ports.title).toBe("Hi-res fix");
  expect(ports.inputs.map((port) => [port.name, port.type, port.socket])).toEqual([
    ["positive", "Conditioning", true],
    ["latent", "Latent", true],
    ["seed", "int", false],
  ]);
  expect(ports.outputs.map((port) => [port.name, port.type])).toEqual([["latent", "Latent"]]);
});

test("unpacking gives the links and ports back", () => {
  const after = edited(packed, (scene) => void m.unpackSubgraph(scene, key));
  expect(wires(after)).toEqual(wires(base));
  expect(after.inputs).toEqual(base.inputs);
  expect(after.outputs).toEqual(base.outputs);
  expect(after.subgraphs).toBeUndefined();
  expect(Object.keys(after.nodes).sort()).toEqual(Object.keys(base.nodes).sort());
});

test("values of the instance move into what is unpacked", () => {
  const set = edited(packed, ({ graph }) => m.setValue(graph, key, "seed", 42));
  const after = edited(set, (scene) => void m.unpackSubgraph(scene, key));
  expect(after.nodes.sample?.values?.seed).toBe(42);
});

test("editing inside is editing for all instances; subgraphs may hold subgraphs", () => {
  const twice = edited(packed, (scene) => void m.duplicate(scene, [key], { x: 0, y: 300 }));
  const changed = edited(twice, ({ graph }) => m.setValue(graph, "sample", "steps", 5), [key]);
  expect(m.graphAt(changed, [`${key}_2`]).nodes.sample?.values?.steps).toBe(5);
  const nested = edited(changed, (scene) => void m.makeSubgraph(scene, new Set(["repeat"]), "Inner"), [key]);
  expect(m.graphAt(nested, [key, "inner"]).nodes.repeat?.type).toBe("latent.repeat");
  const ports = m.portsOf(m.scopesAt(nested, [key]), "inner", m.graphAt(nested, [key]).nodes.inner!, catalogue);
  expect(ports.outputs.map((port) => port.type)).toEqual(["Latent"]);
});
