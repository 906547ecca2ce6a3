"""LTX-Video from prompt to clip: equal to its classic pipelines on the same files; killed and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from families.resuming import goes_on, killable
from families.test_wan import CLOSE, FRAMES, NEGATIVE, PROMPT, SEED, STEPS, WanKit, _code, clip, led_clip, photo, pil
from families.test_wan_files import pairs
from node_bench import distance
from proofs import Proof
from safelight.diffusion import video_autoencoder
from safelight.diffusion.autoencoder import leased_codec
from safelight.diffusion.noise import draw, generators
from safelight.families import load_families
from safelight.families.ltx.tiny import write
from safelight_nodes import loras, vae

SIZE = (64, 96)


class LtxKit(WanKit):
    def __init__(self, root: Path, led: bool = False, **more: Any) -> None:
        import diffusers

        library: Any = diffusers
        self.family = load_families()["ltx"]
        self.space = self.family.latent
        self.size = SIZE
        made = library.LTXImageToVideoPipeline if led else library.LTXPipeline
        self.pipeline = made.from_pretrained(write(self.family, root / "models" / "mine", 1, **more))
        self.open(root)

    def theirs(self, frames: int = FRAMES, **more: Any) -> Any:
        cells = [side // 32 for side in SIZE]
        noise = draw(generators(SEED, 1), (128, (frames - 1) // 8 + 1, *cells))
        if "image" in more:  # it takes what is made of noise and image
            latent = self.first(more["image"])
            noise = torch.cat([latent, noise[:, :, 1:]], dim=2)
        given: dict[str, Any] = {
            "prompt": PROMPT,
            "negative_prompt": NEGATIVE,
            "num_inference_steps": STEPS,
            "guidance_scale": 5.0,
            "latents": noise.flatten(2).transpose(1, 2),
            "height": SIZE[0],
            "width": SIZE[1],
            "num_frames": frames,
            "output_type": "pt",
            **more,
        }
        found = self.pipeline(**given).frames
        if given["output_type"] != "latent":
            return found
        return found.transpose(1, 2).unflatten(2, (-1, *cells)) if found.ndim == 3 else found

    def first(self, image: Any) -> torch.Tensor:
        with leased_codec(self.ctx, self.loaded().vae) as codec:
            pixels = self.pipeline.video_processor.preprocess(image, *SIZE)[0].movedim(0, -1) / 2 + 0.5
            return codec.encode_frames(pixels[None])  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> LtxKit:
    return LtxKit(tmp_path_factory.mktemp("ltx"))


def test_text_to_video(kit: LtxKit, proof: Proof) -> None:
    made = kit.sampled(sampler="euler")
    assert made.samples.shape == (1, 128, 2, 2, 3)
    proof.close("ltx", "text to video", distance(made.samples, kit.theirs(output_type="latent")))
    video = vae.decode_video(kit.loaded().vae, made, ctx=kit.ctx)
    assert (video.fps, len(video)) == (25.0, FRAMES)
    assert distance(video.images().pixels, kit.theirs()[0].movedim(1, -1)) <= 0.5 / 255 + CLOSE
    plain = kit.sampled(negative=None, guidance=1.0)
    assert distance(plain.samples, kit.theirs(guidance_scale=1.0, output_type="latent")) <= CLOSE


def test_image_to_video(tmp_path: Path, proof: Proof) -> None:
    kit = LtxKit(tmp_path, led=True)
    made = kit.sampled(positive=kit.led_by(photo(1, SIZE)))
    proof.close(
        "ltx", "image to video", distance(made.samples, kit.theirs(image=pil(photo(1, SIZE)), output_type="latent"))
    )
    with leased_codec(kit.ctx, kit.loaded().vae) as codec:
        theirs = kit.pipeline.vae.encode((photo(1, SIZE).pixels.movedim(-1, 1) * 2 - 1)[:, :, None]).latent_dist.mode()
        mean, deviation = codec.statistics()  # pyright: ignore[reportAttributeAccessIssue]
    assert distance(made.samples[:, :, :1], (theirs.detach() - mean) / deviation) <= CLOSE
    assert _code(lambda: kit.sampled(positive=kit.led_by(photo(1, SIZE), photo(2, SIZE)))) == "feature_not_in_family"


def test_an_autoencoder_that_is_told_of_noise(tmp_path: Path) -> None:
    kit = LtxKit(tmp_path, timed=True)
    made = vae.decode_video(kit.loaded().vae, kit.sampled(), ctx=kit.ctx)
    assert distance(made.images().pixels, kit.theirs()[0].movedim(1, -1)) <= 0.5 / 255 + CLOSE


def test_a_long_clip_is_decoded_in_pieces_without_a_seam(kit: LtxKit, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = torch.randn(1, 128, 14, 2, 3, generator=torch.Generator().manual_seed(2))
    with leased_codec(kit.ctx, kit.loaded().vae) as codec:
        decoder: Any = codec
        whole = torch.cat(list(decoder.decode_frames(samples)))
        monkeypatch.setattr(video_autoencoder, "CELLS", 8)
        found = list(decoder.decode_frames(samples))
    assert len(found) == 3
    parts = torch.cat(found)
    assert parts.shape == whole.shape
    off = (parts - whole).abs().mean(dim=(1, 2, 3))
    jumps = (parts[1:] - parts[:-1]).abs().mean(dim=(1, 2, 3)), (whole[1:] - whole[:-1]).abs().mean(dim=(1, 2, 3))
    assert off.max() < jumps[1].max(), "a frame is nearer to its own than frames are to each other"
    assert (jumps[0] - jumps[1]).max() < 0.25 * jumps[1].max(), "no frame differs more from the next where pieces meet"


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("led", [False, True])
def test_killed_after_a_step_it_goes_on_and_ends_in_the_same_bits(
    led: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    document = led_clip() if led else clip()
    document["nodes"]["empty"]["values"] = {"width": 96, "height": 64, "frames": 17}
    tiny = load_families()["ltx"].tiny
    assert goes_on(lambda models: tiny(models / "mine"), document, "clip*", tmp_path, monkeypatch) == 1
    proof.resumed("ltx", "image to video" if led else "text to video")


def test_a_lora_does_what_it_does_in_the_pipeline(tmp_path: Path, proof: Proof) -> None:
    kit = LtxKit(tmp_path)
    state = pairs(kit.pipeline.transformer)
    save_file(state, tmp_path / "models" / "style.safetensors", {"modelspec.architecture": "ltxv/lora"})
    assert kit.store.describe("style.safetensors").family == "ltx"
    plain = kit.sampled().samples
    patched = loras.apply_lora_to_model(kit.loaded().model, lora="style.safetensors", weight=0.8, ctx=kit.ctx)
    made = kit.sampled(model=patched).samples
    kit.pipeline.load_lora_weights(dict(state), adapter_name="style")
    kit.pipeline.set_adapters(["style"], [0.8])
    proof.close("ltx", "LoRA", distance(made, kit.theirs(output_type="latent")))
    assert distance(made, plain) > 1e-3
