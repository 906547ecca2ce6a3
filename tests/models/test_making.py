"""New models are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.models.making import created
from safelight.sdk import ProblemError


def test_what_was_written_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with created(tmp_path, "trained/mine") as folder:
            (folder / "config.json").write_text(text)
            (folder / "training.json").write_text("{}")
    assert (tmp_path / "trained/mine/config.json").read_text() == "second"
    assert [path.name for path in (tmp_path / "trained").iterdir()] == ["mine"]


def test_a_model_of_one_file_lies_alone(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with created(tmp_path, "embeddings/word.safetensors") as folder:
            (folder / "word.safetensors").write_text(text)
    assert (tmp_path / "embeddings/word.safetensors").read_text() == "second"
    assert [path.name for path in (tmp_path / "embeddings").iterdir()] == ["word.safetensors"]


def test_a_failure_leaves_the_old_model_and_nothing_beside_it(tmp_path: Path) -> None:
    with created(tmp_path, "mine") as folder:
        (folder / "config.json").write_text("old")
        (folder / "training.json").write_text("{}")
    with pytest.raises(ZeroDivisionError), created(tmp_path, "mine") as folder:
        (folder / "config.json").write_text("new")
        raise ZeroDivisionError
    assert (tmp_path / "mine/config.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["loras", "loras/mine", "loras/"])
def test_a_folder_that_no_training_wrote_is_not_deleted(name: str, tmp_path: Path) -> None:
    kept = tmp_path / "loras" / "mine" / "weights.safetensors"
    kept.parent.mkdir(parents=True)
    kept.write_text("somebody's")
    with pytest.raises(ProblemError) as caught, created(tmp_path, name):
        pytest.fail("nothing is begun")
    assert caught.value.problems[0].code == "name_taken"
    assert kept.read_text() == "somebody's"
    assert [path.name for path in tmp_path.rglob("*")] == ["loras", "mine", "weights.safetensors"]
    with created(tmp_path, "loras/other") as folder:
        (folder / "training.json").write_text("{}")
    assert kept.exists()


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("I/O: No space left on device")]
)
def test_a_full_disk_is_told_of_as_such(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught, created(tmp_path, "mine"):
        raise error
    (problem,) = caught.value.problems
    assert problem.code == "cannot_write"
    assert "No space left" in problem.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", " ", "starter", "/abs", "../up", "a/../../b", ".hidden", "a/.b", "nul\0", "C:/a", "a" * 300]
)
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught, created(tmp_path / "models", name):
        pass
    assert caught.value.problems[0].code == "bad_path"
    assert not (tmp_path / "models").exists()


def test_a_place_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file, not a folder")
    with pytest.raises(ProblemError) as caught, created(tmp_path / "models", "mine"):
        pass
    assert caught.value.problems[0].code == "cannot_write"
