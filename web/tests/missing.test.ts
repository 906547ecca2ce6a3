import { expect, test } from "vitest";
import type { ModelInfo } from "../src/api/types";
import { isKnownModel } from "../src/state/missing";

const models = ["starter", "checkpoints/SD15/Real Vision.safetensors", "org/name", "vae/ink"].map((name) => ({ name }) as ModelInfo);

test.each([
  ["starter", true],
  ["checkpoints/starter", true],
  ["checkpoints/SD15/Real Vision.safetensors", true],
  ["checkpoints/real vision.safetensors", true],
  ["SD15\\Real Vision.safetensors", true],
  ["checkpoints/other.safetensors", false],
  ["org/other", false],
  ["ink", true],
  ["nk", false],
])("a name means a model as the server looks for it: %s", (name, known) => {
  expect(isKnownModel(name, models)).toBe(known);
});
