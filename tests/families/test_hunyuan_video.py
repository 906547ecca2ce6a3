"""HunyuanVideo 1.5 from prompt to clip: equal to its classic pipeline on the same files; killed and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from families.resuming import goes_on, killable
from families.test_wan import CLOSE, FRAMES, NEGATIVE, PROMPT, SEED, STEPS, WanKit, _code, clip, led_clip, photo, pil
from node_bench import distance
from proofs import Proof
from safelight.diffusion.noise import draw, generators
from safelight.families import load_families
from safelight.families.hunyuan_video_15.tiny import write
from safelight_nodes import vae

SIZE, SQUARE = (64, 96), (64, 64)
WRITTEN = 'a sign that says "open" and "closed"'


class HunyuanKit(WanKit):
    def __init__(self, root: Path, led: bool = False) -> None:
        import diffusers

        library: Any = diffusers
        self.family = load_families()["hunyuan_video_15"]
        self.space = self.family.latent
        self.size = SQUARE if led else SIZE
        made = library.HunyuanVideo15ImageToVideoPipeline if led else library.HunyuanVideo15Pipeline
        self.pipeline = made.from_pretrained(write(self.family, root / "models" / "mine", 1, led=led))
        self.pipeline.guider = library.ClassifierFreeGuidance(guidance_scale=5.0)
        self.open(root)

    def theirs(self, frames: int = FRAMES, **more: Any) -> Any:
        noise = draw(generators(SEED, 1), (32, (frames - 1) // 4 + 1, *(side // 16 for side in self.size)))
        given: dict[str, Any] = {
            "prompt": WRITTEN,
            "negative_prompt": NEGATIVE,
            "num_inference_steps": STEPS,
            "latents": noise,
            **({} if "image" in more else {"height": SIZE[0], "width": SIZE[1]}),
            "num_frames": frames,
            "output_type": "pt",
            **more,
        }
        return self.pipeline(**given).frames


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> HunyuanKit:
    return HunyuanKit(tmp_path_factory.mktemp("hunyuan"))


def test_text_to_video(kit: HunyuanKit, proof: Proof) -> None:
    made = kit.sampled(positive=kit.said(WRITTEN))
    assert made.samples.shape == (1, 32, 3, 4, 6)
    proof.close("hunyuan_video_15", "text to video", distance(made.samples, kit.theirs(output_type="latent")))
    video = vae.decode_video(kit.loaded().vae, made, ctx=kit.ctx)
    assert (video.fps, len(video)) == (24.0, FRAMES)
    assert distance(video.images().pixels, kit.theirs()[0].movedim(1, -1)) <= 0.5 / 255 + CLOSE


@pytest.fixture(scope="module")
def led(tmp_path_factory: pytest.TempPathFactory) -> HunyuanKit:
    return HunyuanKit(tmp_path_factory.mktemp("led"), led=True)


def test_image_to_video(led: HunyuanKit, proof: Proof) -> None:
    made = led.sampled(positive=led.led_by(photo(1, SQUARE), encoder=True))
    theirs = led.theirs(prompt=PROMPT, image=pil(photo(1, SQUARE)), output_type="latent")
    proof.close("hunyuan_video_15", "image to video", distance(made.samples, theirs))
    other = led.sampled(positive=led.led_by(photo(2, SQUARE), encoder=True))
    assert distance(made.samples, other.samples) > 1e-3


def test_what_an_image_to_video_model_is_not_shown_is_told(led: HunyuanKit) -> None:
    assert _code(led.sampled) == "shown_missing"
    assert _code(lambda: led.sampled(positive=led.led_by(photo(1, SQUARE)))) == "shown_missing"
    both = led.led_by(photo(1, SQUARE), photo(2, SQUARE), encoder=True)
    assert _code(lambda: led.sampled(positive=both)) == "feature_not_in_family"


def test_words_in_quotes_are_read_by_themselves(kit: HunyuanKit) -> None:
    (said,), (plain,) = (kit.said(words).prompts for words in (WRITTEN, "a sign"))
    assert plain.tensors["glyph_mask"].sum() == 0 and said.tensors["glyph_mask"].sum() == 28 + 1
    theirs, mask = kit.pipeline._get_byt5_prompt_embeds(
        kit.pipeline.tokenizer_2, kit.pipeline.text_encoder_2, WRITTEN, torch.device("cpu")
    )
    assert torch.equal(said.tensors["glyph_mask"], mask.float())
    assert distance(said.tensors["glyphs"], theirs.detach()) <= CLOSE


def test_frames_to_begin_with_are_refused(kit: HunyuanKit) -> None:
    assert _code(lambda: kit.sampled(positive=kit.led_by(photo(1, SIZE)))) == "feature_not_in_family"


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("led", [False, True])
def test_killed_after_a_step_it_goes_on_and_ends_in_the_same_bits(
    led: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    document = led_clip() if led else clip()
    document["nodes"]["empty"]["values"] = {"width": 64, "height": 64, "frames": 9}
    if led:
        document["nodes"]["encoder"] = {"type": "models.load_image_encoder", "values": {"encoder": "mine"}}
        document["links"].append({"from": "encoder.model", "to": "led.encoder"})
    family: Any = load_families()["hunyuan_video_15"]
    made = goes_on(lambda models: write(family, models / "mine", 1, led=led), document, "clip*", tmp_path, monkeypatch)
    assert made == 1
    proof.resumed("hunyuan_video_15", "image to video" if led else "text to video")
