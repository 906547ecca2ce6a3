"""Images of several things: as many as said, in the colour that is said, where it is said."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import tiny_sets
from node_bench import BenchContext
from safelight.sdk import ProblemError
from safelight_nodes import dataset
from safelight_nodes._training.captions import PALETTE, nearest_colour, with_article
from safelight_nodes._training.composing import NUMBERS, PAINTS, bare, painted, plural
from safelight_nodes.training_values import ImageSet


def _discs() -> ImageSet:
    """An apple and a book: a disc and a square of 40 of 64 pixels, grey, on nothing."""
    pixels = torch.zeros(2, 64, 64, 4, dtype=torch.uint8)
    grid = torch.arange(64) - 31.5
    pixels[0, (grid[:, None] ** 2 + grid**2) < 400] = torch.tensor([150, 150, 150, 255], dtype=torch.uint8)
    pixels[1, 12:52, 12:52] = torch.tensor([90, 90, 90, 255], dtype=torch.uint8)
    subjects = {name: {"names": [name], "keywords": [], "weight": 1.0} for name in ("apple", "book")}
    entries = ({"subject": "apple", "style": 0}, {"subject": "book", "style": 0})
    return ImageSet(pixels, entries, subjects, torch.full((2,), 0.5, dtype=torch.float64))


def _seen(pixels: torch.Tensor) -> list[tuple[int, int, int]]:
    """What stands out of the ground: middle (right, down) of each spot, and the palette's number of its colour."""
    rgb = pixels[..., :3].numpy().astype(int)
    apart = (np.abs(rgb - rgb[0, 0]).sum(-1) > 60).astype(np.uint8)
    count, marks, stats, middles = cv2.connectedComponentsWithStats(apart)
    found = [number for number in range(1, count) if stats[number, cv2.CC_STAT_AREA] > 60]
    return [
        (*middles[number].astype(int), nearest_colour(np.median(rgb[marks == number], axis=0).tolist()))
        for number in found
    ]


def test_there_are_as_many_as_the_caption_says() -> None:
    made = dataset.compose(_discs(), count=60, counted=1.0, paired=0.0, painted=0.0, seed=3, ctx=BenchContext())
    for number, pixels in enumerate(made.pixels):
        for said in made.subjects[str(number)]["names"]:
            match = re.match(rf"({'|'.join(NUMBERS)}) (?:3d )?(apples|books)\b", said)
            assert match, said
            assert len(_seen(pixels)) == NUMBERS.index(match[1]) + 2, said


