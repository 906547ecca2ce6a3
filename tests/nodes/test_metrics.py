"""Measures: each equal to the library that is called by hand, or to its definition; what cannot be measured is told."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from node_bench import codes
from safelight.sdk import Image, ProblemError
from safelight.sdk.votes import Vote, read_votes, table, table_csv, votes_csv
from safelight_nodes.metrics import images, plot, preferences, sets
from safelight_nodes.reading_values import Vectors

EQUAL = 1e-6


class Same(torch.nn.Module):
    """A network of features that are given: what is measured is the formula."""

    num_features = 6

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return given.reshape(len(given), -1)[:, : self.num_features].double()


def pair(side: int, count: int = 2, noise: float = 0.1) -> tuple[Image, Image]:
    generator = torch.Generator().manual_seed(3)
    one = torch.rand(count, side, side, 3, generator=generator)
    other = (one + noise * torch.randn(one.shape, generator=generator)).clamp(0, 1)
    return Image(one), Image(other)


def vectors(count: int, shift: float = 0.0, seed: int = 0, model: str = "m") -> Vectors:
    values = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)) + shift
    return Vectors(values, model)


def test_psnr_is_that_of_the_squared_error() -> None:
    one, other = pair(24, 3)
    found = images.psnr(one, other)
    wanted = [-10 * torch.log10(((a - b) ** 2).mean()) for a, b in zip(one.pixels, other.pixels, strict=True)]
    assert found.values == pytest.approx([float(value) for value in wanted], abs=1e-4)
    assert found.mean == pytest.approx(sum(found.values) / 3, abs=EQUAL)
    assert images.psnr(one, one).values == [100.0] * 3


@pytest.mark.parametrize(
    ("node", "library", "side"),
    [
        (images.ssim, structural_similarity_index_measure, 32),
        (images.ms_ssim, multiscale_structural_similarity_index_measure, 176),
    ],
    ids=["ssim", "ms_ssim"],
)
def test_likeness_is_that_of_the_library(node: Any, library: Any, side: int) -> None:
    one, other = pair(side)
    wanted = library(one.pixels.movedim(-1, 1), other.pixels.movedim(-1, 1), data_range=1.0, reduction="none")
    found = node(one, other)
    assert found.values == pytest.approx([float(value) for value in wanted], abs=EQUAL)
    assert 0 < found.mean < 1 and node(one, one).mean == pytest.approx(1, abs=EQUAL)


def test_one_reference_serves_all_and_sizes_must_agree() -> None:
    one, other = pair(24, 3)
    assert len(images.psnr(one, Image(other.pixels[:1])).values) == 3
    for call, port in (
        (lambda: images.psnr(one, pair(25)[0]), "reference"),
        (lambda: images.ssim(*pair(8)), "image"),
        (lambda: images.ms_ssim(*pair(175)), "image"),
    ):
        with pytest.raises(ProblemError) as caught:
            call()
        assert codes(caught) == [("wrong_size", port)]


def test_distances_of_sets_are_those_of_the_library() -> None:
    made, real = vectors(40, 0.3, 1), vectors(40, 0.0, 2)
    wanted: list[float] = []
    for metric in (
        FrechetInceptionDistance(feature=Same()),
        KernelInceptionDistance(feature=Same(), subsets=1, subset_size=40),
    ):
        for given, is_real in ((made, False), (real, True)):
            metric.update(given.values.reshape(-1, 1, 2, 3), real=is_real)
        found = metric.compute()
        wanted.append(float(found[0] if isinstance(found, tuple) else found))
    ours = [sets.frechet(made, real), sets.kernel(made, real)]
    assert [one.name for one in ours] == ["Frechet distance over m", "kernel distance over m"]
    assert [one.value for one in ours] == pytest.approx(wanted, abs=EQUAL)
    assert sets.frechet(made, made).value == pytest.approx(0, abs=EQUAL)


def test_precision_and_recall_by_their_definition() -> None:
    made, real = vectors(12, 0.5, 3), vectors(15, 0.0, 4)

    def share(some: torch.Tensor, others: torch.Tensor) -> float:
        inside = 0
        for one in some:
            for center in others:
                away = sorted(float((center - other).norm()) for other in others if other is not center)
                if float((one - center).norm()) <= away[1]:
                    inside += 1
                    break
        return inside / len(some)

    found = sets.precision_recall(made, real, neighbors=2)
    assert found.precision == pytest.approx(share(list(made.values), list(real.values)))  # type: ignore[arg-type]
    assert found.recall == pytest.approx(share(list(real.values), list(made.values)))  # type: ignore[arg-type]
    assert sets.precision_recall(real, real) == (1.0, 1.0)


def test_a_clip_score_is_a_hundredfold_cosine() -> None:
    one = Vectors(torch.tensor([[3.0, 4.0], [0.0, -2.0]]), "clip")
    text = Vectors(torch.tensor([[0.0, 1.0]]), "clip")
    assert sets.clip_score(one, text) == (40.0, [80.0, 0.0])


def test_what_cannot_be_compared_is_told() -> None:
    for call, code in (
        (lambda: sets.frechet(vectors(5), vectors(5, model="other")), ("wrong_family", "real")),
        (lambda: sets.kernel(vectors(1), vectors(5)), ("too_few_images", "made")),
        (lambda: sets.precision_recall(vectors(5), vectors(3)), ("too_few_images", "real")),
        (lambda: sets.clip_score(vectors(3), vectors(2)), ("length_mismatch", "texts")),
        (lambda: plot.bars([]), ("list_empty", "values")),
        (lambda: plot.bars([1.0], ["a", "b"]), ("length_mismatch", "names")),
    ):
        with pytest.raises(ProblemError) as caught:
            call()
        assert codes(caught) == [code]


def test_preferences_are_the_ratings_of_votes() -> None:
    text = votes_csv([Vote("a", "b", "right")] * 3 + [Vote("b", "a", "right"), Vote("a", "b", "tie")])
    found = preferences.preferences(text)
    wanted = table(read_votes(text)).standings
    assert found.names == ["b", "a"] and found.ratings == [one.rating for one in wanted]
    assert found.low[0] < found.ratings[0] < found.high[0] and found.table == table_csv(wanted)
    for wrong, code in (("left,right\n", "bad_table"), ("left,right,preferred\n", "list_empty")):
        with pytest.raises(ProblemError) as caught:
            preferences.preferences(wrong)
        assert codes(caught) == [(code, "votes")]


def test_bars_are_as_long_as_their_numbers() -> None:
    drawn = plot.bars([1.0, 2.0, -0.5], ["a", "b", "a very long name that does not fit"], color="#ff0000", width=400)
    red = (drawn.pixels[0] == torch.tensor([1.0, 0.0, 0.0])).all(-1)
    lengths = [int(row.sum()) for row in (red[16 + 10], red[16 + 32 + 10], red[16 + 64 + 10])]
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=3) and lengths[2] == pytest.approx(lengths[0] / 2, abs=3)
