"""Training of ControlNets: it begins as nothing, learns what its control images say, and is one of diffusers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny_sets
from safelight.engine import NodeProgress
from safelight.sdk import Image, ProblemError
from safelight_nodes import dataset
from safelight_nodes._training.conditional import Drawn, Examples, Loss
from safelight_nodes._training.controlnet import Controls, edges, fresh, widths
from safelight_nodes._training.images import Drawer
from safelight_nodes.training import adapters
from small_denoiser import CPU, FAST, bench, latents_of, ref, small_unet


@pytest.mark.parametrize(("downsampling", "strides"), [(4, 2), (8, 3), (16, 4)])
def test_a_new_one_changes_nothing_and_reaches_the_size_of_the_latents(downsampling: int, strides: int) -> None:
    """Zero convolutions: with a ControlNet that has not learned, the denoiser predicts what it predicts alone."""
    unet = small_unet()
    hints = torch.rand(2, 3, 8 * downsampling, 8 * downsampling)
    net = fresh(unet, hints, downsampling, seed=1)
    assert len(net.config.conditioning_embedding_out_channels) == strides + 1
    noisy, said = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 32)
    down, middle = net(noisy, 7, said, hints, return_dict=False)
    with torch.no_grad():
        alone = unet(noisy, 7, said).sample
        more = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        assert torch.equal(unet(noisy, 7, said, **more).sample, alone)
    own, again = net.state_dict(), fresh(unet, hints, downsampling, seed=1).state_dict()
    assert all(torch.equal(own[name], value) for name, value in unet.state_dict().items() if name in own)
    assert all(torch.equal(own[name], value) for name, value in again.items())


@pytest.mark.parametrize("what", ["lines", "areas", "nothing"])
def test_what_control_images_show_reaches_the_latents(what: str) -> None:
    """Thin lines or large areas: what a new one adds to latents is as large; of black ones it makes numbers as well."""
    drawings = torch.zeros(2, 3, 128, 128)
    if what == "lines":
        drawings[0, :, 40, 20:100] = 1
        drawings[1, :, 20:100, 70] = 1
    elif what == "areas":
        drawings[0, :, :64] = 1
        drawings[1, :, 20:100, 70:] = 1
    looking = fresh(small_unet(), drawings, 16, seed=1).controlnet_cond_embedding
    with torch.no_grad():
        added = looking(drawings)
    assert added.shape == (2, 16, 8, 8)
    if what == "nothing":
        assert bool(added.isfinite().all())
    else:
        assert float(added.std()) == pytest.approx(0.5, rel=0.01)
        assert float((added[0] - added[1]).std()) > 0.2


def test_for_stable_diffusion_it_has_the_shape_of_the_release() -> None:
    assert widths(8, 320) == (16, 32, 96, 256)
    assert widths(16, 128) == (8, 16, 32, 64, 128)


def test_the_loss_is_that_of_its_formula() -> None:
    """A guess that is off by a constant has, as the loss, the square of it, weighed by min(SNR + 1, gamma)."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    images = tiny_sets.image_set(32)
    examples = Examples(latents_of(images), Drawer(images, 0), 0)
    told: Any = lambda texts: torch.zeros(len(texts), 1, 4)  # noqa: E731
    settings = {"beta_schedule": "scaled_linear", "prediction_type": "v_prediction", "beta_end": 0.012}
    schedule: Any = DDIMScheduler.from_config(settings)
    seen: dict[str, torch.Tensor] = {}

    def guess(noisy: Any, t: Any, context: Any, drawn: Drawn, step: int) -> Any:
        kept = schedule.alphas_cumprod[t][:, None, None, None]
        noise = (noisy - kept.sqrt() * drawn.latents) / (1 - kept).sqrt()
        seen["snr"] = (kept / (1 - kept)).flatten()
        return schedule.get_velocity(drawn.latents, noise, t) + 0.5

    loss = Loss(guess, told, examples, settings, batch=6, gamma=5.0, seed=2, device=CPU, dtype=torch.float32)
    value = float(loss(4))
    aims = (seen["snr"] + 1).clamp(max=5.0) / (seen["snr"] + 1) * 0.25
    assert value == pytest.approx(float(aims.mean()), rel=1e-3)


