"""Training of motion modules: loops that close, a loss by its formula, and a start that changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from safelight.diffusion.motion import moving
from safelight.sdk import ProblemError
from safelight_nodes._training import clips as drawing
from safelight_nodes._training.conditional import Drawn, Loss
from safelight_nodes._training.motion import fresh
from safelight_nodes.training import motion
from safelight_nodes.training_values import ClipSet
from safelight_nodes.weights import save_lora
from small_denoiser import CPU, FAST, bench, ref, small_unet

FRAMES = 4


def rising(count: int = 6) -> ClipSet:
    """Clips of one colour, from dark in the first frame to bright in the last: that the place in time alone tells."""
    light = torch.linspace(-1, 1, FRAMES)[None, :, None, None, None].expand(count, FRAMES, 4, 8, 8)
    return ClipSet(light.half().contiguous(), tuple(f"thing {number}" for number in range(count)), "sd2", 8)


def square() -> torch.Tensor:
    """An image with a square in its middle, the rest clear."""
    made = torch.zeros(32, 32, 4, dtype=torch.uint8)
    made[8:24, 8:24] = torch.tensor([200, 30, 30, 255], dtype=torch.uint8)
    return made


def middle(frames: torch.Tensor) -> torch.Tensor:
    """Where the square is in each frame, (F, 2): down and to the right in pixels from the middle of the image."""
    dark = 1 - frames.mean(1)
    places = torch.arange(32) - 15.5
    return torch.stack([(dark.sum(axis) * places).sum(1) / dark.sum((1, 2)) for axis in (2, 1)], dim=1)


@pytest.mark.parametrize("way", drawing.WORDS)
def test_a_loop_closes(way: Any) -> None:
    """The frame after the last is the first again, and those between are others."""
    path = drawing.Path(way, 0.6, 1.0)
    frames = drawing.moved(square(), path, 8, (255, 255, 255))
    assert frames.shape == (8, 3, 32, 32)
    assert float(frames.min()) >= 0 and float(frames.max()) <= 1
    # Twice as many frames are the same ones with others between.
    assert torch.allclose(drawing.moved(square(), path, 16, (255, 255, 255))[::2], frames, atol=1e-6)
    steps = (frames - frames.roll(-1, 0)).abs().mean((1, 2, 3))
    assert float(steps[-1]) <= float(steps.max()) + 1e-6
    assert float((frames[0] - frames[2]).abs().max()) > 0.2


def test_a_bounce_is_a_throw() -> None:
    """Up and down again along a parabola, from the lowest place that there is room for."""
    found = middle(drawing.moved(square(), drawing.Path("bounce", 0.5, 1.0), 8, (255, 255, 255)))
    part = torch.arange(8) / 8
    wanted = 16 * 0.5 * (1 - 8 * part * (1 - part))
    assert torch.allclose(found[:, 0], wanted, atol=0.15)
    assert torch.allclose(found[:, 1], torch.zeros(8), atol=0.1)


def test_a_hop_moves_whole_pixels() -> None:
    """The image is higher; the subject stands on its ground, hops by quarters of its side, and stays as it is."""
    path = drawing.Path("hop", 0.65, 1.0)
    frames = drawing.moved(square(), path, 8, (255, 255, 255))
    assert frames.shape == (8, 3, 48, 32)
    still = drawing.moved(square(), drawing.Path("bounce", 1.0, 1.0), 1, (255, 255, 255))[0]
    for frame, up in zip(frames, (0, 1, 1, 2, 2, 2, 1, 1), strict=True):
        assert torch.allclose(frame[:, 16 - 8 * up : 48 - 8 * up], still, atol=1e-6)
        assert torch.allclose(frame.sum(), still.sum() + 3 * 16 * 32)
    assert drawing.Path("hop", 0.65, 0.5).hops(8) == [0, 0, 1, 1, 1, 1, 1, 0]


def test_a_circle_is_round() -> None:
    found = middle(drawing.moved(square(), drawing.Path("circle", 0.5, 1.0), 8, (255, 255, 255)))
    assert torch.allclose(found.norm(dim=1), torch.full((8,), 8.0), atol=0.15)
    assert float(found[2, 1]) > 7 and float(found[0, 0]) < -7


@pytest.mark.parametrize("blocks", ["all", "outer"])
def test_a_new_module_changes_nothing(blocks: Any) -> None:
    """Bit for bit: frames are the images that the denoiser makes without it."""
    unet = small_unet().eval()
    module = fresh(unet, FRAMES, blocks, seed=1).eval()
    noisy, said = torch.randn(2 * FRAMES, 4, 8, 8), torch.randn(2 * FRAMES, 5, 32)
    with torch.no_grad():
        before = unet(noisy, 7, said).sample
        with moving(unet, module, FRAMES):
            assert torch.equal(unet(noisy, 7, said).sample, before)


def test_outer_blocks_are_those_of_full_size() -> None:
    module = fresh(small_unet(), FRAMES, "outer", seed=1)
    depths = [[len(one.transformer_blocks) for one in block.motion_modules] for block in module.down_blocks]
    assert depths == [[1], [0]] and module.mid_block is None
    assert [len(one.transformer_blocks) for one in module.up_blocks[-1].motion_modules] == [1, 1]
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_clip_has_one_noise_level() -> None:
    """The loss against its formula: who finds the velocity by the level of the clip has none."""
    scheduler = {
        "_class_name": "DDIMScheduler", "prediction_type": "v_prediction", "beta_schedule": "scaled_linear",
        "beta_start": 0.00085, "beta_end": 0.012,
    }  # fmt: skip
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = (1 - betas).cumprod(0).float()
    clean = rising(2).samples.float().flatten(0, 1)
    seen: list[torch.Tensor] = []

    class Both:
        def draw(self, step: int, size: int) -> Drawn:
            import numpy as np

            return Drawn(clean, ["a", "b"], np.arange(size), [-1] * size)

    def guess(noisy: torch.Tensor, t: torch.Tensor, context: torch.Tensor, drawn: Drawn, step: int) -> torch.Tensor:
        seen.append(t)
        signal, sigma = (power.sqrt()[:, None, None, None] for power in (kept[t], 1 - kept[t]))
        return signal * (noisy - signal * clean) / sigma - sigma * clean

    loss = Loss(
        guess, lambda texts: torch.zeros(len(texts), 5, 32), Both(), scheduler, batch=2, gamma=5.0, seed=3,
        device=CPU, dtype=torch.float32, frames=FRAMES,
    )  # fmt: skip
    assert float(loss(2)) < 1e-6
    levels = seen[0].unflatten(0, (2, FRAMES))
    assert (levels == levels[:, :1]).all() and levels[0, 0] != levels[1, 0]


@pytest.mark.parametrize("rank", [0, 2])
def test_the_loss_falls_and_the_denoiser_stays(rank: int) -> None:
    """With a LoRA that learns along and without one; what is not there is told when it is to be saved."""
    ctx = bench()
    with ctx.models.lease(ref("Denoiser")) as lease:
        before = {name: one.clone() for name, one in lease.component.modules["unet"].state_dict().items()}
    made, lora = motion.motion(
        rising(), ref("Denoiser"), ref("TextEncoder"), None, rank=rank, updates=60, **(FAST | {"batch": 4}), ctx=ctx
    )
    values = [value for _, value in made.curve]
    assert sum(values[-15:]) < 0.8 * sum(values[:15])
    assert ctx.steps[-1] == (60, 60)
    assert made.kind == "MotionAdapter" and made.config["motion_max_seq_length"] == FRAMES
    with ctx.models.lease(ref("Denoiser")) as lease:
        after = lease.component.modules["unet"].state_dict()
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    if rank:
        assert lora.kind == "lora"
        assert all(bool(one.any()) for name, one in lora.tensors.items() if ".lora_B." in name)
    else:
        assert save_lora(lora, ref("Denoiser"), ctx=ctx) == ref("Denoiser")
        assert [problem.code for problem in ctx.warned] == ["setting_unused"]


def test_latents_of_another_model_are_refused() -> None:
    clips = rising()
    other = ClipSet(clips.samples[:, :, :3], clips.texts, "sd2", 8)
    with pytest.raises(ProblemError) as caught:
        motion.motion(other, ref("Denoiser"), ref("TextEncoder"), None, ctx=bench())
    assert [(problem.code, problem.port) for problem in caught.value.problems] == [("wrong_latents", "clips")]


def test_it_is_written_and_moves(run: Callable[..., Any], home: Path) -> None:
    outcome, _ = run(
        "motion", name="moves", model="tiny", updates=2, batch=1, clips=3, steps=2, prompts=["an apple"], limit=6
    )
    assert {"curve", "sheet", "video"} <= set(outcome.outputs)
    folder = home / "models" / "moves"
    assert {path.name for path in folder.iterdir()} >= {"config.json", "diffusion_pytorch_model.safetensors"}
    from diffusers import MotionAdapter

    loaded = MotionAdapter.from_pretrained(folder)
    assert loaded.config["motion_max_seq_length"] == 8
