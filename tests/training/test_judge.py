"""The judge's pieces: colour differences, features, the fairness of the gallery, the choice of prompts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training.judge import features, gallery, inpainting, motion, prompts, report, scores

SUBJECTS = {
    "1": {"slug": "cat", "group": "Animals & Nature", "names": ["cat", "cat"], "keywords": []},
    "2": {"slug": "cat_face", "group": "Animals & Nature", "names": ["cat face", "cat", "kitten"], "keywords": []},
    "3": {"slug": "rocket", "group": "Travel & Places", "names": ["rocket", "rocket"], "keywords": []},
    "4": {"slug": "flag_norway", "group": "Flags", "names": ["flag norway"], "keywords": []},
}
INDEX = {"subjects": SUBJECTS, "images": [{"subject": k, "style": s} for k in SUBJECTS for s in range(3)]}


def _images() -> np.ndarray:
    """(N, 128, 128, 4): a disc, ring or bar of its own colour in the middle, clear around it."""
    rng = np.random.default_rng(3)
    found = np.zeros((len(INDEX["images"]), 128, 128, 4), np.uint8)
    y, x = np.mgrid[:128, :128] - 64
    for image in found:
        angle, size = rng.uniform(0, np.pi), rng.integers(12, 50)
        across = np.abs(np.cos(angle) * x + np.sin(angle) * y)
        inside = (np.hypot(x, y) < 55) & (across < size)
        image[inside] = (*rng.integers(0, 256, 3), 255)
    return found


def _over(image: np.ndarray, rgb: tuple[float, float, float]) -> np.ndarray:
    alpha = image[..., 3:].astype(np.float32) / 255
    return image[..., :3] / np.float32(255) * alpha + np.array(rgb, np.float32) * (1 - alpha)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((128 / 255,) * 3, (53.59, 0, 0)),
    ],
)
def test_lab_of_known_colours(rgb: tuple[float, ...], lab: tuple[float, ...]):
    assert features.lab(np.array([rgb], np.float32))[0] == pytest.approx(lab, abs=0.06)


def test_colour_difference_of_known_pairs():
    white, black, red = (np.array([c], np.float32) for c in ((1, 1, 1), (0, 0, 0), (1, 0, 0)))
    assert features.delta_e(white, black)[0] == pytest.approx(100, abs=0.05)
    assert features.delta_e(red, red)[0] == 0
    assert features.delta_e(red, black)[0] == pytest.approx(np.sqrt(53.24**2 + 80.09**2 + 67.20**2), abs=0.1)


def test_features_over_a_colour_are_those_of_the_composited_image():
    images = _images()
    rgb = (0.2, 0.7, 0.4)
    quick = features.Clear(images).describe(rgb)
    slow = features.describe_images(np.stack([_over(image, rgb) for image in images]))
    assert np.abs(quick[0] - slow[0]).max() < 0.02
    assert np.abs(quick[1] - slow[1]).max() < 0.01


def test_gradient_histogram_tells_directions_apart_and_not_their_sign():
    rising = np.tile(np.linspace(0, 1, features.EDGE, dtype=np.float32), (features.EDGE, 1))
    both = features.describe(np.zeros((3, 16, 16, 3), np.float32), np.stack([rising, rising[:, ::-1], rising.T]))[1]
    assert both[0] @ both[1] > 0.99
    assert both[0] @ both[2] < 0.01


def test_an_identical_image_is_the_nearest_on_every_ground(tmp_path: Path):
    images = _images()
    shown = gallery.Gallery(images, INDEX, tmp_path)
    asked = prompts.prompts(SUBJECTS, INDEX["images"], prompts.every(SUBJECTS), 9)
    assert len(asked) == 9
    made = []
    for one in asked:
        number = next(n for n, p in enumerate(INDEX["images"]) if p["style"] == one.style and p["subject"] in one.right)
        made.append(_over(images[number], gallery.ground(one.colour)))
    found = scores.judge(made, asked, shown, None)
    assert [one.plain_rank for one in found] == [1] * 9
    assert all(one.corner < 0.5 for one in found)
    total = scores.Scores.of(found)
    assert (total.plain, total.background, total.clip) == (1, 1, None)


def test_random_prompts_are_those_of_their_seed_and_no_subject_comes_twice_in_a_style():
    given = (SUBJECTS, INDEX["images"], prompts.every(SUBJECTS), 6)
    asked = prompts.at_random(*given, seed=3)
    assert asked == prompts.at_random(*given, seed=3) != prompts.at_random(*given, seed=4)
    assert len({(one.style, one.name) for one in asked}) == 6
    assert all(one.right and one.name in one.text for one in asked)
    assert len(prompts.at_random(*given[:3], 100, seed=3)) == 9


def test_another_subject_is_not_taken_for_the_right_one(tmp_path: Path):
    images = _images()
    shown = gallery.Gallery(images, INDEX, tmp_path)
    asked = prompts.prompts(SUBJECTS, INDEX["images"], prompts.every(SUBJECTS), 9)
    rocket = next(one for one in asked if one.name == "rocket")
    cat = next(n for n, p in enumerate(INDEX["images"]) if p["style"] == rocket.style and p["subject"] == "1")
    found = scores.judge([_over(images[cat], gallery.ground(rocket.colour))], [rocket], shown, None)
    assert found[0].plain_rank > 1


def test_the_farthest_corner_counts():
    image = np.full((64, 64, 3), 0.5, np.float32)
    assert features.corner_distance(image, (0.5, 0.5, 0.5)) == 0
    image[-4:, :4] = (1, 1, 1)
    assert features.corner_distance(image, (0.5, 0.5, 0.5)) > 40


def test_blurred_images_are_less_sharp():
    made = [np.random.default_rng(1).random((8, 8, 3), np.float32)]
    flat = [(one + np.roll(one, 1, 1)) / 2 for one in made]
    assert 0 < scores.sharpness(flat) < scores.sharpness(made)
    step = np.zeros((4, 4, 3), np.float32)
    step[2:] = 1.0
    assert scores.sharpness([step]) == pytest.approx(1 / 3)


def test_prompts_are_fixed_and_a_few_are_the_first_of_many():
    names = prompts.every(SUBJECTS)
    many = prompts.prompts(SUBJECTS, INDEX["images"], names, 9)
    assert prompts.prompts(SUBJECTS, INDEX["images"], names, 4) == many[:4]
    assert len({(one.style, one.name) for one in many}) == len(many)
    assert not any("flag" in one.text for one in many)


def test_a_name_is_right_for_every_subject_that_bears_it():
    asked = prompts.prompts(SUBJECTS, INDEX["images"], prompts.frequent(SUBJECTS))
    assert {one.name for one in asked} == {"cat", "rocket"}
    assert len(asked) == 6
    assert next(one for one in asked if one.name == "cat").right == {"1", "2"}


def test_unseen_grounds_keep_away_from_the_palette():
    found = scores.unseen_grounds(40, np.random.default_rng(0)).astype(np.float32) / 255
    palette = np.array(gallery.GROUNDS, np.float32) / 255
    assert features.delta_e(found[:, None], palette[None]).min() > 10


def test_history_grows_by_a_row_below_its_table(tmp_path: Path):
    path = tmp_path / "scores.md"
    path.write_text("# Scores\n")
    full = scores.Scores(200, 0.625, 0.41, 0.96)
    for note in ("first", "second | better"):
        report.remember(path, report.line(27.123, full, scores.Scores(200, None, 0.4, 0.9), note))
    lines = path.read_text().splitlines()
    assert lines[-2].endswith("| 27.12 | 62.5 % | 41.0 % | 96.0 % | -, 40.0 %, 90.0 % | first |")
    assert lines[-1].endswith("second / better |")
    assert sum(line.startswith("| date") for line in lines) == 1


def test_the_painter_makes_the_same_images_in_any_batch():
    pytest.importorskip("torch")
    from training.judge.painter import Painter, Settings

    starter = Path(__file__).parents[2] / "server" / "safelight" / "starter"
    if not (starter / "unet").is_dir():
        pytest.skip("the starter model is not in this checkout")
    settings = Settings(steps=2)
    with Painter(starter) as painter:
        both = painter.paint(["a cat", "a red apple"], 7, settings)
        alone = painter.paint(["a red apple"], 8, settings)
        other = painter.paint(["a green frog", "a blue car"], 99, Settings(steps=6))
        again = painter.paint(["a cat", "a red apple"], 7, settings)
        kept = painter.reconstruct(both)
    assert both.shape == (2, 128, 128, 3)
    assert np.abs(both[1] - alone[0]).mean() < 0.02
    assert kept.shape == both.shape
    assert np.abs(other - both).mean() > 0.05, "a call does not go on with the one before"
    assert np.abs(again - both).max() < 1e-6


def test_a_row_goes_into_its_own_table(tmp_path: Path):
    path = tmp_path / "scores.md"
    full = scores.Scores(200, 0.625, 0.41, 0.96)
    report.remember(path, report.line(27.0, full, None, "a model"))
    report.remember(path, "| 1 | 2 |\n", "| one | two |\n")
    report.remember(path, report.line(28.0, full, None, "another"))
    report.remember(path, "| 3 | 4 |\n", "| one | two |\n")
    text = path.read_text()
    assert text.endswith("\n\n| one | two |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n")
    assert text.index("| 27.00 |") < text.index("| 28.00 |") < text.index("| one |")


def _lines(*places: int) -> np.ndarray:
    found = np.zeros((64, 64, 3), np.float32)
    for place in places:
        found[place, 8:56] = 1
    return found


def test_edges_are_alike_within_a_pixel_and_no_farther():
    from training.judge.control import likeness

    assert likeness(_lines(20, 40), _lines(20, 40)) == 1
    assert likeness(_lines(21, 40), _lines(20, 40)) > 0.98
    assert likeness(_lines(23, 43), _lines(20, 40)) == 0
    # Half of what was wanted is there, and all that is there was wanted: precision 1, recall 1/2.
    assert likeness(_lines(20), _lines(20, 40)) == pytest.approx(2 / 3)
    assert likeness(_lines(), _lines(20)) == 0
    assert likeness(_lines(), _lines()) == 1


def _on_white(*spots: tuple[int, int, int, tuple[float, float, float]]) -> np.ndarray:
    """(128, 128, 3) in 0..1: squares on white, each by its middle (down, right), its side and its colour."""
    image = np.full((128, 128, 3), 0.99, np.float32)
    for down, right, side, colour in spots:
        image[down - side // 2 : down + side // 2, right - side // 2 : right + side // 2] = colour
    return image


RED, BLUE = (0.86, 0.16, 0.16), (0.18, 0.39, 0.86)


def test_a_shape_is_compared_with_what_stands_out():
    from training.judge.control import mean_overlap

    white = np.zeros((1, 128, 128, 3), np.float32)
    white[0, 32:96, 32:96] = 1
    assert mean_overlap(_on_white((64, 64, 64, RED))[None], white) == 1
    # Half of it aside: a half in common, of one and a half.
    assert mean_overlap(_on_white((64, 96, 64, RED))[None], white) == pytest.approx(1 / 3)
    assert mean_overlap(_on_white()[None], white) == 0


def test_things_in_an_image_are_counted_and_their_colours_told():
    from training.judge.several import alone, colour_of, framed, halves, spots

    two = _on_white((64, 32, 40, RED), (64, 96, 40, BLUE))
    assert len(spots(two)) == 2
    assert [colour_of(half) for half in halves(two)] == ["red", "blue"]
    assert [colour_of(one) for one in alone(two)] == ["red", "blue"]
    assert all(len(spots(one)) == 1 for one in alone(two))
    # A leaf that came loose is no second apple; dust is nothing.
    assert len(spots(_on_white((64, 64, 60, RED), (20, 64, 16, RED), (110, 110, 4, BLUE)))) == 1
    assert spots(_on_white()) == []
    # Framed, a small thing in a corner is the same as a large one in the middle.
    assert np.allclose(framed(_on_white((30, 30, 20, RED))), framed(_on_white((64, 64, 80, RED))), atol=0.02)


def test_colours_that_are_apart_are_told():
    from training.judge.reference import apart

    white, black = np.ones((2, 64, 64, 3), np.float32), np.zeros((2, 64, 64, 3), np.float32)
    assert apart(white, white) == 0
    assert apart(white, black) == pytest.approx(100, abs=0.1)


def test_held_images_are_of_subjects_that_the_workflows_hold_back(tmp_path: Path):
    from training.judge.held import SEED, SHARE, held

    import tiny_sets
    from safelight_nodes._training.images import parted

    folder = tiny_sets.write(tmp_path) / "emoji"
    index = json.loads((folder / "images.json").read_text())
    for said in index["subjects"].values():
        said["names"] *= 2  # the official and the everyday one
    (folder / "images.json").write_text(json.dumps(index))
    kept = parted(tiny_sets.image_set(), SHARE, SEED)[1]
    names = {said["names"][0] for said in kept.subjects.values()}
    given = held(folder, 60)
    assert len(given) == len(kept.entries)
    assert {one.text.split(",")[0].split(" ", 1)[1] for one in given} == names
    assert all(np.abs(one.image - one.moved).mean() > 0.01 for one in given)
    assert given[0].image.shape == (64, 64, 3)
    common = prompts.frequent(index["subjects"]).values()
    assert not {one.text.split(",")[0].split(" ", 1)[1] for one in held(folder, 60, rare=True)} & set(common)


def test_a_caption_is_right_when_it_says_the_whole_name():
    from training.judge.captioner import Shown, judged

    image = np.zeros((8, 8, 3), np.float32)
    cat = frozenset({"cat face", "cat", "kitten"})
    shown = [Shown(image, cat, 0, 4), Shown(image, cat, 1, 4), Shown(image, cat, 2, 0), Shown(image, cat, 2)]
    found = judged(
        shown, ["3d cat, red background", "3d kitten, blue background", "drawn cat tree, white background", "cat"]
    )
    assert (found.count, found.subject, found.style) == (4, 0.75, 0.5)
    assert found.background == pytest.approx(2 / 3)
    assert judged(shown[3:], ["drawn cat"]).background is None


def test_images_to_caption_are_as_training_never_shows_them():
    from training.judge.captioner import elsewhere, plain

    images = _images()
    still, moved = plain(images, INDEX, 0), elsewhere(images, INDEX, 0, True)
    assert len(still) == len(moved) == 9, "the flag has no everyday name"
    assert all("cat" in one.names or "rocket" in one.names for one in still)
    for one, given in zip(still, images, strict=False):
        ground = one.image[0, 0]
        assert all(features.delta_e(ground, np.array(known, np.float32) / 255) > 10 for known in gallery.GROUNDS)
        inside = given[..., 3] == 255
        assert np.abs(one.image[inside] - given[inside][:, :3] / np.float32(255)).max() < 1e-5
    for one, given in zip(moved, images, strict=False):
        corners = one.image[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert features.delta_e(corners[0], corners[3]) > 1, "a ramp"
        assert one.image.shape == (*given.shape[:2], 3)
    again = elsewhere(images, INDEX, 0, True)
    assert all(np.array_equal(one.image, other.image) for one, other in zip(moved, again, strict=True))
    assert len(plain(images, INDEX, 4)) == 4
    for one, there in zip(elsewhere(images, INDEX, 0, False), moved, strict=True):
        assert np.abs(one.image[0, 0] - one.image[-1, -1]).max() < 1e-6, "one colour"
        assert np.abs(one.image - there.image).mean() > 0.01


def test_an_upscaler_is_judged_by_held_out_images(tmp_path: Path):
    """A network that is bicubic scaling gains nothing."""
    from types import SimpleNamespace

    import torch
    from PIL import Image
    from training.judge.upscaler import draw, gain, judged, seconds

    from safelight_nodes._training.upscaler.degradation import enlarged

    np.save(tmp_path / "images.npy", _images())
    (tmp_path / "images.json").write_text(json.dumps(INDEX))

    class Plain(SimpleNamespace):
        def __call__(self, pixels):
            return enlarged(pixels.movedim(-1, 1), self.scale).movedim(1, -1)

    found = judged({"float32": Plain(scale=2), "bfloat16": Plain(scale=2)}, tmp_path, 0, None)
    assert sorted({one.style for one in found}) == [0, 1, 2]
    assert gain(found) == 0
    assert all(one.bicubic > 15 for one in found)
    assert seconds(Plain(scale=2), 16) > 0
    draw([[torch.rand(1, 3, 128, 128)] * 3] * 2, tmp_path / "sheet.png", 64)
    assert Image.open(tmp_path / "sheet.png").size == (192, 128)


def test_a_hole_is_the_box_around_a_subject_or_its_lower_half():
    subject = np.zeros((40, 50), np.float32)
    subject[10:30, 20:31] = 1
    whole, half = inpainting.box(subject, 0.0), inpainting.box(subject, 0.5)
    assert set(np.unique(whole)) == {0.0, 1.0}
    assert whole[6:34, 16:35].all() and whole.sum() == 28 * 19
    assert half[20:34, 16:35].all() and half.sum() == 14 * 19
    subject[:, 0] = 1
    assert inpainting.box(subject, 0.0)[:, 0].all(), "it ends with the image"


def test_the_difference_across_an_edge_is_that_of_neighbours_on_either_side():
    masks = np.zeros((1, 8, 8), np.float32)
    masks[:, 2:5, 3:6] = 1
    images = np.full((1, 8, 8, 3), 0.5, np.float32)
    assert inpainting.across(images, masks) == 0
    images[:, 0] = 1.0
    assert inpainting.across(images, masks) == 0, "other edges do not count"
    images[masks > 0] = 0.0
    black, grey = (np.full((1, 3), value, np.float32) for value in (0.0, 0.5))
    assert inpainting.across(images, masks) == pytest.approx(float(features.delta_e(black, grey)[0]), rel=1e-4)


def test_a_hop_is_seen_and_what_stays_or_changes_is_told(tmp_path: Path):
    """A loop is in place and always the same subject; of one that stands still no frame is, and another subject is
    another."""
    images = _images()
    (asked,) = prompts.prompts(SUBJECTS, INDEX["images"], prompts.every(SUBJECTS), 1)
    own = next(n for n, entry in enumerate(INDEX["images"]) if entry["subject"] in asked.right)
    other = next(n for n, entry in enumerate(INDEX["images"]) if entry["subject"] not in asked.right)
    shown = gallery.Gallery(images, INDEX, tmp_path)
    asked = replace(asked, style=INDEX["images"][own]["style"])
    hop, wrong = (motion.loop_of(images[n], asked.colour) for n in (own, other))
    place, apart, named = motion.scores([hop], [asked], shown)
    assert (place, named) == (1.0, 1.0) and apart < 0.01
    still = np.repeat(hop[:1], len(hop), axis=0)
    assert motion.scores([still], [asked], shown)[0] == 0.0
    mixed = np.concatenate([hop[:4], wrong[4:]])
    assert motion.between(mixed) > 5 * motion.between(hop) + 1
