import { beforeEach, describe, expect, test } from "vitest";
import * as m from "../src/graph";
import { build, catalogue, edited, sceneOf, wires } from "./helpers";

let base: m.Document;

beforeEach(() => {
  base = build((scene) => {
    m.addNode(scene, "latent.empty", { x: 0, y: 0 });
    m.addNode(scene, "sampling.sample", { x: 300, y: 0 });
    m.addNode(scene, "vae.decode", { x: 600, y: 0 });
    m.addNode(scene, "image.save", { x: 900, y: 0 });
    m.connect(scene, "empty.latent", "sample.latent");
    m.connect(scene, "sample.latent", "decode.latent");
    m.connect(scene, "decode.image", `save.${inputOf("image.save", "Image")}`);
  });
});

const inputOf = (type: string, wanted: string) =>
  catalogue.get(type)?.inputs.find((input) => input.type.includes(wanted))?.name ?? "?";

describe("links", () => {
  test("the graph of the fixture is wired as meant", () => {
    expect(wires(base)).toContain("empty.latent > sample.latent");
    expect(wires(base)).toContain("sample.latent > decode.latent");
    expect(inputOf("image.save", "Image")).not.toBe("?");
  });
  test("a wrong type is refused, with the reason in words", () => {
    const image = inputOf("image.save", "Image");
    const fit = m.linkFit([base], catalogue, "sample.latent", `save.${image}`);
    expect(fit.ok).toBe(false);
    expect(fit).toMatchObject({ ok: false, refusal: { why: "type", source: { name: "Latent" }, target: { name: "Image" } } });
    expect(edited(base, (scene) => void m.connect(scene, "sample.latent", `save.${image}`))).toBe(base);
  });
  test("a second link into a plain input replaces the first", () => {
    const after = edited(base, (scene) => {
      m.addNode(scene, "latent.empty", { x: 0, y: 200 });
      m.connect(scene, "empty_2.latent", "sample.latent");
    });
    expect(wires(after)).toContain("empty_2.latent > sample.latent");
    expect(wires(after)).not.toContain("empty.latent > sample.latent");
  });
  test("links may not run in a circle", () => {
    const after = edited(base, (scene) => {
      m.addNode(scene, "latent.repeat", { x: 0, y: 200 });
      m.connect(scene, "sample.latent", "repeat.latent");
    });
    expect(m.linkFit([after], catalogue, "repeat.latent", "sample.latent")).toMatchObject({ refusal: { why: "circle" } });
  });
  test("a body drop finds the free input that fits best", () => {
    expect(m.fittingInput(sceneOf(base), "empty.latent", "decode")).toBe("decode.latent");
    const alone = edited(base, (scene) => {
      m.addNode(scene, "text.encode", { x: 0, y: 0 }, "positive");
      m.connect(scene, "positive.conditioning", "sample.positive");
    });
    expect(m.fittingInput(sceneOf(alone), "positive.conditioning", "sample")).toBe("sample.negative");
  });
  test("moving all links of an output to another", () => {
    const after = edited(base, (scene) => {
      m.addNode(scene, "latent.empty", { x: 0, y: 200 });
      m.moveLinks(scene, "empty.latent", "empty_2.latent");
    });
    expect(wires(after)).toContain("empty_2.latent > sample.latent");
  });
});

