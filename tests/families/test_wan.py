"""Wan from prompt to clip: equal to its classic pipeline, on the same files; cancelled, killed, resumed, played."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from families.resuming import goes_on, killable, workflow
from node_bench import CLOSE, BenchContext, distance
from proofs import Proof
from safelight.diffusion.autoencoder import leased_codec
from safelight.diffusion.noise import draw, generators
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families import load_families
from safelight.families.wan.tiny import write
from safelight.models import ModelStore
from safelight.sdk import Cancelled, Image, Latent, ProblemError, Sigmas
from safelight_nodes import guide, latent, models, sampling, sampling_custom, text, vae

PROMPT, NEGATIVE, SEED, STEPS = "a red apple on the table", "dark photo", 5, 4
SIZE, FRAMES = (64, 48), 9


class WanKit:
    """A miniature: its classic pipeline, and a store that leases the very same files. `more` is for its `tiny`."""

    def __init__(self, root: Path, scheduler: str = "", family: str = "wan", **more: Any) -> None:
        import diffusers

        self.family: Any = load_families()[family]
        self.space = self.family.latent
        self.size = (64, 64) if self.family.tokenwise else SIZE
        folder = write(self.family, root / "models" / "mine", 1, tokenwise=self.family.tokenwise, **more)
        made: Any = diffusers.WanImageToVideoPipeline if more.get("led") else diffusers.WanPipeline
        self.pipeline = made.from_pretrained(folder)
        if scheduler:
            self.pipeline.scheduler = getattr(diffusers, scheduler)(shift=3.0)
            self.pipeline.save_pretrained(folder)
        self.open(root)

    def open(self, root: Path) -> None:
        self.root = root
        self.pipeline.set_progress_bar_config(disable=True)
        environ = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32", "HF_HUB_CACHE": str(root / "hub")}
        self.store = ModelStore(root, fingerprint=Fingerprints(None).digest, environment=Environment.read(environ))

    @property
    def ctx(self) -> BenchContext:
        return BenchContext(self.store)

    def loaded(self) -> Any:
        return models.load(model="mine", ctx=self.ctx)

    def said(self, prompt: str) -> Any:
        return text.encode(self.loaded().text, text=prompt, ctx=self.ctx)

    def empty(self, frames: int = FRAMES) -> Latent:
        return latent.empty_video(
            self.loaded().vae, width=self.size[1], height=self.size[0], frames=frames, ctx=self.ctx
        )

    def sampled(self, ctx: BenchContext | None = None, **more: Any) -> Latent:
        given: dict[str, Any] = {
            "positive": self.said(PROMPT),
            "negative": self.said(NEGATIVE),
            "latent": self.empty(),
            "steps": STEPS,
            "guidance": 5.0,
            "seed": SEED,
            **more,
        }
        model = given.pop("model", None) or self.loaded().model
        return sampling.sample(model, **given, ctx=ctx or self.ctx)

    def theirs(self, frames: int = FRAMES, **more: Any) -> Any:
        cells = [side // self.space.downsampling for side in self.size]
        noise = draw(generators(SEED, 1), (self.space.channels, (frames - 1) // 4 + 1, *cells))
        prompts: dict[str, Any] = {"prompt": PROMPT, "negative_prompt": NEGATIVE}
        if type(self.pipeline).__name__ == "WanImageToVideoPipeline":  # it cleans texts by a package that may be absent
            said = {"prompt_embeds": PROMPT, "negative_prompt_embeds": NEGATIVE}
            prompts = {name: self.said(text).prompts[0].embeddings for name, text in said.items()}
        given: dict[str, Any] = {
            **prompts,
            "num_inference_steps": STEPS,
            "guidance_scale": 5.0,
            "latents": noise,
            "height": self.size[0],
            "width": self.size[1],
            "num_frames": frames,
            "output_type": "pt",
            **more,
        }
        return self.pipeline(**given).frames

    def led_by(self, *images: Image, encoder: bool = False) -> Any:
        """The positive prompt with frames that the video is to have."""
        loader = models.load_image_encoder(encoder="mine", ctx=self.ctx) if encoder else None
        loaded = self.loaded()
        return guide.frames(self.said(PROMPT), loaded.vae, self.empty(), *images, encoder=loader, ctx=self.ctx)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> WanKit:
    return WanKit(tmp_path_factory.mktemp("wan"))


@pytest.mark.parametrize("frames", [1, 9])
def test_text_to_video(kit: WanKit, frames: int, proof: Proof) -> None:
    made = kit.sampled(latent=kit.empty(frames))
    assert made.samples.shape == (1, 16, (frames - 1) // 4 + 1, 8, 6)
    assert distance(made.samples, kit.theirs(frames, output_type="latent")) <= CLOSE
    theirs = kit.theirs(frames)[0].movedim(1, -1)
    with leased_codec(kit.ctx, kit.loaded().vae) as codec:
        pieces = list(codec.decode_frames(made.samples))  # pyright: ignore[reportAttributeAccessIssue]
    assert [len(piece) for piece in pieces] == [1, *[4] * (frames // 4)]
    proof.close("wan", "text to video", distance(torch.cat(pieces), theirs))
    video = vae.decode_video(kit.loaded().vae, made, ctx=kit.ctx)
    assert (video.fps, video.frames.dtype, len(video)) == (16.0, torch.uint8, frames)
    assert distance(video.images().pixels, theirs) <= 0.5 / 255 + CLOSE


def test_given_levels_are_walked_as_the_schedulers_own(kit: WanKit) -> None:
    """UniPC takes the logarithm of what is left of the image, which is nothing at a first level of 1."""
    from diffusers import UniPCMultistepScheduler

    own = UniPCMultistepScheduler.from_config(kit.pipeline.scheduler.config)
    own.set_timesteps(STEPS)
    levels = Sigmas((1.0, *own.sigmas.tolist()[1:]))
    made = sampling_custom.custom(
        kit.loaded().model, kit.said(PROMPT), kit.said(NEGATIVE), kit.empty(), levels, guidance=5.0, sampler="unipc",
        seed=SEED, ctx=kit.ctx,
    )  # fmt: skip
    assert distance(made.samples, kit.sampled(sampler="unipc").samples) <= CLOSE


def test_without_guidance(kit: WanKit) -> None:
    made = kit.sampled(negative=None, guidance=1.0)
    assert distance(made.samples, kit.theirs(guidance_scale=1.0, output_type="latent")) <= CLOSE


def test_it_runs_with_the_scheduler_it_comes_with(tmp_path: Path, kit: WanKit) -> None:
    other = WanKit(tmp_path, "FlowMatchEulerDiscreteScheduler")
    made = other.sampled()
    assert distance(made.samples, other.theirs(output_type="latent")) <= CLOSE
    assert distance(made.samples, kit.sampled().samples) > CLOSE * 10
    # Both schedulers have the same noise levels, so one that a model did not come with may be chosen.
    assert distance(made.samples, kit.sampled(sampler="euler").samples) <= 1e-3
    assert distance(other.sampled(sampler="unipc").samples, kit.sampled().samples) <= 1e-3


def test_videos_depend_on_prompt_guidance_and_noise(kit: WanKit) -> None:
    """So that equality above means something."""
    made = kit.sampled().samples
    assert distance(made, kit.sampled(positive=kit.said("blue sea")).samples) > 1e-3
    assert distance(made, kit.sampled(positive=kit.said("(a red:1.5) apple on the table")).samples) > 1e-4
    assert distance(made, kit.sampled(negative=kit.said("light")).samples) > 1e-4
    assert distance(made, kit.sampled(guidance=4.0).samples) > 1e-4
    assert distance(made, kit.sampled(seed=6).samples) > 1e-3


def test_an_image_is_a_video_of_one_frame_to_the_autoencoder(kit: WanKit) -> None:
    pixels = torch.rand(2, 64, 48, 3, generator=torch.Generator().manual_seed(1))
    encoded = vae.encode(kit.loaded().vae, Image(pixels), ctx=kit.ctx)
    config, given = kit.pipeline.vae.config, (pixels * 2 - 1).movedim(-1, 1)[:, :, None]
    with torch.no_grad():
        raw = kit.pipeline.vae.encode(given).latent_dist.mode()[:, :, 0]
        back = kit.pipeline.vae.decode(raw[:, :, None]).sample[:, :, 0].movedim(1, -1) / 2 + 0.5
    mean, deviation = (torch.tensor(found).view(1, 16, 1, 1) for found in (config.latents_mean, config.latents_std))
    assert distance(encoded.samples, (raw - mean) / deviation) <= CLOSE
    assert distance(vae.decode(kit.loaded().vae, encoded, ctx=kit.ctx).pixels, back) <= CLOSE


def test_it_stops_within_a_step(kit: WanKit) -> None:
    class Stopped(BenchContext):
        steps = 0

        def progress(self, step: int, total: int, *rest: Any) -> None:
            self.steps = step

        def check_cancelled(self) -> None:
            if self.steps == 2:
                raise Cancelled

    ctx = Stopped(kit.store)
    with pytest.raises(Cancelled):
        kit.sampled(ctx)
    assert ctx.steps == 2


def _code(call: Any) -> str:
    with pytest.raises(ProblemError) as caught:
        call()
    problem = caught.value.problems[0]
    assert problem.hint
    return problem.code


def test_what_does_not_fit_is_said(kit: WanKit) -> None:
    own, made = kit.loaded().vae, kit.empty()
    image = replace(made, samples=made.samples[:, :, 0])
    assert _code(lambda: latent.empty(own, ctx=kit.ctx)) == "wrong_model"
    assert _code(lambda: latent.empty_video(own, frames=8, ctx=kit.ctx)) == "frames_not_whole"
    assert _code(lambda: latent.empty_video(own, width=100, ctx=kit.ctx)) == "size_not_a_multiple"
    assert _code(lambda: latent.resize(made)) == "wrong_latent"
    assert _code(lambda: vae.decode(own, made, ctx=kit.ctx)) == "wrong_latent"
    assert _code(lambda: vae.decode_video(own, image, ctx=kit.ctx)) == "wrong_latent"
    assert _code(lambda: vae.decode_video(own, latent.repeat(made), ctx=kit.ctx)) == "wrong_batch"
    assert _code(lambda: kit.sampled(latent=image)) == "wrong_latent"
    assert _code(lambda: kit.sampled(denoise=0.5)) == "feature_not_in_family"
    assert _code(lambda: kit.sampled(sampler="heun")) == "sampler_not_for_model"


def photo(seed: int, size: tuple[int, int] = SIZE) -> Image:
    """Of whole bytes, so that pipelines that take files see the same."""
    pixels = torch.rand(1, *size, 3, generator=torch.Generator().manual_seed(seed))
    return Image((pixels * 255).round() / 255)


def pil(image: Image) -> Any:
    from PIL import Image as Images

    return Images.fromarray((image.pixels[0] * 255).round().byte().numpy())


LED: dict[str, dict[str, Any]] = {
    "2.1": {"encoder": True},
    "2.1, both ends": {"encoder": True, "both_ends": True},
    "2.2": {"two": True},
    "2.2, both ends": {"two": True},
}


@pytest.mark.parametrize("name", LED)
def test_image_to_video(name: str, tmp_path: Path, proof: Proof) -> None:
    kit = WanKit(tmp_path, led=True, **LED[name])
    images = [photo(1), photo(2)][: 2 if "both" in name else 1]
    made = kit.sampled(positive=kit.led_by(*images, encoder=LED[name].get("encoder", False)))
    ends = dict(zip(("image", "last_image"), map(pil, images), strict=False))
    theirs = kit.theirs(**ends, output_type="latent")
    proof.close("wan", f"image to video ({name})", distance(made.samples, theirs))
    assert distance(made.samples, kit.theirs(**{**ends, "image": pil(photo(3))}, output_type="latent")) > CLOSE * 10


@pytest.mark.parametrize("family", ["wan", "wan_5b"])
def test_tiles_fade_into_each_other(family: str, tmp_path: Path) -> None:
    kit = WanKit(tmp_path, family=family)
    cells, scale = (16, 24), kit.space.downsampling
    samples = torch.randn(1, kit.space.channels, 3, *cells, generator=torch.Generator().manual_seed(2))
    with leased_codec(kit.ctx, kit.loaded().vae) as codec:
        decoder: Any = codec
        whole, tiled = (torch.cat(list(decoder.decode_frames(samples, tile))) for tile in (0, 12 * scale))
    assert tiled.shape == whole.shape == (9, cells[0] * scale, cells[1] * scale, 3)

    def steps(frames: torch.Tensor) -> torch.Tensor:
        """How much each column of pixels differs from the next."""
        return (frames[:, :, 1:] - frames[:, :, :-1]).abs().mean(dim=(0, 1, 3))

    assert 0 < (tiled - whole).abs().mean() < 0.5 * steps(whole).mean()
    assert (steps(tiled) - steps(whole)).max() < 0.5 * steps(whole).mean(), "no column stands out"


def test_out_of_memory_it_goes_on_in_tiles(kit: WanKit, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = torch.randn(1, 16, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    with leased_codec(kit.ctx, kit.loaded().vae) as codec:
        decoder: Any = codec
        forward = decoder.vae.decoder.forward
        sides: list[int] = []

        def small(cell: torch.Tensor, **given: Any) -> torch.Tensor:
            sides.append(cell.shape[-1])
            if cell.shape[-1] > 8 and len(sides) > 1:  # the second cell finds no room
                raise torch.OutOfMemoryError
            return forward(cell, **given)

        monkeypatch.setattr(decoder.vae.decoder, "forward", small)
        pieces = list(decoder.decode_frames(samples))
    assert [len(piece) for piece in pieces] == [1, 4, 4]
    assert sides[:3] == [16, 16, 8] and set(sides[2:]) == {8}


def test_two_transformers_share_the_steps(tmp_path: Path, proof: Proof) -> None:
    kit = WanKit(tmp_path, two=True)
    made = kit.sampled()
    proof.close("wan", "two transformers", distance(made.samples, kit.theirs(output_type="latent")))
    for part in ("transformer", "transformer_2"):  # each has a say
        weight = getattr(kit.pipeline, part).proj_out.weight
        before = weight.data.clone()
        weight.data.mul_(2)
        assert distance(made.samples, kit.theirs(output_type="latent")) > CLOSE * 10
        weight.data.copy_(before)


@pytest.mark.parametrize("led", [False, True])
def test_the_model_of_5b(led: bool, tmp_path: Path, proof: Proof) -> None:
    kit = WanKit(tmp_path, family="wan_5b", led=led)
    assert kit.loaded().model.family == "wan_5b"
    given = {"image": pil(photo(1, kit.size))} if led else {}
    made = kit.sampled(positive=kit.led_by(photo(1, kit.size))) if led else kit.sampled()
    assert made.samples.shape == (1, 48, 3, 4, 4)
    proof.close(
        "wan_5b",
        "image to video" if led else "text to video",
        distance(made.samples, kit.theirs(**given, output_type="latent")),
    )
    video = vae.decode_video(kit.loaded().vae, made, ctx=kit.ctx)
    assert distance(video.images().pixels, kit.theirs(**given)[0].movedim(1, -1)) <= 0.5 / 255 + CLOSE


def test_what_does_not_fit_the_frames_is_said(tmp_path: Path, kit: WanKit) -> None:
    assert _code(lambda: kit.sampled(positive=kit.led_by(photo(1)))) == "feature_not_in_family"
    led = WanKit(tmp_path / "led", led=True, encoder=True)
    assert _code(led.sampled) == "shown_missing"
    assert _code(lambda: led.sampled(positive=led.led_by(photo(1)))) == "shown_missing"
    both = led.led_by(photo(1), photo(2), encoder=True)
    assert _code(lambda: led.sampled(positive=both)) == "feature_not_in_family"
    longer = led.empty(FRAMES + 4)
    assert _code(lambda: led.sampled(positive=led.led_by(photo(1), encoder=True), latent=longer)) == "wrong_size"
    two = Image(torch.cat([photo(1).pixels, photo(2).pixels]))
    assert _code(lambda: led.led_by(two)) == "wrong_batch"


def clip() -> dict[str, Any]:
    """The shared workflow with a video in the place of the image, saved without loss."""
    found = workflow()
    nodes = found["nodes"]
    nodes["empty"] = {"type": "latent.empty_video", "values": {"width": 64, "height": 48, "frames": 33}}
    nodes["sample"]["values"] = {"steps": STEPS, "guidance": 4.0, "seed": 3}
    nodes["decode"] = {"type": "vae.decode_video"}
    nodes["save"] = {"type": "video.save", "values": {"name": "clip", "format": "webp", "quality": 100}}
    found["links"].append({"from": "decode.video", "to": "save.video"})
    del found["outputs"]
    return found


def led_clip(both: bool = False, encoder: bool = False) -> dict[str, Any]:
    """A clip that begins with an image, or has one at both ends, which an image encoder sees as well."""
    found = clip()
    nodes, links = found["nodes"], found["links"]
    nodes["blank"] = {"type": "vae.decode_video"}
    nodes["frame"] = {"type": "video.frames", "values": {"count": 1}}
    nodes["led"] = {"type": "guide.frames"}
    found["links"] = [link for link in links if link["to"] != "sample.positive"] + [
        {"from": "said.conditioning", "to": "led.positive"},
        {"from": "load.vae", "to": "led.vae"},
        {"from": "empty.latent", "to": "led.latent"},
        {"from": "load.vae", "to": "blank.vae"},
        {"from": "empty.latent", "to": "blank.latent"},
        {"from": "blank.video", "to": "frame.video"},
        {"from": "frame.image", "to": "led.first"},
        {"from": "led.conditioning", "to": "sample.positive"},
    ]
    if both:
        found["links"].append({"from": "frame.image", "to": "led.last"})
    if encoder:
        nodes["sees"] = {"type": "models.load_image_encoder", "values": {"encoder": "mine"}}
        found["links"].append({"from": "sees.model", "to": "led.encoder"})
    return found


RESUMED: dict[tuple[str, str], dict[str, Any]] = {
    ("wan", "text to video"): {},
    ("wan", "two transformers"): {"two": True},
    **{("wan", f"image to video ({name})"): {"led": True, **more} for name, more in LED.items()},
    ("wan_5b", "text to video"): {"tokenwise": True},
    ("wan_5b", "image to video"): {"tokenwise": True, "led": True},
}
"""What a miniature is to be, by family and technique."""


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize(("family", "technique"), RESUMED)
def test_killed_after_a_step_it_goes_on_and_ends_in_the_same_bits(
    family: str, technique: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    more = RESUMED[family, technique]
    made: Any = load_families()[family]
    document = led_clip("both ends" in technique, "encoder" in more) if "led" in more else clip()
    assert (
        goes_on(lambda models: write(made, models / "mine", 1, **more), document, "clip*", tmp_path, monkeypatch) == 1
    )
    proof.resumed(family, technique)