def test_control_images_are_of_the_images_they_go_with() -> None:
    images = tiny_sets.image_set(32)
    drawn = Examples(latents_of(images), Drawer(images, 0), 0).draw(1, 6)
    shape = Controls(images, "shape", None, 0)(drawn, 1)
    assert torch.equal(shape[:, 0], images.pixels[drawn.numbers][..., 3] / 255)
    lines = Controls(images, "edges", None, 0)(drawn, 1)
    assert lines.shape == (6, 3, 32, 32)
    assert set(lines.unique().tolist()) == {0.0, 1.0}
    soft = Controls(images, "brightness", None, 0)(drawn, 1)
    assert soft.shape == (6, 3, 32, 32)
    assert bool((soft[:, 0] == soft[:, 2]).all()) and float(soft.min()) >= 0 and float(soft.max()) <= 1.0001
    given = torch.rand(len(images.entries), 32, 32, 3)
    own = Controls(images, "edges", Image(given), 0)(drawn, 1)
    assert torch.equal(own, given[drawn.numbers].movedim(-1, 1))


def test_some_control_images_are_black_and_the_same_ones_each_time() -> None:
    images = tiny_sets.image_set(32)
    controls = Controls(images, "shape", None, 0)
    drawn = Examples(latents_of(images), Drawer(images, 0), 0).draw(1, 400)
    black = controls(drawn, 1, 0.25).flatten(1).amax(1) == 0
    assert 0.15 < float(black.float().mean()) < 0.35
    assert torch.equal(black, controls(drawn, 1, 0.25).flatten(1).amax(1) == 0)


def test_edges_of_different_thresholds_differ() -> None:
    ramp = torch.linspace(0, 1, 64)[None, None, :, None].expand(1, 64, -1, 3).clone()
    ramp[:, :, 32:] = (ramp[:, :, 32:] + 0.15).clamp(max=1)
    assert float(edges(ramp, 30).sum()) > float(edges(ramp, 150).sum())


def test_it_learns_what_its_control_images_say() -> None:
    """Images that the caption does not tell apart: with their shapes the loss falls below that of black ones."""
    images = tiny_sets.image_set(32)
    images = replace(images, entries=tuple({**entry, "style": -1} for entry in images.entries))
    names = {key: {**said, "names": ["thing"]} for key, said in images.subjects.items()}
    images = replace(images, subjects=names)
    losses: dict[str, float] = {}
    for what, controls in (("shape", None), ("black", Image(torch.zeros(len(images.entries), 32, 32, 3)))):
        ctx = bench()
        made = adapters.controlnet(
            latents_of(images, slots=1), images, ref("Denoiser"), ref("TextEncoder"), controls, None, None,
            condition="shape", updates=120, empty_controls=0.0, **FAST, ctx=ctx,
        )  # fmt: skip
        values = [value for _, value in made.curve]
        losses[what] = sum(values[-30:])
        assert losses[what] < 0.9 * sum(values[:30])
        assert ctx.steps[-1] == (120, 120)
        assert made.about["condition"] == ("shape" if what == "shape" else "given")
    assert losses["shape"] < 0.96 * losses["black"]


def test_what_does_not_fit_is_refused() -> None:
    images = tiny_sets.image_set(32)
    latents = latents_of(images)

    def refused(**given: Any) -> list[tuple[str, str | None]]:
        said: dict[str, Any] = {"latents": latents, "controls": None, "start": None, **given}
        with pytest.raises(ProblemError) as caught:
            adapters.controlnet(
                said["latents"], images, ref("Denoiser"), ref("TextEncoder"), said["controls"], said["start"], None,
                ctx=said.get("ctx") or bench(),
            )  # fmt: skip
        return [(problem.code, problem.port) for problem in caught.value.problems]

    assert refused(controls=Image(torch.zeros(3, 32, 32, 3))) == [("wrong_batch", "controls")]
    small = Image(torch.zeros(len(images.entries), 16, 16, 3))
    assert refused(controls=small) == [("wrong_batch", "controls")]
    fewer = replace(latents, samples=latents.samples[:2], colours=latents.colours[:2])
    assert refused(latents=fewer) == [("wrong_latents", "latents")]
    other = replace(latents, samples=latents.samples[:, :, :3])
    assert refused(latents=other) == [("wrong_latents", "latents")]
    ctx = bench()
    ctx.models.put("ControlNet", "small", torch.nn.Linear(2, 2))
    assert refused(start=ref("ControlNet"), ctx=ctx) == [("model_not_supported", "start")]


