"""CLIP: the loss falls, a given text encoder stays as it is, batches are what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_sets
from node_bench import BenchContext
from safelight.app import Studio
from safelight.sdk import ProblemError
from safelight_nodes._training.towers import Pairs, softened
from safelight_nodes.training import encoders

WORKFLOWS = Path(__file__).parents[2] / "workflows" / "train"


class Bench(BenchContext):
    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.models.device = lambda: (torch.device("cpu"), torch.float32)


def test_both_towers_learn_from_nothing() -> None:
    images = tiny_sets.image_set(32)
    words = encoders.tokenizer(images, vocabulary=700, length=24)
    made = encoders.clip(
        images, words, None, None, updates=60, batch=7, learning_rate=2e-3, warmup_steps=5, ema_decay=0.9, width=48,
        layers=1, patch=8, text_width=64, text_layers=1, ctx=Bench(),
    )  # fmt: skip
    losses = [value for _, value in made.image.curve]
    assert sum(losses[-10:]) < 0.85 * sum(losses[:10])
    assert made.tokenizer == words
    assert made.image.kind == "CLIPVisionModelWithProjection"
    assert made.text.config["vocab_size"] == len(json.loads(words.files["vocab.json"]))


def test_an_image_tower_is_fitted_to_a_models_text_tower(run: Callable[..., Any], home: Path) -> None:
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    run("clip", model="tiny", updates=4, batch=6, width=48, layers=1, name="eye")
    tower = CLIPVisionModelWithProjection.from_pretrained(home / "models" / "eye")
    assert tower.config.projection_dim == 32
    assert tower.config.image_size == tiny_sets.SIDE
    assert CLIPImageProcessor.from_pretrained(home / "models" / "eye").image_mean == (0.5, 0.5, 0.5)


def test_an_image_tower_goes_on_with_another(run: Callable[..., Any], home: Path) -> None:
    from safetensors.torch import load_file

    run("clip", model="tiny", updates=4, batch=6, width=48, layers=1, name="eye")
    given = load_file(home / "models" / "eye" / "model.safetensors")
    run("clip_more", start="eye", model="tiny", updates=1, batch=6, learning_rate=1e-6, name="more")
    made = load_file(home / "models" / "more" / "model.safetensors")
    assert all(torch.allclose(given[name], made[name], atol=1e-4) for name in given)
    assert any(not torch.equal(given[name], made[name]) for name in given)


def test_one_that_takes_other_images_is_a_problem(studio: Studio, tmp_path: Path) -> None:
    document = studio.read(WORKFLOWS / "clip_more.json").with_inputs({"model": "tiny", "updates": 1, "batch": 6})
    (problem,) = studio.run(document, output=tmp_path).result.problems
    assert (problem.code, problem.port) == ("wrong_model", "start")


def test_soft_images_lack_fine_lines_and_keep_their_colours() -> None:
    lines = torch.ones(3, 16, 16)
    lines[:, ::2] = -1
    soft = softened(lines, 0.4)
    assert soft.shape == lines.shape
    assert soft.std() < 0.3 * lines.std()
    assert abs(float(soft.mean())) < 0.1
    assert torch.allclose(softened(torch.full((3, 16, 16), 0.5), 0.4), torch.tensor(0.5), atol=1e-5)
    pairs = [Pairs(tiny_sets.image_set(16), 7, 0, soft).draw(3)[0] for soft in (0.0, 1.0)]
    assert not torch.equal(*pairs)


def test_a_batch_holds_different_subjects_and_twins_with_all_said() -> None:
    pairs = Pairs(tiny_sets.image_set(16), batch=7, seed=0)
    x, texts = pairs.draw(3)
    again, same = pairs.draw(3)
    assert torch.equal(x, again)
    assert texts == same
    assert x.shape == (7, 3, 16, 16)
    assert "background" in texts[0].lower() or " on " in texts[0] or "backdrop" in texts[0]


def test_a_batch_that_the_set_cannot_fill_is_a_problem() -> None:
    with pytest.raises(ProblemError) as caught:
        Pairs(tiny_sets.image_set(16), batch=20, seed=0)
    assert caught.value.problems[0].code == "too_few_images"


def test_neither_tokenizer_nor_text_tower_is_a_problem() -> None:
    with pytest.raises(ProblemError) as caught:
        encoders.clip(tiny_sets.image_set(16), None, None, None, ctx=Bench())
    assert caught.value.problems[0].code == "no_text_side"


def test_any_width_has_heads_that_share_it():
    from safelight_nodes._training.towers import heads_of

    assert [heads_of(width) for width in (16, 32, 48, 96, 192, 384)] == [1, 1, 1, 2, 4, 8]
    assert all(width % heads_of(width) == 0 for width in range(16, 1281))
