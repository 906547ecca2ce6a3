"""Denoisers: a new model learns and samples in the product, a given one goes on, embeddings are made once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_sets
from node_bench import BenchContext
from safelight.sdk import ProblemError
from safelight_nodes.training import denoisers, encoders
from safelight_nodes.training_values import ImageSet, LatentSet

TINY: dict[str, Any] = {"width": 16, "widest": 16, "text_width": 32, "text_layers": 1}


class Bench(BenchContext):
    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.models.device = lambda: (torch.device("cpu"), torch.float32)


def _latents(images: ImageSet, slots: int = 2) -> LatentSet:
    """Stand-ins: the images' own colours on a coarse grid."""
    small = images.pixels.permute(0, 3, 1, 2).float().unflatten(2, (8, -1)).unflatten(4, (8, -1)).mean((3, 5))
    samples = (small / 127.5 - 1)[:, None].expand(-1, slots, -1, -1, -1).half()
    colours = torch.tensor([[0, 5]] * len(samples), dtype=torch.int16)[:, :slots]
    return LatentSet(samples, colours, "sd1", 8)


def test_a_new_model_is_written_whole_and_draws_a_image(run: Callable[..., Any], studio: Any, tmp_path: Path) -> None:
    outcome, _ = run("unet", vae="tiny", updates=8, batch=4, vocabulary=700, backgrounds=2, name="made", **TINY)
    assert outcome.outputs["curve"]
    document = studio.read("text_to_image").with_inputs({"model": "made", "steps": 2, "prompt": "a cat"})
    drawn = studio.run(document, output=tmp_path)
    assert [problem.message for problem in drawn.result.problems] == []
    assert drawn.outputs["image"][0]["width"] == tiny_sets.SIDE


@pytest.mark.parametrize(("width", "text_width"), [(130, 200), (9, 17), (24, 130)])
def test_any_width_makes_a_model(width: int, text_width: int) -> None:
    images = tiny_sets.image_set(32)
    words = encoders.tokenizer(images, vocabulary=700, length=24)
    shape = {"width": width, "widest": 2 * width, "levels": 2, "text_width": text_width, "text_layers": 1}
    made = denoisers.denoiser(
        _latents(images), images, words, None, None, None, updates=1, batch=2, heads=4, **shape, ctx=Bench()
    )
    assert made.denoiser.config["block_out_channels"] == [width, 2 * width]
    assert made.text.config["hidden_size"] == text_width


def test_a_model_is_gone_on_with(run: Callable[..., Any], home: Path) -> None:
    from safetensors.torch import load_file

    run("unet_more", model="tiny", vae="tiny", updates=3, batch=2, backgrounds=2, name="more")
    unet, text = "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"
    for file, same in ((unet, False), (text, True)):
        before, after = load_file(home / "models/tiny" / file), load_file(home / "models/more" / file)
        assert all(torch.equal(before[name].half(), after[name]) for name in before) is same


def test_the_loss_falls_and_a_new_text_tower_learns_along() -> None:
    images = tiny_sets.image_set(32)
    words = encoders.tokenizer(images, vocabulary=700, length=24)
    ctx = Bench()
    made = denoisers.denoiser(
        _latents(images), images, words, None, None, None, updates=80, batch=16, learning_rate=4e-3, warmup_steps=5,
        ema_decay=0.9, heads=2, **TINY, ctx=ctx,
    )  # fmt: skip
    losses = [value for _, value in made.denoiser.curve]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    assert made.denoiser.about["scheduler"]["prediction_type"] == "v_prediction"
    assert made.text.config["hidden_size"] == 32


def test_fixed_captions_under_a_frozen_tower_are_embedded_once() -> None:
    from safelight_nodes._training.conditional import Told
    from safelight_nodes._training.tokenizer import from_files
    from safelight_nodes._training.towers import text_tower

    images = tiny_sets.image_set(32)
    entries = tuple({**entry, "style": -1} for entry in images.entries)
    images = ImageSet(images.pixels, entries, images.subjects, images.weights)
    reader = from_files(encoders.tokenizer(images, vocabulary=600, length=16).files)
    tower = text_tower(len(reader), 16, 32, 1, seed=0)
    calls: list[int] = []
    tower.register_forward_hook(lambda *_: calls.append(1))
    told = Told(tower, reader, images, False, torch.device("cpu"), torch.float32)
    assert len(calls) == 1
    known = told(["cat", "", "cat", "house"])
    assert known.shape == (4, 16, 32)
    assert len(calls) == 1
    other = told(["cat", "a thing that no caption names"])
    assert len(calls) == 2
    assert torch.allclose(known[0], other[0], atol=1e-5)


def test_latents_of_another_set_are_a_problem() -> None:
    images = tiny_sets.image_set(32)
    fewer = _latents(images)
    with pytest.raises(ProblemError) as caught:
        denoisers.denoiser(
            LatentSet(fewer.samples[:3], fewer.colours[:3], "sd1", 8), images, None, None, None, None, ctx=Bench()
        )
    assert [problem.code for problem in caught.value.problems] == ["wrong_latents"]
