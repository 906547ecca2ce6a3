import { describe, expect, test } from "vitest";
import * as m from "../src/graph";
import { build, edited, wires } from "./helpers";

/** The graph of a first image: two prompts, one sampler. */
const base = build((scene) => {
  m.addNode(scene, "models.load", { x: 0, y: 0 }, "load");
  m.addNode(scene, "text.encode", { x: 380, y: 0 }, "positive");
  m.addNode(scene, "text.encode", { x: 380, y: 260 }, "negative");
  m.addNode(scene, "sampling.sample", { x: 760, y: 0 }, "sample");
  for (const prompt of ["positive", "negative"]) {
    m.connect(scene, "load.text", `${prompt}.encoder`);
    m.connect(scene, `${prompt}.conditioning`, `sample.${prompt}`);
  }
  m.connect(scene, "load.model", "sample.model");
});

function applied(document: m.Document, prompt: string, lora = "lora/ink.safetensors", weight?: number) {
  let result: m.Applied | undefined;
  const after = edited(document, (scene) => void (result = m.applyLora(scene, prompt, lora, weight)));
  return { after, result };
}

describe("a LoRA for a prompt", () => {
  test("goes between the model and all that use it, text encoders as well", () => {
    const { after, result } = applied(base, "positive");
    expect(result).toEqual({ id: "apply_lora", on: "load" });
    expect(wires(after)).toEqual([
      "apply_lora.model > sample.model",
      "apply_lora.text > negative.encoder",
      "apply_lora.text > positive.encoder",
      "load.model > apply_lora.model",
      "load.text > apply_lora.text",
      "negative.conditioning > sample.negative",
      "positive.conditioning > sample.positive",
    ]);
    expect(after.nodes.apply_lora?.values).toEqual({ lora: "lora/ink.safetensors" });
  });

  test("a second one goes behind the first", () => {
    const { after } = applied(applied(base, "positive").after, "negative", "lora/other.safetensors", 0.6);
    expect(wires(after)).toContain("apply_lora.model > apply_lora_2.model");
    expect(wires(after)).toContain("apply_lora.text > apply_lora_2.text");
    expect(wires(after)).toContain("apply_lora_2.model > sample.model");
    expect(wires(after)).toContain("apply_lora_2.text > positive.encoder");
    expect(after.links).toHaveLength(base.links.length + 4);
    expect(after.nodes.apply_lora_2?.values).toEqual({ lora: "lora/other.safetensors", weight: 0.6, text_weight: 0.6 });
  });

  test("is found through nodes between the prompt and the sampler", () => {
    const longer = edited(base, (scene) => {
      m.addNode(scene, "text.combine", { x: 560, y: 0 }, "combine");
      m.connect(scene, "positive.conditioning", "combine.first");
      m.connect(scene, "negative.conditioning", "combine.second");
      m.connect(scene, "combine.conditioning", "sample.positive");
    });
    expect(applied(longer, "positive").result?.on).toBe("load");
  });

  test("without a text encoder only the model is changed", () => {
    const bare = edited(base, (scene) => m.unlink(scene, (link) => link.to === "positive.encoder"));
    const { after, result } = applied(bare, "positive");
    expect(after.nodes[result?.id ?? ""]?.type).toBe("models.apply_lora_to_model");
    expect(wires(after)).toContain("load.text > negative.encoder");
  });

  test("an encoder from before an earlier LoRA makes no circle", () => {
    const odd = edited(applied(base, "positive").after, (scene) => void m.connect(scene, "load.text", "positive.encoder"));
    const { after } = applied(odd, "positive");
    expect(wires(after)).toContain("load.text > apply_lora.text");
    expect(wires(after)).toContain("load.text > apply_lora_2.text");
    expect(wires(after)).toContain("apply_lora_2.text > positive.encoder");
    for (const id of Object.keys(after.nodes)) for (const link of after.links) {
      if (link.from.startsWith(`${id}.`)) expect(m.reaches(after, m.splitPort(link.to).node, id)).toBe(false);
    }
  });

  test.each([
    ["no sampler", (scene: m.Scene) => m.removeNodes(scene.graph, new Set(["sample"]))],
    ["no model", (scene: m.Scene) => m.unlink(scene, (link) => link.to === "sample.model")],
    [
      "two models",
      (scene: m.Scene) => {
        m.addNode(scene, "models.load", { x: 0, y: 600 }, "other");
        m.addNode(scene, "sampling.sample", { x: 760, y: 600 }, "again");
        m.connect(scene, "other.model", "again.model");
        m.connect(scene, "positive.conditioning", "again.positive");
      },
    ],
  ])("with %s the node stands alone beside the prompt", (_, change) => {
    const unclear = edited(base, change);
    const { after, result } = applied(unclear, "positive");
    expect(result).toEqual({ id: "apply_lora" });
    expect(wires(after)).toEqual(wires(unclear));
    expect(after.nodes.apply_lora?.values).toEqual({ lora: "lora/ink.safetensors" });
    expect(m.lookOf(after, "apply_lora").x).toBeLessThan(m.lookOf(after, "positive").x);
  });

  test("the new node lies on no other", () => {
    const { after } = applied(base, "positive");
    const look = m.lookOf(after, "apply_lora");
    for (const id of ["load", "positive", "negative", "sample"]) {
      const other = m.lookOf(after, id);
      const apart = Math.abs(look.x - other.x) >= 300 || Math.abs(look.y - other.y) >= 160;
      expect(apart, id).toBe(true);
    }
  });
});