describe("nodes", () => {
  test("dissolving a middle node joins its ends", () => {
    const longer = edited(base, (scene) => {
      m.addNode(scene, "latent.repeat", { x: 450, y: 0 });
      m.insertOnLink(scene, "repeat", "sample.latent>decode.latent");
    });
    expect(wires(longer)).toContain("sample.latent > repeat.latent");
    expect(wires(longer)).toContain("repeat.latent > decode.latent");
    const after = edited(longer, (scene) => m.dissolve(scene, new Set(["repeat"])));
    expect(wires(after)).toEqual(wires(base));
    expect(after.nodes.repeat).toBeUndefined();
  });
  test("a node that does not fit a wire is not put into it", () => {
    const more = edited(base, (scene) => void m.addNode(scene, "text.encode", { x: 0, y: 0 }));
    expect(m.fitsOnLink(sceneOf(more), "encode", more.links[0]!)).toBe(false);
    expect(m.fitsOnLink(sceneOf(more), "decode", more.links[0]!)).toBe(false);
  });
  test("removing takes links and exposed ports along", () => {
    const shown = edited(base, ({ graph }) => {
      m.exposeInput(graph, "sample.steps");
      m.exposeOutput(graph, "decode.image", "image");
    });
    const after = edited(shown, ({ graph }) => m.removeNodes(graph, new Set(["sample"])));
    expect(wires(after).join()).not.toContain("sample");
    expect(after.inputs).toEqual([]);
    expect(after.outputs).toEqual([{ name: "image", from: "decode.image" }]);
    expect(after.ui?.nodes?.sample).toBeUndefined();
  });
  test("swapping the type keeps values and links that fit", () => {
    const filled = edited(base, ({ graph }) => {
      m.setValue(graph, "sample", "steps", 7);
      m.setValue(graph, "sample", "denoise", 0.5);
    });
    const after = edited(filled, (scene) => m.swapType(scene, "sample", "sampling.sample_part"));
    expect(after.nodes.sample?.values).toEqual({ steps: 7 });
    expect(wires(after)).toEqual(wires(base));
  });
  test("mute and bypass toggle, for many", () => {
    const on = edited(base, ({ graph }) => m.toggleMode(graph, ["sample", "decode"], "mute"));
    expect([on.nodes.sample?.mode, on.nodes.decode?.mode]).toEqual(["mute", "mute"]);
    const off = edited(on, ({ graph }) => m.toggleMode(graph, ["sample", "decode"], "mute"));
    expect(off.nodes.sample).not.toHaveProperty("mode");
  });
  test("a widget becomes a socket and back", () => {
    const socket = edited(base, ({ graph }) => m.toggleSocket(graph, "sample", "seed"));
    expect(socket.ui?.nodes?.sample?.sockets).toEqual(["seed"]);
    const wired = edited(socket, (scene) => {
      m.addNode(scene, "values.integer", { x: 0, y: 0 });
      m.connect(scene, "integer.value", "sample.seed");
    });
    expect(wires(wired)).toContain("integer.value > sample.seed");
    const back = edited(wired, ({ graph }) => m.toggleSocket(graph, "sample", "seed"));
    expect(back.ui?.nodes?.sample).not.toHaveProperty("sockets");
    expect(wires(back)).toEqual(wires(base));
  });
  test("types that fit the end of a wire", () => {
    const scene = sceneOf(base);
    expect(m.fittingTypes(scene, { from: "sample.latent" })).toContain("vae.decode");
    expect(m.fittingTypes(scene, { from: "sample.latent" })).not.toContain("image.save");
    expect(m.fittingTypes(scene, { to: "sample.positive" })).toContain("text.encode");
  });
  test("an unknown type keeps the ports that its links speak of", () => {
    const document: m.Document = {
      format: "safelight/1",
      nodes: { odd: { type: "pack/odd.thing", values: { a: 1 } }, decode: { type: "vae.decode" } },
      links: [{ from: "odd.latent", to: "decode.latent" }],
    };
    const ports = m.portsOf([document], "odd", document.nodes.odd!, catalogue);
    expect(ports.missing).toBe("type");
    expect(ports.outputs.map((port) => port.name)).toEqual(["latent"]);
  });
});

describe("reroutes", () => {
  test("points are added, moved and removed; the link stays", () => {
    const wire = "empty.latent>sample.latent";
    const bent = edited(base, ({ graph }) => m.addBend(graph, wire, { x: 10.4, y: 20 }, 0));
    expect(bent.links.find((link) => link.to === "sample.latent")?.bend).toEqual([[10, 20]]);
    const moved = edited(bent, ({ graph }) => m.moveBend(graph, wire, 0, { x: 5, y: 6 }));
    expect(moved.links.find((link) => link.to === "sample.latent")?.bend).toEqual([[5, 6]]);
    const straight = edited(moved, ({ graph }) => m.removeBend(graph, wire, 0));
    expect(m.writeDocument(straight)).toBe(m.writeDocument(base));
  });
});

describe("frames, arranging", () => {
  const boxes = { a: { x: 0, y: 0, w: 10, h: 10 }, b: { x: 50, y: 7, w: 20, h: 10 }, c: { x: 200, y: 3, w: 10, h: 30 } };
  test("a frame carries what has its centre inside", () => {
    expect(m.membersOf({ x: -5, y: -5, w: 70, h: 40 }, boxes)).toEqual(["a", "b"]);
  });
  test("align and distribute", () => {
    expect(Object.values(m.align(boxes, "right")).map((place) => place.x)).toEqual([200, 190, 200]);
    const spread = m.distribute(boxes, "x");
    expect([spread.a?.x, spread.b?.x, spread.c?.x]).toEqual([0, 95, 200]);
  });
  test("auto-layout puts sources left of what they feed, without overlaps", async () => {
    const all = Object.fromEntries(Object.keys(base.nodes).map((id) => [id, { x: 0, y: 0, w: 240, h: 200, inputs: {}, outputs: {} }]));
    const { places } = await m.autoLayout(base, all);
    const xs = ["empty", "sample", "decode", "save"].map((id) => places[id]?.x ?? 0);
    for (let i = 1; i < xs.length; i++) expect(xs[i]! - xs[i - 1]!).toBeGreaterThanOrEqual(240);
    expect(Math.min(...xs)).toBe(0);
  });
});
