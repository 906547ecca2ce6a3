"""Confusion of classes, by hand and beside torchmetrics."""

from __future__ import annotations

import pytest
import torch

from node_bench import codes
from safelight.sdk import ProblemError
from safelight_nodes._confusion import MOST, counted, folded, recalls
from safelight_nodes.metrics.classes import confusion


def test_counts_shares_and_their_mean() -> None:
    found = confusion(list("aabbbbc"), list("abbbbca"))
    assert found.classes == ["a", "b", "c"]
    assert found.accuracy == pytest.approx(4 / 7)
    assert found.recalls == pytest.approx([1 / 2, 3 / 4, 0])
    assert found.balanced == pytest.approx((1 / 2 + 3 / 4 + 0) / 3)
    matrix = counted([0, 1, 1, 1, 1, 2, 0], [0, 0, 1, 1, 1, 1, 2], 3)
    assert matrix.tolist() == [[1, 0, 1], [1, 3, 0], [0, 1, 0]]


def test_names_of_several_lines_are_written_in_one() -> None:
    told = confusion(["a\nb", "c"], ["a\nb", "c"], title="one\ntwo")
    assert torch.equal(told.image.pixels, confusion(["a b", "c"], ["a b", "c"], title="one two").image.pixels)


def test_they_are_those_of_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix

    generator = torch.Generator().manual_seed(4)
    true, told = (torch.randint(5, (60,), generator=generator) for _ in range(2))
    assert torch.equal(counted(true.tolist(), told.tolist(), 5), multiclass_confusion_matrix(told, true, 5))
    found = confusion([f"c{int(one)}" for one in told], [f"c{int(one)}" for one in true])
    assert found.accuracy == pytest.approx(float(multiclass_accuracy(told, true, 5, average="micro")))
    assert found.balanced == pytest.approx(float(multiclass_accuracy(told, true, 5, average="macro")))


def test_a_class_that_was_told_and_never_true_weighs_nothing() -> None:
    found = confusion(["a", "z"], ["a", "a"])
    assert found.classes == ["a", "z"]
    assert found.recalls == [0.5, 1.0]
    assert found.balanced == 0.5
    assert recalls(torch.zeros(2, 2, dtype=torch.int64)) == [1.0, 1.0]


def test_of_many_classes_the_worst_have_rows_and_nothing_is_lost() -> None:
    names = [f"class {number}" for number in range(30)]
    matrix = torch.eye(30, dtype=torch.int64) * 10
    matrix[4, 7] = 5
    small, said = folded(matrix, names)
    assert small.shape == (MOST, MOST) and said[-1] == "others" and {"class 4", "class 7"} <= set(said)
    assert small.sum() == matrix.sum()
    assert int(small[said.index("class 4"), said.index("class 7")]) == 5
    told = [name for name in names for _ in range(2)]
    assert confusion(told, told, title="all").image.pixels.shape[-1] == 3


def test_what_does_not_fit_is_told() -> None:
    for told, true, wanted in (
        ([], [], ("list_empty", "predicted")),
        (["a"], ["a", "b"], ("length_mismatch", "actual")),
    ):
        with pytest.raises(ProblemError) as caught:
            confusion(told, true)
        assert codes(caught) == [wanted]