def test_one_is_gone_on_with() -> None:
    images = tiny_sets.image_set(32)
    ctx = bench()
    net = fresh(small_unet(), torch.rand(2, 3, 32, 32), 4, seed=9)
    with torch.no_grad():
        net.controlnet_mid_block.bias.fill_(0.25)
    before = net.controlnet_mid_block.bias.clone()
    ctx.models.put("ControlNet", "small", net)
    made = adapters.controlnet(
        latents_of(images), images, ref("Denoiser"), ref("TextEncoder"), None, ref("ControlNet"), None,
        updates=1, **(FAST | {"learning_rate": 1e-7}), ctx=ctx,
    )  # fmt: skip
    assert torch.allclose(made.tensors["controlnet_mid_block.bias"], before, atol=1e-4)
    assert torch.equal(net.controlnet_mid_block.bias, before), "the one that is leased stays as it is"


def test_a_set_is_split_by_subject() -> None:
    images = tiny_sets.image_set(32)
    parts = dataset.split(images, share=0.34, seed=1)
    of_train, of_held = ({entry["subject"] for entry in part.entries} for part in parts)
    assert len(of_held) == 2 and not of_train & of_held and len(of_train | of_held) == 6
    assert len(parts.train.entries) + len(parts.held.entries) == len(images.entries)
    for part in parts:
        assert float(part.weights.sum()) == pytest.approx(1)
        assert len(part.pixels) == len(part.entries) == len(part.weights)
        assert set(part.subjects) == {entry["subject"] for entry in part.entries}
    assert dataset.split(images, share=0.34, seed=1).held.entries == parts.held.entries
    alone = replace(images, entries=({"subject": "0", "style": 0},))
    with pytest.raises(ProblemError) as caught:
        dataset.split(alone)
    assert caught.value.problems[0].code == "too_few_images"


def test_images_of_a_set_as_a_batch_with_captions() -> None:
    images = tiny_sets.image_set(32)
    every = dataset.to_images(images, background="#dc2828")
    assert every.image.pixels.shape == (18, 32, 32, 3)
    assert np.allclose(every.image.pixels[:, 0, 0].numpy(), np.array([220, 40, 40]) / 255, atol=1e-3)
    assert len(every.captions) == 18 and all("red" in text for text in every.captions)
    few = dataset.to_images(images, count=3)
    assert few.image.pixels.shape[0] == len(few.captions) == 3
    assert len(every.image.pixels.flatten(1).unique(dim=0)) == 18
    assert dataset.to_images(images, count=5, side=8).image.pixels.shape == (5, 8, 8, 3)
    assert few.image.pixels[-1].equal(dataset.to_images(images).image.pixels[-1])


def test_it_is_written_as_diffusers_has_it_and_guides(run: Callable[..., Any], home: Path) -> None:
    from diffusers import ControlNetModel

    outcome, events = run("controlnet", name="edges", model="tiny", updates=3, batch=2, steps=2, shown=2)
    assert {"curve", "sheet"} <= set(outcome.outputs)
    sheet = outcome.outputs["sheet"][0]
    assert sheet["height"] > 3 * tiny_sets.SIDE and sheet["width"] > 2 * tiny_sets.SIDE
    assert any(event.preview is not None for event in events if isinstance(event, NodeProgress))
    about = json.loads((home / "models" / "edges" / "training.json").read_text())["ControlNetModel"]
    assert (about["updates"], about["condition"]) == (3, "edges")
    loaded: Any = ControlNetModel.from_pretrained(home / "models" / "edges")
    unet = json.loads((home / "models" / "tiny" / "unet" / "config.json").read_text())
    assert list(loaded.config.block_out_channels) == unet["block_out_channels"]
