"""What fields say of their values."""

from __future__ import annotations

import pytest

from safelight.sdk import Number, Text


@pytest.mark.parametrize("value", [0, 1, 3, -3.0])
def test_usual_values_are_not_told_of(value: float) -> None:
    assert Number(-10, 10, usual=3).remarks(value) == []
    assert Number(-10, 10).remarks(100 * value) == []


@pytest.mark.parametrize("value", [3.05, -4, 10])
def test_values_far_from_what_is_usual_are_told_of_and_taken(value: float) -> None:
    field = Number(-10, 10, usual=3)
    assert field.complaint(value) is None
    (fault,) = field.remarks(value)
    assert fault.code == "weight_extreme"
    assert f"{value:g}" in fault.message
    assert "-3 and 3" in fault.hint


@pytest.mark.parametrize("name", ["mine", "trained/mine", " mine ", "a/./b", "模型", "v1.0", "a" * 200])
def test_names_of_models(name: str) -> None:
    assert Text(model_name=True).complaint(name) is None


@pytest.mark.parametrize(
    "name", ["", " ", ".", "/", "starter", "starter/x", "../a", "a/../b", ".a", "~/a", "C:\\a", "a" * 201]
)
def test_what_is_no_name_of_a_model(name: str) -> None:
    fault = Text(model_name=True).complaint(name)
    assert fault is not None
    assert fault.code == "bad_path"
    assert fault.hint
