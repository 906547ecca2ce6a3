"""Samplers and schedulers of packs that do not work: a Problem that names them, not a failure of the sampler node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from safelight.diffusion import samplers
from safelight.sdk import ProblemError


def raising(low: float, high: float, steps: int) -> Sequence[float]:
    raise RuntimeError("boom")


def no_numbers(low: float, high: float, steps: int) -> Any:
    return ["high", "low"]


@pytest.mark.parametrize(("levels", "said"), [(raising, "boom"), (no_numbers, "could not convert")])
def test_a_scheduler_that_fails_is_named(levels: Any, said: str) -> None:
    made = samplers.make_scheduler({}, "euler", "mine", levels)
    with pytest.raises(ProblemError, match=said) as caught:
        made.set_timesteps(5)
    assert caught.value.problems[0].code == "scheduler_faulty"


def test_a_sampler_of_a_class_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "find_sampler", lambda name: samplers.SamplerKind("NoSuchScheduler"))
    with pytest.raises(ProblemError, match="NoSuchScheduler") as caught:
        samplers.make_scheduler({}, "mine", "model")
    assert [(one.code, one.port) for one in caught.value.problems] == [("sampler_unknown", "sampler")]
