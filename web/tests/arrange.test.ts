import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Geometer, type Geometry, shapesOf } from "../src/canvas/geometry";
import * as m from "../src/graph";
import { catalogue, edited } from "./helpers";

const WORKFLOWS = join(import.meta.dirname, "../../workflows");

function geometryOf(document: m.Document, path: string[] = [], style: m.WireStyle = "curved"): Geometry {
  const scopes = m.scopesAt(document, path);
  return new Geometer().compute({ scopes, graph: scopes[scopes.length - 1] as m.Graph, catalogue, types: {} }, new Map(), style);
}

/** The wires that run behind a node, with that node. */
function hidden(geometry: Geometry): string[] {
  const boxes = Object.fromEntries([...geometry.nodes].map(([id, { rect }]) => [id, rect]));
  return geometry.wires.flatMap((wire) => {
    const node = m.behind(wire.points, boxes, [wire.from, wire.to], wire.style);
    return node ? [`${wire.id} behind ${node}`] : [];
  });
}

async function arranged(document: m.Document, style: m.WireStyle = "curved"): Promise<m.Document> {
  const plan = await m.autoLayout(document, shapesOf(geometryOf(document)), style);
  return edited(document, ({ graph }) => m.takeArrangement(graph, plan));
}

/** Mulberry32: the same graphs each time. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Nodes of the catalogue, each input wired to some node before it that fits. */
function randomGraph(seed: number, count: number): m.Document {
  const random = numbers(seed);
  const specs = catalogue.nodes.filter((spec) => spec.outputs.length > 0 && !spec.deprecated);
  return edited(m.emptyDocument("random"), (scene) => {
    const made: string[] = [];
    for (let number = 0; number < count; number++) {
      const id = m.addNode(scene, specs[Math.floor(random() * specs.length)]?.id ?? "", { x: random() * 2000, y: random() * 2000 });
      const ports = m.portsOf(scene.scopes, id, scene.graph.nodes[id] as m.NodeData, catalogue);
      for (const input of ports.inputs.filter((port) => port.socket)) {
        const sources = made.flatMap((source) =>
          m
            .portsOf(scene.scopes, source, scene.graph.nodes[source] as m.NodeData, catalogue)
            .outputs.map((output) => m.joinPort(source, output.name))
            .filter((from) => m.linkFit(scene.scopes, catalogue, from, m.joinPort(id, input.name)).ok),
        );
        const source = sources[Math.floor(random() * sources.length)];
        if (source) m.connect(scene, source, m.joinPort(id, input.name));
      }
      made.push(id);
    }
  });
}

describe("wires and nodes", () => {
  const names = readdirSync(WORKFLOWS, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".json") && !name.includes("locale"));
  test("there are workflows to look at", () => expect(names.length).toBeGreaterThan(35));
  test.each(names)("no wire of %s runs behind a node", (name) => {
    const document = m.readDocument(readFileSync(join(WORKFLOWS, name), "utf8"));
    expect(hidden(geometryOf(document))).toEqual([]);
    for (const [id, node] of Object.entries(document.nodes)) {
      if (node.type.startsWith(m.SUBGRAPH)) expect(hidden(geometryOf(document, [id]))).toEqual([]);
    }
  });

  const graphs = Array.from({ length: 20 }, (_, index) => [index + 41, 10 + Math.round((50 * index) / 19)] as const);
  test.each(graphs)("Arrange leaves none in random graph %i of %i nodes, straight or with corners", async (seed, count) => {
    for (const style of ["straight", "angled"] as const) {
      expect(hidden(geometryOf(await arranged(randomGraph(seed, count), style), [], style))).toEqual([]);
    }
  });
  test.each(graphs)("Arrange leaves none in random graph %i of %i nodes", async (seed, count) => {
    const before = randomGraph(seed, count);
    // What is drawn differs with every node type that is added; a graph without links would prove nothing.
    expect(before.links.length).toBeGreaterThan(count / 6);
    const geometry = geometryOf(await arranged(before));
    expect(hidden(geometry)).toEqual([]);
    const boxes = [...geometry.nodes.values()].map(({ rect }) => rect);
    expect(boxes.some((one, at) => boxes.some((other, index) => index > at && m.overlaps(one, other)))).toBe(false);
  });
});