def test_things_that_keep_their_size_stand_in_larger_images() -> None:
    """Each is there to the pixel, a whole or half side away from the others, and nothing else."""
    given, side = _discs(), 64
    alpha = given.pixels[..., 3].float() / 255
    made = dataset.compose(given, count=80, counted=0.5, paired=0.4, painted=0.0, grow=True, seed=3, ctx=BenchContext())
    shapes: set[tuple[int, int, int]] = set()
    for number, subject in enumerate(made.subjects.values()):
        image = made.alone(number)[..., :3].float()
        ground = image[0, 0].clone()
        if any(abs(float(ground.sum()) - 3 * tone) <= 90 for tone in (90, 150)):
            continue  # nothing would stand out
        spots = _seen(made.alone(number))
        said = subject["names"][0].split()[0]
        assert len(spots) == (NUMBERS.index(said) + 2 if said in NUMBERS else len(spots))
        shapes.add((image.shape[0] // side, image.shape[1] // side, len(spots)))
        for right, down, _ in spots:
            top, left = (round((middle - 31.5) / 32) * 32 for middle in (down, right))
            there = image[top : top + side, left : left + side]
            grey = [150.0, 90.0]
            laid = [
                tone * one[..., None] + ground * (1 - one[..., None]) for tone, one in zip(grey, alpha, strict=True)
            ]
            assert min(float((there - one).abs().max()) for one in laid) <= 1
    assert shapes == {(1, 1, 1), (1, 2, 2), (2, 1, 2), (2, 2, 3), (2, 2, 4)}


def test_what_is_painted_has_the_colour_and_two_stand_where_it_is_said() -> None:
    made = dataset.compose(_discs(), count=60, counted=0.0, paired=1.0, painted=1.0, seed=5, ctx=BenchContext())
    names = [names[0] for names in PALETTE]
    above = 0
    for number, pixels in enumerate(made.pixels):
        said = made.subjects[str(number)]["names"][0]
        match = re.match(r"an? (\w+) (\w+) (and|above|next to|left of|beside) an? (\w+) (\w+)", said)
        assert match, said
        first, kind, second = match[1], match[3], match[4]
        by_down = kind == "above"
        above += by_down
        spots = sorted(_seen(pixels), key=lambda spot: spot[1] if by_down else spot[0])
        assert [names[spot[2]] for spot in spots] == [first, second], said
        assert {match[2], match[5]} == {"apple", "book"}
    assert 5 < above < 30


def test_the_rest_shows_one_and_the_same_seed_gives_the_same() -> None:
    given = tiny_sets.image_set(16)
    first, again, other = (
        dataset.compose(given, count=8, counted=0.0, paired=0.0, seed=seed, ctx=BenchContext()) for seed in (1, 1, 2)
    )
    assert torch.equal(first.pixels, again.pixels)
    assert first.subjects == again.subjects
    assert not torch.equal(first.pixels, other.pixels)
    assert first.pixels.shape == (8, 16, 16, 4)
    assert bool((first.pixels[..., 3] == 255).all())
    assert not any(re.match("two|three|four", said) for entry in first.subjects.values() for said in entry["names"])


def test_what_is_not_counted_becomes_no_pair() -> None:
    given = _discs()
    rice = replace(given, subjects=given.subjects | {"book": {"names": ["rice"], "keywords": [], "weight": 1.0}})
    made = dataset.compose(rice, count=30, counted=1.0, paired=0.0, painted=0.0, seed=1, ctx=BenchContext())
    said = {entry["names"][0] for entry in made.subjects.values()}
    assert all(" apples" in text for text in said), said
    nothing = replace(given, subjects={key: {"names": ["rice"], "keywords": []} for key in given.subjects})
    made = dataset.compose(nothing, count=10, counted=1.0, paired=0.0, painted=0.0, seed=1, ctx=BenchContext())
    assert all("rice" in entry["names"][0] and " and " not in entry["names"][0] for entry in made.subjects.values())


@pytest.mark.parametrize("grey", [20, 90, 150, 200, 235, 255])
@pytest.mark.parametrize("paint", PAINTS)
def test_a_painted_image_is_of_that_colour_at_its_middle_brightness(paint: str, grey: int) -> None:
    names = [names[0] for names in PALETTE]
    pixels = _discs().pixels[0].clone()
    pixels[..., :3] = grey
    made = painted(pixels, paint)
    inside = made[31, 31, :3]
    assert names[nearest_colour(inside.tolist())] == paint
    assert torch.equal(made[..., 3], _discs().pixels[0][..., 3])


def test_plurals_are_those_of_speech() -> None:
    said = {
        "apple": "apples",
        "strawberry": "strawberries",
        "fox": "foxes",
        "mouse": "mice",
        "slice of pizza": "slices of pizza",
        "glass of wine": "glasses of wine",
        "red car": "red cars",
        "key": "keys",
        "fish": "fish",
    }
    assert {name: plural(name) for name in said} == said
    uncounted = ("cherries", "rice", "glasses", "t-rex", "15", "a dog", "cat, red background", "گل", "")
    assert [plural(name) for name in uncounted] == [None] * len(uncounted)


def test_a_name_loses_the_colour_that_it_begins_with() -> None:
    said = {"red apple": "apple", "Light blue heart": "heart", "hot pink flower": "flower", "redwood": "redwood"}
    assert {name: bare(name) for name in said} == said
    assert [with_article(name) for name in ("apple", "Apple", "a dog", "glasses", "")] == [
        "an apple",
        "an Apple",
        "a dog",
        "glasses",
        "",
    ]


def test_what_cannot_be_composed_is_told() -> None:
    opaque = _discs()
    pixels = opaque.pixels.clone()
    pixels[..., 3] = 255
    with pytest.raises(ProblemError) as caught:
        dataset.compose(replace(opaque, pixels=pixels), count=1, ctx=BenchContext())
    assert caught.value.problems[0].code == "nothing_transparent"
    unnamed = replace(_discs(), subjects=_discs().subjects | {"apple": {"names": [" "], "keywords": []}})
    alone = replace(_discs(), subjects={key: {"names": ["cup"], "keywords": []} for key in _discs().subjects})
    for given, said in ((unnamed, ("no_captions", "images")), (alone, ("too_few_images", "paired"))):
        with pytest.raises(ProblemError) as caught:
            dataset.compose(given, count=1, ctx=BenchContext())
        assert (caught.value.problems[0].code, caught.value.problems[0].port) == said
    with pytest.raises(ProblemError) as caught:
        dataset.compose(_discs(), count=1, counted=0.6, paired=0.6, ctx=BenchContext())
    assert (caught.value.problems[0].code, caught.value.problems[0].port) == ("bad_value", "paired")


@pytest.mark.parametrize("name", ["colors", "several"])
def test_a_model_learns_from_them_by_a_workflow(name: str, home: Path, run: Callable[..., Any]) -> None:
    given = {"updates": 2, "batch": 1, "images": 8, "counted": 0.3, "paired": 0.3, "prompts": ["two cats", "a dog"]}
    outcome, _ = run(name, model="tiny", name=f"{name}_learned", grow=True, **given)
    assert {"curve", "sheet"} <= set(outcome.outputs)
    assert list((home / "models" / f"{name}_learned").rglob("*.safetensors"))
