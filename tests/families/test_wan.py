"""Wan from prompt to clip: equal to its classic pipeline, on the same files; cancelled, killed, resumed, played."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from families.resuming import goes_on, killable, workflow
from node_bench import BenchContext, distance
from safelight.diffusion.autoencoder import leased_codec
from safelight.diffusion.noise import draw, generators
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families import load_families
from safelight.models import ModelStore
from safelight.sdk import Cancelled, Image, Latent, ProblemError
from safelight_nodes import latent, models, sampling, text, vae

PROMPT, NEGATIVE, SEED, STEPS = "a red apple on the table", "dark photo", 5, 4
SIZE, FRAMES = (64, 48), 9
CLOSE = 1e-5


class WanKit:
    """A miniature: its classic pipeline, and a store that leases the very same files."""

    def __init__(self, root: Path, scheduler: str = "") -> None:
        import diffusers

        folder = load_families()["wan"].tiny(root / "models" / "mine", 1)
        self.pipeline = diffusers.WanPipeline.from_pretrained(folder)
        if scheduler:
            self.pipeline.scheduler = getattr(diffusers, scheduler)(shift=3.0)
            self.pipeline.save_pretrained(folder)
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
        return latent.empty_video(self.loaded().vae, width=SIZE[1], height=SIZE[0], frames=frames, ctx=self.ctx)

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
        return sampling.sample(self.loaded().model, **given, ctx=ctx or self.ctx)

    def theirs(self, frames: int = FRAMES, **more: Any) -> Any:
        noise = draw(generators(SEED, 1), (16, (frames - 1) // 4 + 1, SIZE[0] // 8, SIZE[1] // 8))
        given: dict[str, Any] = {
            "prompt": PROMPT,
            "negative_prompt": NEGATIVE,
            "num_inference_steps": STEPS,
            "guidance_scale": 5.0,
            "latents": noise,
            "height": SIZE[0],
            "width": SIZE[1],
            "num_frames": frames,
            "output_type": "pt",
            **more,
        }
        return self.pipeline(**given).frames


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> WanKit:
    return WanKit(tmp_path_factory.mktemp("wan"))


@pytest.mark.parametrize("frames", [1, 9])
def test_text_to_video(kit: WanKit, frames: int) -> None:
    made = kit.sampled(latent=kit.empty(frames))
    assert made.samples.shape == (1, 16, (frames - 1) // 4 + 1, 8, 6)
    assert distance(made.samples, kit.theirs(frames, output_type="latent")) <= CLOSE
    theirs = kit.theirs(frames)[0].movedim(1, -1)
    with leased_codec(kit.ctx, kit.loaded().vae) as codec:
        pieces = list(codec.decode_frames(made.samples))  # pyright: ignore[reportAttributeAccessIssue]
    assert [len(piece) for piece in pieces] == [1, *[4] * (frames // 4)]
    assert distance(torch.cat(pieces), theirs) <= CLOSE
    video = vae.decode_video(kit.loaded().vae, made, ctx=kit.ctx)
    assert (video.fps, video.frames.dtype, len(video)) == (16.0, torch.uint8, frames)
    assert distance(video.images().pixels, theirs) <= 0.5 / 255 + CLOSE


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


def test_relatives_that_cannot_be_run_are_refused(tmp_path: Path) -> None:
    kit = WanKit(tmp_path)
    file = tmp_path / "models" / "mine" / "model_index.json"
    index = json.loads(file.read_text())
    for change in (
        {"transformer_2": ["diffusers", "WanTransformer3DModel"]},
        {"expand_timesteps": True},
        {"_class_name": "WanImageToVideoPipeline"},
    ):
        file.write_text(json.dumps(index | change))
        assert _code(kit.loaded) == "unsupported_family"


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


@killable
def test_killed_after_a_step_it_goes_on_and_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = load_families()["wan"].tiny
    assert goes_on(lambda models: tiny(models / "mine"), clip(), "clip*", tmp_path, monkeypatch) == 1
