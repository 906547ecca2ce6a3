"""The robot that a LoRA is taught, and the judge of such LoRAs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training.judge import subject

from training import robot

INPUT = Path(__file__).parents[2] / "workflows" / "input" / "robot"


class Plain:
    """In place of an image encoder: the colours of a coarse grid, about their middle."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return (images[:, 8::16, 8::16] - 0.5).reshape(len(images), -1)


def test_the_shipped_images_are_those_of_the_script_and_say_their_grounds() -> None:
    lines = [json.loads(line) for line in (INPUT / "metadata.jsonl").read_text().splitlines()]
    assert len(lines) == len(robot.GROUNDS) == 10
    for number, (line, ground) in enumerate(zip(lines, robot.GROUNDS, strict=True)):
        shipped = np.asarray(Image.open(INPUT / line["file_name"]).convert("RGB"), np.int16)
        drawn = np.asarray(robot.draw(robot.Pose.drawn(robot.FIRST_SEED + number), ground), np.int16)
        assert np.abs(shipped - drawn).mean() < 1, "run python -m training.robot"
        assert np.abs(shipped[0, 0] - robot.colour(ground)).max() <= 1
        assert line["text"].startswith("zwx robot")
        assert (ground in line["text"]) == (ground != "white")


def test_poses_differ_and_are_those_of_their_seed() -> None:
    assert robot.Pose.drawn(3) == robot.Pose.drawn(3) != robot.Pose.drawn(4)


def test_half_of_the_grounds_that_it_is_asked_for_were_never_learned() -> None:
    asked = {ground for _, ground in subject.WORDINGS}
    assert len(asked - set(robot.GROUNDS)) == 6
    assert all(ground == "white" or ground in wording for wording, ground in subject.WORDINGS)


@pytest.fixture
def before() -> dict[str, np.ndarray]:
    """Ramps from black to white with noise on them, for everything."""
    rng = np.random.default_rng(1)
    shape = (len(subject.prompts("x")), 128, 128, 3)
    ramp = np.linspace(0.1, 0.9, 128)[:, None]
    return {what: (ramp + rng.uniform(-0.1, 0.1, shape)).astype(np.float32) for what in ("class", "others", "seen")}


def test_a_word_that_draws_the_subject_is_told_from_one_that_does_not(before: dict[str, np.ndarray]) -> None:
    grounds = [ground for _, ground in subject.WORDINGS for _ in range(subject.EACH)]
    learned = {**before, "word": subject.drawings(grounds, 5000)}
    tower: Any = Plain()
    good = subject.judged(tower, before, learned, (1.0, 1.0))
    assert good.taken == (1.0, 0.0, 0.0)
    assert good.likeness[0] > good.likeness[1] + 0.3
    assert good.colour[0] < 5 < good.colour[1]
    assert good.kept == good.others == (pytest.approx(1.0), 0.0)
    # One that has forgotten the class draws the subject for it, and one that has learned nothing draws the class.
    forgotten = subject.judged(tower, before, {**learned, "class": learned["word"]}, (1.0, 1.0))
    assert forgotten.taken == (1.0, 1.0, 0.0)
    assert forgotten.kept[0] < 0.6
    assert forgotten.kept[1] > 10
    nothing = subject.judged(tower, before, {**learned, "word": before["class"]}, (1.0, 1.0))
    assert nothing.taken == (0.0, 0.0, 0.0)
    assert good.row("a | b").count("|") == subject.HEAD.count("|")


def test_the_workflow_learns_with_images_of_the_class(run: Callable[..., Any], home: Path) -> None:
    small = {"images": "robot/metadata.jsonl", "model": "tiny", "size": 32, "updates": 2, "batch": 1, "rank": 2}
    prompts = {"class": ["robot", "robot on red"], "class_images": 1, "prompts": ["zwx robot", "robot"]}
    outcome, _ = run("subject", **small, **prompts, name="mine")
    assert {"curve", "sheet"} <= set(outcome.outputs)
    assert (home / "models" / "mine" / "pytorch_lora_weights.safetensors").is_file()
    assert json.loads((home / "models" / "mine" / "training.json").read_text())["lora"]["prior_weight"] == 1.0
