import { expect, test } from "vitest";
import * as m from "../src/graph";
import { build, catalogue, edited, removePort, wires } from "./helpers";

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

test("unpacked at once, all is where it was and as it was: places, names of links, notes, frames, bends", () => {
  const drawn = edited(base, (scene) => {
    for (const link of scene.graph.links) link.flag = `${link.from} to ${link.to}`;
    (scene.graph.links.find(({ to }) => to === "repeat.latent") as m.Link).bend = [[710, 90]];
    m.addNote(scene.graph, { x: 650, y: 300 }, "Twice");
    m.addFrame(scene.graph, { x: 590, y: -40, w: 600, h: 400 }, "Refine");
  });
  const made = edited(drawn, (scene) => void m.makeSubgraph(scene, new Set(["sample", "repeat", "/note/1", "/frame/1"]), "Part"));
  expect([made.ui?.notes, made.ui?.frames, made.subgraphs?.part?.ui?.notes?.length, made.subgraphs?.part?.ui?.frames?.length]).toEqual([undefined, undefined, 1, 1]);
  expect(made.links.map(({ flag }) => flag).sort()).toEqual(["empty.latent to sample.latent", "positive.conditioning to sample.positive", "repeat.latent to decode.latent"]);
  const after = edited(made, (scene) => void m.unpackSubgraph(scene, "part"));
  expect(after.ui).toEqual(drawn.ui);
  const bare = ({ from, to, bend }: m.Link) => JSON.stringify([from, to, bend]);
  expect(after.links.map(bare).sort()).toEqual(drawn.links.map(bare).sort());
  expect(after.links.every(({ flag }) => flag)).toBe(true);
});

test("what is muted stays so when it is unpacked", () => {
  const muted = edited(packed, ({ graph }) => m.toggleMode(graph, [key], "mute"));
  const after = edited(muted, (scene) => void m.unpackSubgraph(scene, key));
  expect([after.nodes.sample?.mode, after.nodes.repeat?.mode, after.nodes.empty?.mode]).toEqual(["mute", "mute", undefined]);
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

test("a port is renamed everywhere: in its instances, their links and values, and the workflow's own ports", () => {
  const set = edited(packed, ({ graph }) => m.setValue(graph, key, "seed", 42));
  const twice = edited(set, (scene) => void m.duplicate(scene, [key], { x: 0, y: 300 }, true));
  const rename = (old: string, name: string, side: m.PortSide = "inputs") =>
    edited(twice, (scene) => void m.renamePort(scene.scopes[0] as m.Graph, scene.graph, side, old, name), [key]);
  const seeded = rename("seed", "start seed");
  expect(m.graphAt(seeded, [key]).inputs?.map((entry) => entry.name)).toContain("start_seed");
  expect(seeded.nodes[key]?.values).toEqual({ start_seed: 42 });
  expect(seeded.nodes[`${key}_2`]?.values).toEqual({ start_seed: 42 });
  expect(seeded.inputs?.[0]).toEqual({ name: "seed", to: `${key}.start_seed` });
  const prompted = rename("positive", "prompt");
  expect(wires(prompted)).toContain(`positive.conditioning > ${key}.prompt`);
  expect(wires(prompted)).toContain(`positive.conditioning > ${key}_2.prompt`);
  expect(wires(rename("latent", "result", "outputs"))).toContain(`${key}.result > decode.latent`);
  expect(rename("seed", "latent"), "a taken name changes nothing").toBe(twice);
  expect(rename("seed", " . "), "nor does an empty one").toBe(twice);
});

test("a port that is taken away takes its links and values with it", () => {
  const set = edited(packed, ({ graph }) => m.setValue(graph, key, "seed", 42));
  const without = edited(set, (scene) => void removePort(scene, "inputs", "seed"), [key]);
  expect(without.nodes[key]?.values).toEqual({});
  expect(without.inputs?.map((entry) => entry.to)).toEqual(["positive.text"]);
  const cut = edited(set, (scene) => void removePort(scene, "inputs", "positive"), [key]);
  expect(wires(cut)).not.toContain(`positive.conditioning > ${key}.positive`);
  expect(m.shownPorts(m.graphAt(cut, [key]), "inputs").map((port) => port.name)).toEqual(["latent", "seed"]);
});

test("ports are ordered as they are seen, those that share a name together", () => {
  const order = (document: typeof packed) => m.portsOf([document], key, document.nodes[key]!, catalogue).inputs.map((port) => port.name);
  const move = (name: string, by: -1 | 1) => edited(packed, ({ graph }) => m.movePort(graph, "inputs", name, by), [key]);
  expect(order(packed)).toEqual(["positive", "latent", "seed"]);
  expect(order(move("positive", 1))).toEqual(["latent", "positive", "seed"]);
  expect(order(move("latent", -1))).toEqual(["latent", "positive", "seed"]);
  expect(order(move("seed", 1))).toEqual(["positive", "latent", "seed"]);
});

test("no subgraph comes to lie inside itself", () => {
  const nested = edited(packed, (scene) => void m.makeSubgraph(scene, new Set(["repeat"]), "Inner"), [key]);
  const inside = m.scopesAt(nested, [key, "inner"]);
  expect(m.holdsItself(inside, `subgraph:${key}`)).toBe(true);
  expect(m.holdsItself(inside, "subgraph:inner")).toBe(true);
  expect(m.holdsItself([nested], `subgraph:${key}`)).toBe(false);
  expect(m.holdsItself([nested], "subgraph:missing")).toBe(false);
});
