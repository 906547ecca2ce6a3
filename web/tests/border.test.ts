import { expect, test } from "vitest";
import * as m from "../src/graph";
import { build, catalogue, edited, removePort, sceneOf, wires } from "./helpers";

const base = build((scene) => {
  for (const [type, id] of [
    ["latent.empty", "empty"],
    ["sampling.sample", "sample"],
    ["latent.repeat", "repeat"],
    ["vae.decode", "decode"],
    ["values.collect", "list"],
  ] as const) {
    m.addNode(scene, type, { x: Object.keys(scene.graph.nodes).length * 300, y: 0 }, id);
  }
  m.connect(scene, "empty.latent", "sample.latent");
  m.connect(scene, "sample.latent", "repeat.latent");
  m.connect(scene, "repeat.latent", "decode.latent");
});
const packed = edited(base, (scene) => void m.makeSubgraph(scene, new Set(["sample", "repeat", "list"]), "Part"));
const at = ["part"];
const change = (recipe: (scene: m.Scene) => void, document = packed) => edited(document, recipe, at);
const part = (document: m.Document) => document.subgraphs?.part as m.Graph;

test("only a subgraph has a border, and its ports are those of the outside with one more", () => {
  expect(m.portsAt([packed], m.INPUTS, catalogue)).toBeUndefined();
  expect(m.linksOf(sceneOf(packed))).toEqual(packed.links);
  const { scopes } = sceneOf(packed, at);
  expect(m.portsAt(scopes, m.INPUTS, catalogue)?.outputs.map((port) => [port.name, port.type])).toEqual([["latent", "Latent"], [m.NEW, "?"]]);
  expect(m.portsAt(scopes, m.OUTPUTS, catalogue)?.inputs.map((port) => [port.name, port.type])).toEqual([["latent", "Latent"], [m.NEW, "?"]]);
  expect(m.borderLinks(part(packed)).map(m.linkId)).toEqual(["/inputs.latent>sample.latent", "repeat.latent>/outputs.latent"]);
});

test("a link from the border takes the place of another, and goes beside it where a list is collected", () => {
  const replaced = change((scene) => void m.connect(scene, "/inputs.latent", "repeat.latent"));
  expect(part(replaced).links).toEqual([]);
  expect(part(replaced).inputs).toEqual([{ name: "latent", to: "sample.latent" }, { name: "latent", to: "repeat.latent" }]);
  const back = change((scene) => void m.connect(scene, "sample.latent", "repeat.latent"), replaced);
  expect(wires(part(back))).toEqual(["sample.latent > repeat.latent"]);
  expect(part(back).inputs).toEqual([{ name: "latent", to: "sample.latent" }]);
  const list = change((scene) => {
    m.connect(scene, "sample.latent", "list.items");
    m.connect(scene, "/inputs./new", "list.items");
    m.connect(scene, "repeat.latent", "list.items");
  });
  expect(part(list).links.filter(({ to }) => to === "list.items")).toHaveLength(2);
  expect(part(list).inputs?.at(-1)).toEqual({ name: "items", to: "list.items" });
});

test("types are held, and nothing goes straight through", () => {
  const { scopes } = sceneOf(packed, at);
  expect(m.linkFit(scopes, catalogue, "/inputs.latent", "sample.positive").ok).toBe(false);
  expect(m.linkFit(scopes, catalogue, "/inputs.latent", "/outputs./new").ok).toBe(false);
  expect(m.linkFit([packed], catalogue, "/inputs./new", "sample.positive").ok).toBe(false);
  const fits = m.fittingPorts(scopes, catalogue, "/inputs.latent", "output");
  expect(fits.has("repeat.latent")).toBe(true);
  expect(fits.has("/outputs.latent")).toBe(false);
});

test("ports that an edit took away are taken off all instances", () => {
  const twice = edited(packed, (scene) => void m.duplicate(scene, ["part"], { x: 0, y: 300 }, true));
  let lost = { names: [] as string[], links: 0 };
  const after = change((scene) => {
    const before = m.portNames(scene.graph);
    m.removeNodes(scene.graph, new Set(["sample"]));
    lost = m.forgetLost(scene.scopes[0] as m.Graph, scene.graph, before);
  }, twice);
  expect(lost).toEqual({ names: ["latent"], links: 2 });
  expect(wires(after)).toEqual(["part.latent > decode.latent"]);
});

test("a port of a subgraph inside another is followed outwards, as far as nothing else leads there", () => {
  const outer = edited(packed, (scene) => void m.makeSubgraph(scene, new Set(["part", "decode"]), "Outer"));
  const inwards = ["outer", "part"];
  let lost = { names: [] as string[], links: 0 };
  const without = edited(outer, (scene) => void (lost = removePort(scene, "inputs", "latent")), inwards);
  expect(lost).toEqual({ names: ["latent"], links: 1 });
  expect(m.graphAt(without, ["outer"]).inputs, "nothing is left of the port around it").toBeUndefined();
  expect(wires(without), "nor of the link at the outermost").toEqual([]);
  const shared = edited(outer, (scene) => void m.enterAt(scene.graph, "latent", "decode.latent"), ["outer"]);
  const kept = edited(shared, (scene) => void removePort(scene, "inputs", "latent"), inwards);
  expect(m.graphAt(kept, ["outer"]).inputs).toEqual([{ name: "latent", to: "decode.latent" }]);
  expect(wires(kept)).toEqual(["empty.latent > outer.latent"]);
  const out = edited(edited(packed, (scene) => void m.makeSubgraph(scene, new Set(["part"]), "Outer")), (scene) => void (lost = removePort(scene, "outputs", "latent")), inwards);
  expect(lost.links).toBe(1);
  expect(m.graphAt(out, ["outer"]).outputs).toBeUndefined();
  expect(wires(out)).toEqual(["empty.latent > outer.latent"]);
});

test("dissolving and inserting keep the ports", () => {
  const without = change((scene) => m.dissolve(scene, new Set(["sample"])));
  expect(part(without).inputs).toEqual([{ name: "latent", to: "repeat.latent" }]);
  const both = change((scene) => m.dissolve(scene, new Set(["repeat"])));
  expect(part(both).outputs).toEqual([{ name: "latent", from: "sample.latent" }]);
  const between = change((scene) => {
    const id = m.addNode(scene, "latent.repeat", { x: 0, y: 0 }, "more");
    expect(m.insertOnLink(scene, id, "/inputs.latent>sample.latent")).toBe(true);
  });
  expect(part(between).inputs).toEqual([{ name: "latent", to: "more.latent" }]);
  expect(wires(part(between))).toContain("more.latent > sample.latent");
});

test("a port is put anywhere in the order, with all it leads to", () => {
  const graph = part(
    change((scene) => {
      m.connect(scene, "/inputs./new", "sample.positive");
      m.connect(scene, "/inputs.positive", "sample.negative");
      m.connect(scene, "/inputs./new", "sample.model");
      m.placePort(scene.graph, "inputs", "positive", 0);
    }),
  );
  expect(graph.inputs?.map(({ name }) => name)).toEqual(["positive", "positive", "latent", "model"]);
});
