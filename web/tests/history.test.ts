import { expect, test } from "vitest";
import * as m from "../src/graph";
import { build, catalogue, sceneOf } from "./helpers";

/** A small generator of repeatable random numbers (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function randomEdit(draft: m.Document, next: () => number): void {
  const paths = [[], ...Object.keys(draft.nodes).filter((id) => draft.nodes[id]?.type.startsWith(m.SUBGRAPH)).map((id) => [id])];
  const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(next() * list.length)];
  const scene = sceneOf(draft, pick(paths));
  const { graph } = scene;
  const ids = Object.keys(graph.nodes);
  const some = new Set(ids.filter(() => next() < 0.3));
  const keys = [...some, ...(graph.ui?.frames ?? []).map((frame) => m.frameKey(frame.id))];
  const point = () => ({ x: Math.round(next() * 2000), y: Math.round(next() * 2000) });
  const port = (id: string, side: "inputs" | "outputs") => {
    const node = graph.nodes[id];
    const list = node ? m.portsOf(scene.scopes, id, node, catalogue)[side] : [];
    return `${id}.${pick<{ name: string }>(list)?.name ?? "x"}`;
  };
  const wire = () => m.linkId(pick(graph.links) ?? { from: "", to: "" });
  const edits: (() => void)[] = [
    () => void m.addNode(scene, pick(catalogue.nodes)!.id, point()),
    () => void m.addNode(scene, pick(catalogue.nodes)!.id, point()),
    () => void m.connect(scene, port(pick(ids) ?? "", "outputs"), port(pick(ids) ?? "", "inputs")),
    () => {
      for (const from of ids) {
        const to = m.fittingInput(scene, port(from, "outputs"), pick(ids) ?? "");
        if (to) m.connect(scene, port(from, "outputs"), to);
      }
    },
    () => m.removeNodes(graph, new Set(ids.filter(() => next() < 0.1))),
    () => m.dissolve(scene, new Set([pick(ids) ?? ""])),
    () => m.setValue(graph, pick(ids) ?? "", "steps", Math.floor(next() * 100)),
    () => m.toggleMode(graph, [...some], next() < 0.5 ? "mute" : "bypass"),
    () => m.setTitle(graph, pick(ids) ?? "", next() < 0.3 ? "" : `Title ${next()}`),
    () => m.setLook(graph, some, { collapsed: next() < 0.5 ? true : undefined, color: "#ff0000" }),
    () => ids.length > 0 && m.toggleSocket(graph, pick(ids)!, "steps"),
    () => m.swapType(scene, pick(ids) ?? "", pick(catalogue.nodes)!.id),
    () => m.moveNodes(graph, Object.fromEntries([...some].map((id) => [id, point()]))),
    () => void m.duplicate(scene, keys, { x: 20, y: 20 }, next() < 0.5),
    () => void m.makeSubgraph(scene, some, "Part"),
    () => void m.unpackSubgraph(scene, ids.find((id) => graph.nodes[id]?.type.startsWith(m.SUBGRAPH)) ?? ""),
    () => void m.addFrame(graph, { ...point(), w: 100, h: 100 }, "Frame"),
    () => void m.addNote(graph, point(), "Note"),
    () => m.removeItems(graph, new Set(keys)),
    () => m.addBend(graph, wire(), point(), 0),
    () => m.moveBend(graph, wire(), 0, point()),
    () => m.removeBend(graph, wire(), 0),
    () => ids.length > 0 && m.exposeInput(graph, port(pick(ids)!, "inputs")),
    () => ids.length > 0 && m.exposeOutput(graph, port(pick(ids)!, "outputs")),
    () => m.orderPort(graph, "inputs", 1, -1),
    () => void m.insertOnLink(scene, pick(ids) ?? "", wire()),
  ];
  pick(edits)!();
}

test.each([1, 2, 3, 4, 5])("200 random commands undone give the document back byte for byte, redone the end (%i)", (seed) => {
  const next = random(seed);
  const start = build((scene) => {
    m.addNode(scene, "sampling.sample", { x: 0, y: 0 });
    m.addNode(scene, "latent.empty", { x: -300, y: 0 });
    m.connect(scene, "empty.latent", "sample.latent");
  });
  const texts = [m.writeDocument(start)];
  const history = new m.History(start);
  while (texts.length <= 200) {
    if (history.edit("random", (draft) => randomEdit(draft, next))) texts.push(m.writeDocument(history.document));
    else expect(m.writeDocument(history.document)).toBe(texts[texts.length - 1]);
  }
  expect(new Set(texts).size).toBeGreaterThan(150);
  for (let i = 199; i >= 0; i--) {
    history.undo();
    expect(m.writeDocument(history.document)).toBe(texts[i]);
  }
  expect(history.undo()).toBeUndefined();
  for (let i = 1; i <= 200; i++) {
    history.redo();
    expect(m.writeDocument(history.document)).toBe(texts[i]);
  }
  expect(history.redo()).toBeUndefined();
  // What every state of the way is worth: it can be read again.
  for (const text of texts) expect(m.writeDocument(m.readDocument(text))).toBe(text);
});

test("a burst of typing is one step, a pause or another field begins a new one", () => {
  const history = new m.History(build((scene) => void m.addNode(scene, "sampling.sample", { x: 0, y: 0 })));
  const type = (value: number, time: number, group = "sample.steps") =>
    history.edit("value", (draft) => m.setValue(draft, "sample", "steps", value), { group, time });
  type(1, 0);
  type(2, 0.3);
  type(3, 0.6);
  type(4, 5);
  history.undo();
  expect(history.document.nodes.sample?.values?.steps).toBe(3);
  history.undo();
  expect(history.document.nodes.sample?.values).toEqual({});
  history.redo();
  expect(history.document.nodes.sample?.values?.steps).toBe(3);
  type(9, 0.7);
  expect(history.canRedo).toBeUndefined();
});
