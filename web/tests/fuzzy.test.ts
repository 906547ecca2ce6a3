import { expect, test } from "vitest";
import { rank } from "../src/ui/fuzzy";

const NODES = [
  { title: "Save image", tags: [] },
  { title: "Decode", tags: ["VAE Decode (Tiled)"] },
];

test("names are found however their words are written", () => {
  for (const query of ["SaveImage", "save_image", "save image"]) expect(rank(NODES, query)[0]?.title).toBe("Save image");
  expect(rank(NODES, "VAEDecodeTiled").map(({ title }) => title)).toEqual(["Decode"]);
  expect(rank(NODES, "---")).toEqual([]);
});
