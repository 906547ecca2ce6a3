import { describe, expect, it } from "vitest";
import { catalogue } from "./helpers";

const { media } = catalogue;

describe("media", () => {
  it("knows how a file is shown, and what it does not know by its ending", () => {
    expect(media.view("image/png")).toBe("image");
    expect(media.view("image/webp")).toBe("image");
    expect(media.view("video/mp4")).toBe("video");
    expect(media.view("audio/wav")).toBe("audio");
    expect(media.view("application/x-strange")).toBe("file");
    expect(media.of("", "A Shape.GLB")?.name).toBe("mesh");
    expect(media.of("", "nothing")).toBeUndefined();
  });

  it("knows what fits into a file field", () => {
    expect(media.fits("mask", "image/png")).toBe(true);
    expect(media.fits("video", "image/png")).toBe(true); // it may be an APNG
    expect(media.fits("video", "image/jpeg")).toBe(false);
    expect(media.fits("video", "image/gif")).toBe(true);
    expect(media.fits("any", "application/x-strange")).toBe(true);
    expect(media.accept("any")).toBeUndefined();
    expect(media.accept("mesh")).toBe("model/gltf-binary,.glb");
  });

  it("knows what carries a workflow", () => {
    expect(media.carries("video/mp4")).toBe(true);
    expect(media.carries("image/gif")).toBe(true);
    expect(media.carries("application/x-strange")).toBe(false);
    expect(media.carriers).toContain(".wav");
  });
});
