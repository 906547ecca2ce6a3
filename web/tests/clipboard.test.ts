import { expect, test } from "vitest";
import * as m from "../src/graph";
import { build, edited, sceneOf, wires } from "./helpers";

const base = build((scene) => {
  m.addNode(scene, "latent.empty", { x: 100, y: 50 });
  m.addNode(scene, "sampling.sample", { x: 400, y: 80 });
  m.addNode(scene, "vae.decode", { x: 700, y: 80 });
  m.connect(scene, "empty.latent", "sample.latent");
  m.connect(scene, "sample.latent", "decode.latent");
  m.setValue(scene.graph, "sample", "seed", 9223372036854775807n);
  m.addFrame(scene.graph, { x: 350, y: 0, w: 700, h: 300 }, "Sampling");
});

test("copied text is a workflow; pasting gives new ids, inner links, values, and its corner at the pointer", () => {
  const text = m.copyText([base], ["sample", "decode", "/frame/1"]);
  expect(text).toContain("9223372036854775807");
  const part = m.readPart(text)!;
  let keys: string[] = [];
  const after = edited(base, (scene) => {
    keys = m.pastePart(scene, part, { x: 1000, y: 1000 });
  });
  expect(keys).toEqual(["sample_2", "decode_2", "/frame/2"]);
  expect(wires(after)).toContain("sample_2.latent > decode_2.latent");
  expect(wires(after)).not.toContain("empty.latent > sample_2.latent");
  expect(after.nodes.sample_2?.values?.seed).toBe(9223372036854775807n);
  expect(after.ui?.frames?.[1]).toMatchObject({ x: 1000, y: 1000 });
  expect(after.ui?.nodes?.sample_2).toMatchObject({ x: 1050, y: 1080 });
  expect(base.nodes.sample_2).toBeUndefined();
});

test("duplicating keeps outer wires only when asked", () => {
  const without = edited(base, (scene) => void m.duplicate(scene, ["sample"], { x: 20, y: 20 }));
  expect(wires(without)).toEqual(wires(base));
  const with_ = edited(base, (scene) => void m.duplicate(scene, ["sample"], { x: 20, y: 20 }, true));
  expect(wires(with_)).toContain("empty.latent > sample_2.latent");
  expect(wires(with_)).toContain("empty.latent > sample.latent");
});

test("an instance brings its subgraph along, renamed when another of that name is there", () => {
  const packed = edited(base, (scene) => void m.makeSubgraph(scene, new Set(["sample"]), "Part"));
  const part = m.readPart(m.copyText([packed], ["part"]))!;
  expect(Object.keys(part.subgraphs ?? {})).toEqual(["part"]);
  const into = (document: m.Document) => edited(document, (scene) => void m.pastePart(scene, part, { x: 0, y: 0 }));
  const empty = into(m.emptyDocument());
  expect(empty.nodes.part?.type).toBe("subgraph:part");
  expect(Object.keys(into(packed).subgraphs ?? {})).toEqual(["part"]);
  const other = edited(packed, (scene) => m.setValue(m.graphAt(scene.scopes[0] as m.Document, ["part"]), "sample", "steps", 3));
  expect(Object.keys(into(other).subgraphs ?? {})).toEqual(["part", "part_2"]);
  expect(into(other).nodes.part_2?.type).toBe("subgraph:part_2");
});

test("text that is no workflow is not pasted as one", () => {
  expect(m.readPart("a red apple")).toBeUndefined();
  expect(m.readPart('{"a": 1}')).toBeUndefined();
  expect(m.readPart("{broken")).toBeUndefined();
  expect(sceneOf(base).graph).toBe(base);
});
