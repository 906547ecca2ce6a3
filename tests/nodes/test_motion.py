"""Motion modules: the frames of diffusers, from either layout, and refusals."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_models
from node_bench import NEGATIVE, PROMPT, BenchContext, distance
from proofs import Proof
from safelight.diffusion.motion import moving
from safelight.environment import Environment
from safelight.models import ModelStore
from safelight.sdk import Latent, ModelRef, Noise, ProblemError, Source
from safelight_nodes import models, motion, sampling, text

FRAMES = 4
PIPELINES = {"sd1": "AnimateDiffPipeline", "sdxl": "AnimateDiffSDXLPipeline"}
ORIGINAL = (
    (".motion_modules.", ".motion_modules."),
    (".norm1.", ".norms.0."),
    (".norm2.", ".norms.1."),
    (".norm3.", ".ff_norm."),
    (".attn1.", ".attention_blocks.0."),
    (".attn2.", ".attention_blocks.1."),
)


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shelf = tmp_path_factory.mktemp("home") / "models"
    getattr(tiny_models, f"tiny_{family}")(shelf / "model")
    tiny_models.tiny_motion(shelf / "moves", family)
    return shelf


@pytest.fixture(scope="module")
def ctx(folder: Path) -> BenchContext:
    store = ModelStore(
        folder.parent,
        fingerprint=lambda path: hashlib.sha256(path.read_bytes()).hexdigest(),
        environment=Environment.read({"HF_HUB_OFFLINE": "1"}),
    )
    return BenchContext(store)


def original_file(folder: Path, file: Path) -> None:
    """The module in a file, by the names of AnimateDiff's own."""
    from safetensors.torch import load_file, save_file

    found: dict[str, torch.Tensor] = {}
    for name, tensor in load_file(folder / "diffusion_pytorch_model.safetensors").items():
        head, _, rest = name.partition(".motion_modules.")
        place, _, inner = rest.partition(".")
        renamed = f"{head}.motion_modules.{place}.temporal_transformer.{inner}"
        for ours, theirs in ORIGINAL:
            renamed = renamed.replace(ours, theirs)
        if ".pos_embed." in renamed:
            for attention in (0, 1):
                found[renamed.replace(".pos_embed.", f".attention_blocks.{attention}.pos_encoder.")] = tensor.clone()
        else:
            found[renamed] = tensor
    save_file(found, file)


def noise(frames: int = FRAMES, side: int = 8) -> torch.Tensor:
    return torch.randn(frames, 4, side, side, generator=torch.Generator().manual_seed(3))


def sampled(ctx: BenchContext, start: torch.Tensor, module: str = "", **more: Any) -> torch.Tensor:
    loaded = models.load(model="model", precision="float32", ctx=ctx)
    model = loaded.model
    if module:
        module_ref = models.load_motion(motion=module, ctx=ctx)
        model = motion.apply(model, module_ref, ctx=ctx, **more)
    said = [text.encode(loaded.text, text=one, ctx=ctx) for one in (PROMPT, NEGATIVE)]
    empty = Latent(torch.zeros_like(start), model.family)
    made = sampling.sample(model, *said, empty, noise=Noise(start), steps=4, guidance=5.0, sampler="ddim", ctx=ctx)
    return made.samples


def theirs(family: str, folder: Path, start: torch.Tensor) -> torch.Tensor:
    import diffusers

    library: Any = diffusers
    adapter = library.MotionAdapter.from_pretrained(folder / "moves")
    made = getattr(library, PIPELINES[family]).from_pretrained(folder / "model", motion_adapter=adapter)
    if family == "sdxl":
        # The library forgets this layer where it joins the two, and leaves random numbers in it.
        still = library.UNet2DConditionModel.from_pretrained(folder / "model" / "unet")
        made.unet.add_embedding.load_state_dict(still.add_embedding.state_dict())
    made.set_progress_bar_config(disable=True)
    made.scheduler = library.DDIMScheduler.from_config({**made.scheduler.config, "clip_sample": False})
    side = start.shape[-1] * 8
    found = made(
        prompt=PROMPT, negative_prompt=NEGATIVE, num_frames=len(start), height=side, width=side,
        num_inference_steps=4, guidance_scale=5.0, latents=start.movedim(0, 1)[None].clone(), output_type="latent",
    ).frames  # fmt: skip
    return found[0].movedim(0, 1)


def test_frames_are_those_of_diffusers(family: str, folder: Path, ctx: BenchContext, proof: Proof) -> None:
    start = noise()
    made = sampled(ctx, start, "moves")
    away = distance(made, theirs(family, folder, start)) / float(made.abs().max())
    proof.close(family, "motion module", away, FRAMES)
    still = sampled(ctx, start)
    assert distance(made, still) > 1e-2, "the module has an effect"
    assert torch.equal(still, sampled(ctx, start, "moves", strength=0.0))


def test_no_strength_takes_an_earlier_module_away(ctx: BenchContext) -> None:
    model, module = models.load(model="model", ctx=ctx).model, models.load_motion(motion="moves", ctx=ctx)
    moved = motion.apply(model, module, strength=0.5, ctx=ctx)
    assert moved.motion == module
    assert motion.apply(moved, module, strength=0.0, ctx=ctx) == model


