"""LTX-2 from prompt to clip: equal to its classic pipelines on the same files; killed and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from families.resuming import goes_on, killable
from families.test_wan import CLOSE, FRAMES, NEGATIVE, PROMPT, SEED, STEPS, WanKit, _code, clip, led_clip, photo, pil
from node_bench import distance
from proofs import Proof
from safelight.diffusion.autoencoder import leased_codec
from safelight.diffusion.noise import draw, generators
from safelight.families import load_families
from safelight_nodes import vae

SIZE = (64, 96)
_TERMS = {"guidance_scale": 1.0, "stg_scale": 0.0, "modality_scale": 1.0, "guidance_rescale": 0.0}
ALONE: dict[str, Any] = {f"{sound}{name}": value for sound in ("", "audio_") for name, value in _TERMS.items()}


class Ltx2Kit(WanKit):
    def __init__(self, root: Path, led: bool = False) -> None:
        import diffusers

        library: Any = diffusers
        self.family = load_families()["ltx2"]
        self.space = self.family.latent
        self.size = SIZE
        made = library.LTX2ImageToVideoPipeline if led else library.LTX2Pipeline
        self.pipeline = made.from_pretrained(self.family.tiny(root / "models" / "mine", 1))
        self.open(root)

    def theirs(self, frames: int = FRAMES, **more: Any) -> Any:
        cells = [side // 32 for side in SIZE]
        sources = generators(SEED, 1)
        noise = draw(sources, (128, (frames - 1) // 8 + 1, *cells))
        given_noise = noise.flatten(2).transpose(1, 2)
        if "image" in more:  # it takes what is made of noise and image, in the scale of its autoencoder
            given_noise = self.scaled(torch.cat([self.first(more["image"]), noise[:, :, 1:]], dim=2))
        given: dict[str, Any] = {
            "prompt": PROMPT,
            "negative_prompt": NEGATIVE,
            "num_inference_steps": STEPS,
            "guidance_scale": 5.0,
            "latents": given_noise,
            "generator": sources,
            "height": SIZE[0],
            "width": SIZE[1],
            "num_frames": frames,
            "output_type": "pt",
            **more,
        }
        return self.pipeline(**given).frames

    def first(self, image: Any) -> torch.Tensor:
        with leased_codec(self.ctx, self.loaded().vae) as codec:
            pixels = self.pipeline.video_processor.preprocess(image, *SIZE)[0].movedim(0, -1) / 2 + 0.5
            return codec.encode_frames(pixels[None])  # pyright: ignore[reportAttributeAccessIssue]

    def scaled(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents as the autoencoder has them."""
        with leased_codec(self.ctx, self.loaded().vae) as codec:
            mean, deviation = codec.statistics()  # pyright: ignore[reportAttributeAccessIssue]
        return latents * deviation + mean


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Ltx2Kit:
    return Ltx2Kit(tmp_path_factory.mktemp("ltx2"))


def test_text_to_video(kit: Ltx2Kit, proof: Proof) -> None:
    made = kit.sampled()
    assert made.samples.shape == (1, 128, 2, 2, 3)
    proof.close("ltx2", "text to video", distance(kit.scaled(made.samples), kit.theirs(output_type="latent")))
    video = vae.decode_video(kit.loaded().vae, made, ctx=kit.ctx)
    assert (video.fps, len(video)) == (24.0, FRAMES)
    assert distance(video.images().pixels, kit.theirs()[0].movedim(1, -1)) <= 0.5 / 255 + CLOSE


def test_without_guidance(kit: Ltx2Kit) -> None:
    plain = kit.sampled(negative=None, guidance=1.0)
    assert distance(kit.scaled(plain.samples), kit.theirs(**ALONE, output_type="latent")) <= CLOSE


def test_image_to_video(tmp_path: Path, proof: Proof) -> None:
    kit = Ltx2Kit(tmp_path, led=True)
    made = kit.sampled(positive=kit.led_by(photo(1, SIZE)))
    theirs = kit.theirs(image=pil(photo(1, SIZE)), output_type="latent")
    proof.close("ltx2", "image to video", distance(kit.scaled(made.samples), theirs))
    assert _code(lambda: kit.sampled(positive=kit.led_by(photo(1, SIZE), photo(2, SIZE)))) == "feature_not_in_family"


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("led", [False, True])
def test_killed_after_a_step_it_goes_on_and_ends_in_the_same_bits(
    led: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    document = led_clip() if led else clip()
    document["nodes"]["empty"]["values"] = {"width": 96, "height": 64, "frames": 17}
    tiny = load_families()["ltx2"].tiny
    assert goes_on(lambda models: tiny(models / "mine"), document, "clip*", tmp_path, monkeypatch) == 1
    proof.resumed("ltx2", "image to video" if led else "text to video")
