"""Image sets: in order, drawn as they weigh, changed where that is allowed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tiny_sets
from node_bench import BenchContext
from safelight.sdk import ProblemError
from safelight_nodes import dataset
from safelight_nodes._training.images import Drawer
from safelight_nodes.training_values import ImageSet


def test_a_folder_with_captions_is_read_in_the_order_of_its_file(tmp_path: Path) -> None:
    for name, colour in (("b.png", "red"), ("a.png", "blue")):
        Image.new("RGB", (40, 24), colour).save(tmp_path / name)
    lines = [{"file_name": "b.png", "text": "something red"}, {"file_name": "a.png", "text": ["blue", "a blue one"]}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    found = dataset.image_folder(captions="metadata.jsonl", size=16, ctx=BenchContext(folder=tmp_path))
    assert found.pixels[:, 8, 8].tolist() == [[255, 0, 0, 255], [0, 0, 255, 255]]
    said = set(Drawer(found, 0).captions(0, 60))
    assert said == {"something red", "blue", "a blue one"}


def test_every_bad_line_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "gone.png", "text": "x"}\nnonsense\n{"text": "no name"}\n')
    with pytest.raises(ProblemError) as caught:
        dataset.image_folder(captions="metadata.jsonl", size=16, ctx=BenchContext(folder=tmp_path))
    assert [problem.code for problem in caught.value.problems] == [
        "file_missing",
        "bad_caption_line",
        "bad_caption_line",
    ]


def test_an_index_that_does_not_fit_its_pixels_is_a_problem(tmp_path: Path) -> None:
    tiny_sets.write(tmp_path)
    np.save(tmp_path / "emoji" / "images.npy", np.zeros((2, 8, 8, 4), np.uint8))
    with pytest.raises(ProblemError) as caught:
        dataset.image_set(ctx=BenchContext(folder=tmp_path))
    assert caught.value.problems[0].code == "bad_image_set"


def test_images_are_drawn_as_often_as_they_weigh() -> None:
    images = dataset.weigh(tiny_sets.image_set(16), common=0.5)
    numbers = Drawer(images, 1).numbers(np.random.default_rng(0), 4000)
    common = np.array([images.subjects[entry["subject"]]["common"] for entry in images.entries])
    assert 0 < common.mean() < 1
    assert 0.46 < common[numbers].mean() < 0.54
    assert Drawer(images, 1).captions(3, 5) == Drawer(images, 1).captions(3, 5)
    assert Drawer(images, 1).captions(3, 5) != Drawer(images, 1).captions(4, 5)


def test_copies_are_mirrored_only_where_their_subject_allows_it() -> None:
    images = tiny_sets.image_set(32)
    lopsided = images.pixels.clone()
    lopsided[:, :, :12] = 0
    subjects = {key: {**subject, "mirror": key == "0"} for key, subject in images.subjects.items()}
    images = dataset.ImageSet(lopsided, images.entries, subjects, images.weights)
    still = {"shift": 0.0, "scale": 0.0, "turn": 0.0, "copies": 1, "flip": 1.0}
    made = dataset.augment(images, **still, ctx=BenchContext())
    first, second = made.pixels[: len(lopsided)], made.pixels[len(lopsided) :]
    assert torch.equal(first, lopsided)
    for number, entry in enumerate(images.entries):
        wanted = lopsided[number].flip(1) if entry["subject"] == "0" else lopsided[number]
        assert (second[number][..., 3].int() - wanted[..., 3].int()).abs().max() <= 1
    assert made.weights.sum() == pytest.approx(1)
    again = dataset.augment(images, **still, ctx=BenchContext())
    assert torch.equal(made.pixels, again.pixels)


def test_a_contact_sheet_shows_rows_and_columns() -> None:
    sheet = dataset.contact_sheet(tiny_sets.image_set(16), columns=4, rows=2)
    assert sheet.pixels.shape == (1, 32, 64, 3)


def test_images_that_are_drawn_seldom_are_encoded_over_fewer_backgrounds() -> None:
    from safelight_nodes._training.latents import shares

    weights = torch.tensor([0.6, 0.2, 0.1, 0.0], dtype=torch.float64)
    assert shares(weights, 23) == [23, 23, 12, 4]
    assert shares(weights, 2) == [2, 2, 2, 2]
    assert shares(torch.ones(2) / 2, 1) == [1, 1]


def test_a_set_from_before_subjects_were_marked_says_so() -> None:
    images = tiny_sets.image_set(16)
    old = {key: {name: item for name, item in one.items() if name != "common"} for key, one in images.subjects.items()}
    with pytest.raises(ProblemError, match="earlier release"):
        dataset.weigh(replace(images, subjects=old), common=0.5)
    assert dataset.weigh(replace(images, subjects=old)).weights.sum() == pytest.approx(1)


def _with_keywords() -> ImageSet:
    images = tiny_sets.image_set(16)
    subjects = images.subjects.items()
    told = {key: {**one, "keywords": ["education"] if one["slug"] == "sky" else []} for key, one in subjects}
    return replace(images, subjects=told)


def test_images_are_selected_by_words_and_style() -> None:
    images = _with_keywords()

    def names(**asked: Any) -> set[str]:
        found = dataset.select(images, **asked)
        return {found.subjects[entry["subject"]]["names"][0] for entry in found.entries}

    assert names(words="cat") == {"cat"}, "a word is a whole word: education holds no cat"
    assert names(words="SKY , dog") == {"sky", "dog"}
    assert names(words="animals & nature", without="cat, dog") == {"apple", "sky", "tree", "house"}
    found = dataset.select(images, style=2)
    assert [entry["style"] for entry in found.entries] == [1] * 6
    assert float(found.weights.sum()) == pytest.approx(1)
    # A cat weighs twice as much, and still does among the others.
    cat = next(place for place, entry in enumerate(found.entries) if found.subjects[entry["subject"]]["slug"] == "cat")
    assert float(found.weights[cat] / found.weights[cat - 1]) == pytest.approx(2)
    with pytest.raises(ProblemError) as caught:
        dataset.select(images, words="submarine")
    assert caught.value.problems[0].code == "nothing_selected"


def test_a_split_is_by_subject_and_leaves_nothing_out() -> None:
    images = tiny_sets.image_set(16)
    parts = [
        dataset.select(images, held_out=0.5, part="training"),
        dataset.select(images, held_out=0.5, part="held_out"),
    ]
    first, second = ({entry["subject"] for entry in part.entries} for part in parts)
    assert not first & second
    assert len(parts[0].entries) + len(parts[1].entries) == len(images.entries)
    # It depends on nothing else that is selected.
    flat = dataset.select(images, style=1, held_out=0.5, part="held_out")
    assert {entry["subject"] for entry in flat.entries} == second


def test_a_color_takes_the_place_of_what_is_transparent() -> None:
    images = tiny_sets.image_set(16)
    found = dataset.select(images, on_color=True, color="#ff8000")
    assert bool((found.pixels[..., 3] == 255).all())
    clear = images.pixels[..., 3] == 0
    assert found.pixels[..., :3][clear].unique(dim=0).tolist() == [[255, 128, 0]]
    assert torch.equal(found.pixels[~clear], images.pixels[~clear])


def test_images_of_different_sizes_keep_theirs() -> None:
    images = tiny_sets.image_set(16)
    sizes = tuple((16, 8 + number % 2) for number in range(len(images.entries)))
    images = replace(images, sizes=sizes)
    some = dataset.select(images, style=1)
    told = [size for entry, size in zip(images.entries, sizes, strict=True) if entry["style"] == 0]
    assert some.sizes == tuple(told)
    train, held = dataset.split(images)
    assert len(train.sizes) == len(train.entries) and len(held.sizes) == len(held.entries)
