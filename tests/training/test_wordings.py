"""A text encoder learns new words: what is said and what is meant go together, the loss falls, the LoRA loads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_sets
from node_bench import BenchContext, offline_store
from safelight.engine import NodeProgress
from safelight.sdk import ProblemError
from safelight_nodes import loras, models, text
from safelight_nodes._training.wordings import Lessons, Settings, wordings

SETTINGS = Settings("kitty = cat", 0.5, True, 2.0, 2.0, 4, 10, 8, 1e-3, 0, 0.9, 0)


def test_wordings_are_lines_and_what_is_none_is_told() -> None:
    assert wordings("kitty = cat\n\n  猫=cat \nx = y = z") == [("kitty", "cat"), ("猫", "cat"), ("x", "y = z")]
    for said in ("kitty", "kitty =", "= cat"):
        with pytest.raises(ProblemError) as caught:
            wordings(said)
        (problem,) = caught.value.problems
        assert (problem.code, problem.port, problem.value) == ("bad_wording", "wordings", said)


def test_what_is_new_differs_in_the_new_words_alone() -> None:
    lessons = Lessons(tiny_sets.image_set(), None, SETTINGS)
    counted = worded = 0
    for step in range(40):
        new = lessons.new(step, 4)
        assert new == lessons.new(step, 4)
        for said, meant in new:
            if "kitty" in said:
                worded += 1
                assert said.replace("kitty", "cat") == meant
            else:
                counted += 1
                assert said != meant
                (name,) = [name for name in tiny_sets.NAMES if name in meant.split(", ")[0].split()]
                assert name not in said.split(",")[0].split()
                assert len(set(meant.split()) - set(said.split())) <= 2, "the name, and the number of a digit"
    assert counted > 40
    assert worded > 40


def test_captions_that_keep_their_meaning_are_of_both_sets() -> None:
    images = tiny_sets.image_set()
    own = replace(
        images,
        subjects={key: {**one, "names": ["pair"]} for key, one in images.subjects.items()},
        entries=tuple({**entry, "style": -1} for entry in images.entries),
    )
    held = Lessons(images, own, SETTINGS).held(3, 60)
    assert held == Lessons(images, own, SETTINGS).held(3, 60)
    assert 15 < held.count("pair") < 45
    assert "pair" not in Lessons(images, None, SETTINGS).held(3, 60)


def test_a_word_is_a_whole_one_in_the_names_that_have_it_or_else_alone() -> None:
    images = tiny_sets.image_set()
    names = {"0": "catfish", "1": "Cat with a hat"}
    images = replace(
        images, subjects={key: {**one, "names": [names.get(key, "sky")]} for key, one in images.subjects.items()}
    )
    lessons = Lessons(images, None, replace(SETTINGS, wordings=r"\1 = cat", counted=0.0))
    assert all(r"\1 with a hat" in one.said for one in lessons.new(0, 50))
    alone = Lessons(images, None, replace(SETTINGS, wordings="hound = dog", counted=0.0))
    assert all("hound" in one.said and "dog" in one.meant for one in alone.new(0, 50))


def test_captions_of_ones_own_get_no_ground() -> None:
    images = tiny_sets.image_set()
    images = replace(images, entries=tuple({**entry, "style": -1} for entry in images.entries))
    lessons = Lessons(images, None, replace(SETTINGS, counted=0.0))
    assert set(lessons.new(0, 9)) == {("kitty", "cat")}
    assert set(lessons.held(0, 9)) <= set(tiny_sets.NAMES)


@pytest.mark.parametrize(
    ("names", "settings", "said"),
    [
        ({}, {"wordings": " \n", "counted": 0.0}, ("nothing_to_learn", "wordings")),
        ({}, {"wordings": "kitty: cat"}, ("bad_wording", "wordings")),
        ({"names": ["trousers"]}, {"wordings": "", "counted": 0.5}, ("nothing_to_learn", "counted")),
    ],
)
def test_what_cannot_be_learned_is_told_at_once(
    names: dict[str, Any], settings: dict[str, Any], said: tuple[str, str]
) -> None:
    images = tiny_sets.image_set()
    images = replace(images, subjects={key: {**one, **names} for key, one in images.subjects.items()})
    with pytest.raises(ProblemError) as caught:
        Lessons(images, None, replace(SETTINGS, **settings)).new(0, 1)
    (problem,) = caught.value.problems
    assert (problem.code, problem.port) == said


def test_it_learns_new_words_and_keeps_the_old(run: Callable[..., Any], home: Path) -> None:
    settings = {"model": "tiny", "rank": 8, "batch": 8, "learning_rate": 1e-2, "kept": 4, "prompts": ["a"]}
    _, events = run("words", wordings="kitty = cat", counted=0.0, updates=100, name="kitty", **settings)
    curves = [event.curve for event in events if isinstance(event, NodeProgress) and event.curve]
    losses = [value for _, value in curves[-1]]
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])
    ctx = BenchContext(models=offline_store(home))
    parts = models.load(model="tiny", ctx=ctx)
    taught = loras.apply_lora(parts.model, parts.text, lora="kitty", ctx=ctx).text

    def states(encoder: Any, prompt: str) -> torch.Tensor:
        (one,) = text.encode(encoder, text=prompt, ctx=ctx).prompts
        return torch.cat([tensor.flatten().float() for tensor in one.tensors.values()])

    known = states(parts.text, "cat")
    before, after = (float((states(encoder, "kitty") - known).norm()) for encoder in (parts.text, taught))
    assert after < 0.5 * before, (after, before)
    assert float((states(taught, "a house") - states(parts.text, "a house")).norm()) < 0.4 * before