def test_a_file_of_its_makers_is_the_same_module(folder: Path, ctx: BenchContext) -> None:
    """Written by their names, with 8 heads and 32 groups, which a file does not tell."""
    from diffusers import MotionAdapter

    MotionAdapter(
        block_out_channels=(32, 64), motion_layers_per_block=(1, 2), motion_max_seq_length=5, use_motion_mid_block=False
    ).save_pretrained(folder / "eight")
    original_file(folder / "eight", folder / "original.safetensors")
    names = ("eight", "original.safetensors")
    refs = [replace(models.load_motion(motion=name, ctx=ctx), precision="float32") for name in names]
    with ctx.models.lease(refs[0]) as one, ctx.models.lease(refs[1]) as other:
        first, second = one.component, other.component
        assert second.config.motion_max_seq_length == 5 and second.mid_block is None
        wanted = first.state_dict()
        assert second.state_dict().keys() == wanted.keys()
        assert all(torch.equal(tensor, wanted[name]) for name, tensor in second.state_dict().items())
        given = torch.randn(5, 32, 4, 4)
        one_block, other_block = (net.down_blocks[0].motion_modules[0] for net in (first, second))
        assert torch.equal(one_block(given, num_frames=5), other_block(given, num_frames=5))


def test_frames_know_of_each_other(ctx: BenchContext) -> None:
    """Another noise for the last frame changes the first one, with a module alone."""
    start, other = noise(), noise()
    other[-1] = noise(FRAMES + 1)[-1]
    assert torch.equal(sampled(ctx, start)[0], sampled(ctx, other)[0])
    assert distance(sampled(ctx, start, "moves")[0], sampled(ctx, other, "moves")[0]) > 1e-4


def test_nothing_stays_on_the_denoiser(ctx: BenchContext) -> None:
    start = noise(1)
    before = sampled(ctx, start)
    sampled(ctx, start, "moves")
    assert torch.equal(before, sampled(ctx, start))


def test_more_frames_than_it_knows_are_refused(ctx: BenchContext) -> None:
    with pytest.raises(ProblemError) as caught:
        sampled(ctx, noise(9), "moves")
    (problem,) = caught.value.problems
    assert (problem.code, problem.port, problem.value) == ("too_many_frames", "latent", 9)
    assert "8" in (problem.hint or "")


def test_another_denoisers_module_is_refused(folder: Path, ctx: BenchContext) -> None:
    from diffusers import MotionAdapter

    MotionAdapter(
        block_out_channels=(16, 32, 32), motion_layers_per_block=1, motion_norm_num_groups=8,
        motion_num_attention_heads=2,
    ).save_pretrained(folder / "three")  # fmt: skip
    with pytest.raises(ProblemError) as caught:
        sampled(ctx, noise(2), "three")
    assert [(problem.code, problem.port) for problem in caught.value.problems] == [("weights_mismatch", "model")]


def test_a_transformer_takes_none(ctx: BenchContext) -> None:
    flow: ModelRef[Any] = ModelRef("Denoiser", "flux", Source("folder", "elsewhere"))
    module = models.load_motion(motion="moves", ctx=ctx)
    with pytest.raises(ProblemError) as caught:
        motion.apply(flow, module, ctx=ctx)
    assert [(problem.code, problem.port) for problem in caught.value.problems] == [("feature_not_in_family", "model")]


def test_what_is_no_motion_module_is_refused(ctx: BenchContext) -> None:
    with pytest.raises(ProblemError) as caught:
        models.load_motion(motion="model", ctx=ctx)
    assert [(problem.code, problem.port) for problem in caught.value.problems] == [("wrong_model", "motion")]


def test_a_file_that_lacks_weights_is_refused(folder: Path, ctx: BenchContext) -> None:
    from safetensors.torch import load_file, save_file

    whole = load_file(folder / "moves" / "diffusion_pytorch_model.safetensors")
    save_file({name: one for name, one in whole.items() if "pos_embed" not in name}, folder / "torn.safetensors")
    with pytest.raises(ProblemError) as caught:
        sampled(ctx, noise(2), "torn.safetensors")
    assert [problem.code for problem in caught.value.problems] == ["model_incomplete"]


def test_two_clips_at_once_are_two_clips(tmp_path: Path) -> None:
    """The denoiser itself against diffusers' own with motion in it."""
    from diffusers import MotionAdapter, UNetMotionModel

    still = tiny_models.unet(tiny_models.FAMILIES["sd1"]).eval()  # pyright: ignore[reportArgumentType]
    adapter = MotionAdapter.from_pretrained(tiny_models.tiny_motion(tmp_path)).eval()
    own = UNetMotionModel.from_unet2d(still, adapter).eval()
    noisy = torch.randn(2 * FRAMES, 4, 8, 8)
    said = torch.randn(2, 5, still.config.cross_attention_dim).repeat_interleave(FRAMES, 0)
    with torch.no_grad():
        wanted = own(noisy.unflatten(0, (2, FRAMES)).movedim(2, 1), 7, said).sample.movedim(1, 2).flatten(0, 1)
        with moving(still, adapter, FRAMES):
            found = still(noisy, 7, said).sample
    assert torch.allclose(found, wanted, atol=1e-5)
