"""Training in tests is single-threaded: the same bits each time, and no thread waits for another's core."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[2]))

from collections.abc import Callable
from typing import Any

import pytest

import tiny_models
import tiny_sets
from safelight.app import Studio
from safelight.engine import RunOptions

WORKFLOWS = Path(__file__).parents[2] / "workflows" / "train"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a tiny model `tiny`, an image encoder `tower` and a tiny image set in its input folder."""
    folder = tmp_path_factory.mktemp("home")
    tiny_models.tiny_sd2(folder / "models" / "tiny")
    tiny_models.tiny_ip_adapter(folder / "adapter")
    (folder / "adapter" / "image_encoder").rename(folder / "models" / "tower")
    tiny_sets.write(folder / "input")
    # What stands for the large images that upscalers learn from.
    shutil.copytree(folder / "input" / "emoji", folder / "input" / "emoji_512")
    return folder


@pytest.fixture(scope="session")
def studio(home: Path) -> Studio:
    return Studio.open(home)


@pytest.fixture
def run(studio: Studio, tmp_path: Path) -> Callable[..., Any]:
    """Runs a workflow of workflows/train; returns its outcome and events. It must not fail."""

    def go(workflow: str, /, **inputs: Any) -> tuple[Any, list[Any]]:
        events: list[Any] = []
        document = studio.read(WORKFLOWS / f"{workflow}.json").with_inputs(inputs)
        options = RunOptions(previews=True, checkpoint_seconds=0, strict=True)
        outcome = studio.run(document, output=tmp_path, emit=events.append, options=options)
        assert [problem.message for problem in outcome.result.problems] == []
        return outcome, events

    return go
