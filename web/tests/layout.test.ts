import { expect, test } from "vitest";
import * as m from "../src/graph";
import { build, catalogue } from "./helpers";

const none = { sockets: new Set<string>(), result: null };

test("every node type has a layout whose rows follow each other and whose sockets lie on its edges", () => {
  for (const spec of catalogue.nodes) {
    const document = build((scene) => void m.addNode(scene, spec.id, { x: 0, y: 0 }, "n"));
    const ports = m.portsOf([document], "n", document.nodes.n!, catalogue);
    for (const options of [none, { ...none, result: "image" as const }, { ...none, result: "curve" as const }, { ...none, result: "values" as const }, { ...none, sockets: new Set(ports.inputs.map((i) => i.name)) }]) {
      const layout = m.layoutNode(ports, { x: 0, y: 0, advanced: true }, options);
      const rows = m.fieldRows(ports, { open: true, kept: options.sockets });
      const shown = [...ports.inputs.filter((input) => input.socket), ...rows.flatMap((row) => (row.kind === "field" ? [row.input] : []))];
      let bottom = m.HEADER;
      for (const row of layout.rows) {
        expect(row.y).toBeGreaterThanOrEqual(bottom);
        bottom = row.y + row.h;
      }
      expect(layout.h).toBeGreaterThanOrEqual(bottom);
      expect(Object.keys(layout.inputs).sort()).toEqual(shown.map((input) => input.name).sort());
      if (options.sockets.size) expect(shown.length).toBe(ports.inputs.length);
      for (const place of Object.values(layout.inputs)) expect(place.x).toBe(0);
      for (const place of Object.values(layout.outputs)) expect(place.x).toBe(layout.w);
      expect(new Set(Object.values(layout.inputs).map((place) => place.y)).size).toBe(shown.length);
    }
  }
});

test("a collapsed node is its header, with all wires at it", () => {
  const document = build((scene) => void m.addNode(scene, "sampling.sample", { x: 0, y: 0 }, "n"));
  const ports = m.portsOf([document], "n", document.nodes.n!, catalogue);
  const layout = m.layoutNode(ports, { x: 0, y: 0, collapsed: true }, none);
  expect(layout.h).toBe(m.HEADER);
  for (const place of [...Object.values(layout.inputs), ...Object.values(layout.outputs)]) {
    expect(place.y).toBeGreaterThan(0);
    expect(place.y).toBeLessThan(m.HEADER);
  }
});

test("extra height goes to the large text, and what is below moves down", () => {
  const document = build((scene) => void m.addNode(scene, "text.encode", { x: 0, y: 0 }, "n"));
  const ports = m.portsOf([document], "n", document.nodes.n!, catalogue);
  const plain = m.layoutNode(ports, { x: 0, y: 0 }, none);
  const tall = m.layoutNode(ports, { x: 0, y: 0, h: plain.h + 100 }, none);
  expect(tall.h).toBe(plain.h + 100);
  const text = (layout: m.NodeLayout) => layout.rows.find((row) => row.input === "text")!;
  expect(text(tall).h).toBe(text(plain).h + 100);
});
