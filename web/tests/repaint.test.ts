import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as m from "../src/graph";
import { build, catalogue, edited, wires } from "./helpers";

const template = m.readDocument(readFileSync(new URL("../../workflows/crop_and_stitch.json", import.meta.url), "utf8"));
const again = (origin: m.Document | null) => m.repaint(template, origin, catalogue, "a.png", "masks/a_mask.png", { width: 300, height: 200 });

const origin = build((scene) => {
  for (const [type, id] of [["models.load", "image"], ["models.apply_lora", "lora"], ["text.encode", "crop"], ["text.encode", "dark"], ["controlnet.apply", "control"], ["models.load_controlnet", "net"], ["image.load", "edges"], ["latent.empty", "empty"], ["sampling.sample", "sample"], ["vae.decode", "decode"]] as const)
    m.addNode(scene, type, { x: 0, y: 0 }, id);
  for (const [from, to] of [["image.model", "lora.model"], ["image.text", "lora.text"], ["lora.model", "sample.model"], ["lora.text", "crop.encoder"], ["lora.text", "dark.encoder"], ["crop.conditioning", "control.positive"], ["dark.conditioning", "control.negative"], ["net.model", "control.controlnet"], ["edges.image", "control.image"], ["control.positive", "sample.positive"], ["control.negative", "sample.negative"], ["image.vae", "empty.vae"], ["empty.latent", "sample.latent"], ["sample.latent", "decode.latent"], ["image.vae", "decode.vae"]] as const)
    m.connect(scene, from, to);
  m.setValue(scene.graph, "image", "model", "org/other");
  m.setValue(scene.graph, "crop", "text", "a house");
  m.setValue(scene.graph, "dark", "text", "blurred");
  for (const [port, value] of [["steps", 9], ["guidance", 5.5], ["seed", 77], ["denoise", 1]] as const) m.setValue(scene.graph, "sample", port, value);
});

test("model with its LoRA, VAE, prompts and settings come along, under free names; the whole image's ControlNet does not", () => {
  const made = again(origin);
  const types = Object.values(made.nodes).map(({ type }) => type).sort();
  expect(types).toEqual(["image.load", "image.load_mask", "image.save", "mask.crop", "mask.stitch", "models.apply_lora", "models.load", "sampling.sample", "text.encode", "text.encode", "vae.decode", "vae.encode_inpaint"].sort());
  const giver = (to: string) => made.links.filter((link) => link.to === to).map((link) => made.nodes[m.splitPort(link.from).node]);
  expect(giver("sample.positive")[0]?.values?.text).toBe("a house");
  expect(giver("sample.negative")[0]?.values?.text).toBe("blurred");
  expect(giver("sample.model")[0]?.type).toBe("models.apply_lora");
  expect(giver("encode.vae")[0]?.values?.model).toBe("org/other");
  expect(giver("decode.vae")).toEqual(giver("encode.vae"));
  for (const one of made.links) expect(made.nodes[m.splitPort(one.from).node] && made.nodes[m.splitPort(one.to).node]).toBeTruthy();
  expect(new Set(made.links.map(({ to }) => to)).size).toBe(made.links.length);
  expect(made.nodes.sample?.values).toMatchObject({ steps: 9, guidance: 5.5, seed: 77, denoise: 0.9 });
  expect(made.nodes.image?.values?.file).toBe("a.png");
  expect(made.nodes.mask?.values?.file).toBe("masks/a_mask.png");
  expect(made.nodes.crop?.values).toMatchObject({ width: 300, height: 200 });
  const inputs = Object.fromEntries((made.inputs ?? []).map(({ name, to }) => [name, made.nodes[m.splitPort(to).node]?.values?.[m.splitPort(to).port]]));
  expect(inputs).toMatchObject({ prompt: "a house", negative: "blurred", image: "a.png", seed: 77 });
  expect(origin.nodes.image?.type, "the workflow itself is left alone").toBe("models.load");
});

test("a sampler in a subgraph, or in one inside another, is found with all that leads to it", () => {
  const told = (made: m.Document) => ({
    values: Object.values(made.nodes).map(({ type, values }) => JSON.stringify([type, values])).sort(),
    inputs: (made.inputs ?? []).map(({ name }) => name),
  });
  const packed = edited(origin, (scene) => void m.makeSubgraph(scene, new Set(["sample", "crop", "control"]), "Draw"));
  const nested = edited(packed, (scene) => void m.makeSubgraph(scene, new Set(["draw", "lora"]), "Outer"));
  for (const one of [packed, nested]) expect(told(again(one))).toEqual(told(again(origin)));
  expect(told(again(origin)).inputs.slice(0, 2), "what is changed stands first").toEqual(["prompt", "negative"]);
  const looped = edited(packed, ({ graph }) => m.setRepeat(graph, "draw", { times: 2 }));
  expect(wires(again(looped)), "what runs several times stays closed").toEqual(wires(template));
});

test("a latent of a certain size says what the model likes", () => {
  const sized = edited(origin, ({ graph }) => (m.setValue(graph, "empty", "width", 512), m.setValue(graph, "empty", "height", 768)));
  expect(again(sized).nodes.crop?.values).toMatchObject({ width: 512, height: 768 });
});

test("where no workflow is known, or it samples nowhere in sight, the template's own model and prompts stay", () => {
  for (const one of [null, build((scene) => void m.addNode(scene, "image.load", { x: 0, y: 0 }))]) {
    const made = again(one);
    expect(wires(made)).toEqual(wires(template));
    expect(made.nodes.image?.values?.file).toBe("a.png");
  }
});
