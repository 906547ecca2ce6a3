import { expect, test } from "vitest";
import { specOption } from "../src/canvas/nodeOptions";
import { rank } from "../src/ui/fuzzy";
import { catalogue } from "./helpers";

/** What people who come from ComfyUI type, and what they mean. */
const WORDS: Record<string, string> = {
  ksampler: "sampling.sample",
  sampler: "sampling.sample",
  cfg: "sampling.sample",
  scheduler: "sampling.sample",
  "ksampler advanced": "sampling.sample_part",
  checkpoint: "models.load",
  "load checkpoint": "models.load",
  "clip text encode": "text.encode",
  prompt: "text.encode",
  "empty latent image": "latent.empty",
  "vae decode": "vae.decode",
  "vae encode": "vae.encode",
  "vae decode tiled": "vae.decode",
  "load vae": "models.load_vae",
  "save image": "image.save",
  "load image": "image.load",
  "preview image": "image.preview",
  "lora loader": "models.apply_lora",
  lora: "models.apply_lora",
  controlnet: "controlnet.apply",
  "apply controlnet": "controlnet.apply",
  "load controlnet": "models.load_controlnet",
  ipadapter: "ip_adapter.apply",
  img2img: "sampling.sample",
  "latent upscale": "latent.resize",
  "upscale model": "upscale.apply",
  "upscale image by": "image.scale",
  "image scale": "image.resize",
  rotate: "image.rotate",
  blur: "image.gaussian_blur",
  crop: "image.crop",
  invert: "image.invert",
  canny: "image.canny",
  "grow mask": "mask.grow",
  "feather mask": "mask.feather",
  "mask to image": "image.from_mask",
  inpaint: "latent.set_mask",
  "set latent noise mask": "latent.set_mask",
  "clip skip": "text.encode",
  "conditioning combine": "text.combine",
  "conditioning average": "text.average",
  "primitive string": "values.text",
  "remove background": "mask.matte",
  "save video": "video.save",
};

const options = catalogue.nodes.filter((spec) => !spec.deprecated).map(specOption);

test.each(Object.entries(WORDS))("%s finds %s first", (words, id) => {
  expect(rank(options, words)[0]?.id).toBe(id);
});

test("where an image is given, the plain node comes before the special one", () => {
  const fitting = options.filter(({ id }) => id.startsWith("image."));
  for (const word of ["save", "load", "resize", "crop", "invert"]) expect(rank(fitting, word)[0]?.id).toBe(`image.${word}`);
  expect(rank(fitting, "noise")[0]?.id, "a whole word before the inside of one").toBe("image.add_noise");
});
