import { describe, expect, test } from "vitest";
import type { ModelInfo } from "../src/api/types";
import { suggestions, wantedAt, withEmbedding, without } from "../src/fields/completion";

const model = (name: string, kind: string, family = "sd1"): ModelInfo => ({
  name,
  kind,
  family,
  sort: "",
  place: "file",
  size: 1,
  components: {},
  precision: "F32",
  format: "safetensors",
  tree: "",
  modified: 0,
  preview: "",
  title: "",
  triggers: [],
  licence: "",
  source: "",
  sha256: "",
  problem: null,
});
const MODELS = [
  model("embeddings/easynegative.safetensors", "embedding"),
  model("embeddings/styles/ink (old).safetensors", "embedding", "sdxl"),
  model("embeddings/Bad hands.safetensors", "embedding"),
  model("elsewhere/lost.safetensors", "embedding"),
  model("lora/ink.safetensors", "lora"),
  model("starter/few_step", "lora"),
  model("starter", "pipeline"),
];
/** What is offered where `|` is the caret. */
function offered(marked: string): string[] {
  const caret = marked.indexOf("|");
  const wanted = wantedAt(marked.replace("|", ""), caret);
  return wanted ? suggestions(wanted, MODELS).map(({ title }) => title) : [];
}

describe("what is offered", () => {
  test.each([
    ["embedding:|", ["Bad hands", "easynegative", "styles/ink (old)"]],
    ["a cat, embedding:neg|", ["easynegative"]],
    ["(embedding:eas|:1.2)", ["easynegative"]],
    ["embedding:easy|negative, red", ["easynegative"]],
    ["ea|", ["easynegative"]],
    ["EASY|", ["easynegative"]],
    ["a photo (eas|)", ["easynegative"]],
    ["in|", ["styles/ink (old)"]],
    ["e|", []],
    ["neg|", []],
    ["ea|sel", []],
    ["area|", []],
    ["myembedding:ea|", []],
    ["x:ea|", []],
    ["<lora:|", ["lora/ink", "starter/few_step"]],
    ["a cat <lora:ste|", ["starter/few_step"]],
    ["<lora:ink:0.8|>", ["lora/ink"]],
    ["<lora:ink:0.8>|", []],
    ["<lora|", []],
    ["", []],
  ])("%s", (marked, names) => expect(offered(marked)).toEqual(names));
});

describe("what is written", () => {
  function accepted(marked: string, title: string): string {
    const text = marked.replace("|", "");
    const wanted = wantedAt(text, marked.indexOf("|"));
    if (!wanted) return "nothing";
    const done = wanted.kind === "lora" ? without(text, wanted) : withEmbedding(text, wanted, title);
    return `${done.text.slice(0, done.caret)}|${done.text.slice(done.caret)}`;
  }
  test.each([
    ["a eas| cat", "easynegative", "a embedding:easynegative| cat"],
    ["(embedding:ea|sy:1.2)", "easynegative", "(embedding:easynegative|:1.2)"],
    ["embedding:in|", "styles/ink (old)", "embedding:styles/ink\\ \\(old\\)|"],
    ["embedding:bad|", "Bad hands", "embedding:Bad\\ hands|"],
    ["a cat, <lora:in|", "", "a cat, |"],
    ["a <lora:in| cat", "", "a |cat"],
    ["<lora:in|k:0.8> a cat", "", "|a cat"],
  ])("%s", (marked, title, after) => expect(accepted(marked, title)).toBe(after));

  test("the weight of a LoRA is read", () => {
    expect(wantedAt("<lora:ink:0.8", 13)).toMatchObject({ kind: "lora", query: "ink", weight: 0.8 });
    expect(wantedAt("<lora:ink:0.8>", 9)).toMatchObject({ query: "ink", weight: 0.8, end: 14 });
    expect(wantedAt("<lora:ink", 9)?.weight).toBeUndefined();
  });
});
