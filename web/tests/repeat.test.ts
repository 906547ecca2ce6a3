import { expect, test } from "vitest";
import * as m from "../src/graph";
import { build, catalogue, edited, removePort } from "./helpers";

const packed = edited(
  build((scene) => {
    m.addNode(scene, "latent.empty", { x: 0, y: 0 }, "empty");
    m.addNode(scene, "sampling.sample", { x: 300, y: 0 }, "sample");
    m.addNode(scene, "vae.decode", { x: 600, y: 0 }, "decode");
    m.connect(scene, "empty.latent", "sample.latent");
    m.connect(scene, "sample.latent", "decode.latent");
    m.exposeInput(scene.graph, "sample.seed");
  }),
  (scene) => void m.makeSubgraph(scene, new Set(["sample"]), "loop"),
);

const ports = (document: m.Document) => m.portsOf([document], "loop", document.nodes.loop!, catalogue);
const types = (document: m.Document) => Object.fromEntries([...ports(document).inputs, ...ports(document).outputs].map((port) => [port.name, port.type]));

test("ports take and give lists where turns take and give elements", () => {
  const each = edited(packed, (scene) => m.setRepeat(scene.graph, "loop", { each: ["seed"] }));
  expect(types(each)).toMatchObject({ seed: "list[int]", latent: "list[Latent]" });
  expect(ports(each).inputs.find((port) => port.name === "seed")?.widget).toBeNull();
  const carried = edited(packed, (scene) => m.setRepeat(scene.graph, "loop", { times: "turns", carry: { latent: "latent" }, index: "seed" }));
  expect(types(carried)).toEqual({ latent: "Latent", turns: "int" });
});

test("what is empty is not written, and nothing but `repeat` changes", () => {
  const made = edited(packed, (scene) => m.setRepeat(scene.graph, "loop", { times: 3, each: [], while: "", most: 1000, carry: {} }));
  expect(made.nodes.loop).toEqual({ ...packed.nodes.loop, repeat: { times: 3 } });
  expect(edited(made, (scene) => m.setRepeat(scene.graph, "loop", null)).nodes).toEqual(packed.nodes);
});

test("renamed and removed ports are followed", () => {
  const made = edited(packed, (scene) => m.setRepeat(scene.graph, "loop", { times: 3, carry: { latent: "latent" }, index: "seed" }));
  const inside = (document: m.Document) => document.subgraphs!.loop!;
  const renamed = edited(made, (scene) => {
    m.renamePort(scene.graph, inside(scene.graph as m.Document), "inputs", "latent", "begin");
    m.renamePort(scene.graph, inside(scene.graph as m.Document), "outputs", "latent", "end");
  });
  expect(renamed.nodes.loop?.repeat).toEqual({ times: 3, carry: { begin: "end" }, index: "seed" });
  const removed = edited(made, (scene) => {
    removePort(scene, "inputs", "seed");
    removePort(scene, "outputs", "latent");
  }, ["loop"]);
  expect(removed.nodes.loop?.repeat).toEqual({ times: 3 });
});

test("the numbers of turns are left out of ids, and nodes that are called by a number stay", () => {
  const made = edited(packed, (scene) => {
    m.setRepeat(scene.graph, "loop", { times: 3 });
    m.addNode(scene, "latent.empty", { x: 0, y: 0 }, "4");
  });
  expect(m.withoutTurns(made, "loop/12/sample")).toBe("loop/sample");
  expect(m.withoutTurns(made, "4")).toBe("4");
  expect(m.withoutTurns(packed, "loop/12/sample")).toBe("loop/12/sample");
});
