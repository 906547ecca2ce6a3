"""Latents without a model: put over one another, blended, cut, turned, batched."""

from __future__ import annotations

import pytest
import torch

from safelight.sdk import Latent, Mask, ProblemError
from safelight.testing import call
from safelight_nodes import latent, latent_batches, latent_edits


def drawn(seed: int = 0, batch: int = 1, height: int = 4, width: int = 6, **more: object) -> Latent:
    samples = torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(seed))
    return Latent(samples, "sd1", **more)  # type: ignore[arg-type]


def code_of(error: pytest.ExceptionInfo[ProblemError]) -> tuple[str, str | None]:
    return error.value.problems[0].code, error.value.problems[0].port


def test_one_latent_lies_over_another() -> None:
    below, above = drawn(1, batch=2), drawn(2, height=2, width=2)
    made = call(latent_edits.composite, below, above, x=16, y=8).samples
    assert torch.equal(made[:, :, 1:3, 2:4], above.samples.expand(2, -1, -1, -1))
    outside = torch.ones(4, 6, dtype=torch.bool)
    outside[1:3, 2:4] = False
    assert torch.equal(made[..., outside], below.samples[..., outside])
    corner = latent_edits.composite(below, above, x=-8, y=24).samples
    assert torch.equal(corner[:1, :, 3, 0], above.samples[:, :, 0, 1]), "what reaches beyond the edge is cut off"
    assert torch.equal(latent_edits.composite(below, above, x=999).samples, below.samples)
    half = latent_edits.composite(below, above, Mask(torch.full((1, 16, 16), 0.5))).samples
    assert torch.allclose(half[0, :, :2, :2], (below.samples[0, :, :2, :2] + above.samples[0]) / 2, atol=1e-6)


def test_edges_fade() -> None:
    below = Latent(torch.zeros(1, 4, 8, 8), "sd1")
    above = Latent(torch.ones(1, 4, 4, 4), "sd1")
    made = latent_edits.composite(below, above, x=16, y=0, feather=8).samples[0, 0]
    assert made[0, 3:5].tolist() == [1.0, 1.0], "the edge of the canvas does not fade"
    assert made[1, 2:6].tolist() == [0.5, 1.0, 1.0, 0.5]
    assert made[3, 2:6].tolist() == [0.25, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("mode", "formula"),
    [
        ("mix", lambda a, b: a * 0.75 + b * 0.25),
        ("add", lambda a, b: a + 0.25 * b),
        ("subtract", lambda a, b: a - 0.25 * b),
        ("multiply", lambda a, b: a * 0.75 + a * b * 0.25),
    ],
)
def test_blends(mode: str, formula: object) -> None:
    one, other = drawn(1), drawn(2)
    made = call(latent_edits.blend, one, other, mode=mode, amount=0.25)  # type: ignore[arg-type]
    assert torch.allclose(made.samples, formula(one.samples, other.samples), atol=1e-6)  # type: ignore[operator]


def test_a_blend_along_the_sphere_keeps_its_length_and_its_ends() -> None:
    one, other = drawn(1, height=32, width=32), drawn(2, height=32, width=32)
    ends = [latent_edits.blend(one, other, mode="sphere", amount=amount).samples for amount in (0.0, 1.0)]
    assert torch.allclose(ends[0], one.samples, atol=1e-5)
    assert torch.allclose(ends[1], other.samples, atol=1e-5)
    middle = latent_edits.blend(one, other, mode="sphere", amount=0.5).samples
    assert float(middle.std()) == pytest.approx(1, abs=0.03)
    assert float(latent_edits.blend(one, other, amount=0.5).samples.std()) == pytest.approx(0.5**0.5, abs=0.03)
    assert torch.allclose(latent_edits.blend(one, one, mode="sphere", amount=0.3).samples, one.samples, atol=1e-5)


def test_latents_are_cut_and_turned_with_their_masks() -> None:
    given = drawn(3, mask=torch.arange(24.0).reshape(1, 1, 4, 6) / 24)
    cut = call(latent_edits.crop, given, x=8, y=16, width=24, height=16)
    assert torch.equal(cut.samples, given.samples[..., 2:4, 1:4])
    assert given.mask is not None
    assert cut.mask is not None
    assert torch.equal(cut.mask, given.mask[..., 2:4, 1:4])
    turned = call(latent_edits.rotate, given, turn="90")
    assert torch.equal(turned.samples[..., 0, -1], given.samples[..., 0, 0]), "clockwise: upper left to upper right"
    back = latent_edits.rotate(turned, turn="270")
    assert torch.equal(back.samples, given.samples)
    assert back.mask is not None
    assert torch.equal(back.mask, given.mask)
    assert torch.equal(call(latent_edits.flip, given).samples, given.samples.flip(-1))
    assert torch.equal(latent_edits.flip(given, direction="vertical").samples, given.samples.flip(-2))
    assert torch.equal(call(latent_edits.multiply, given, factor=-2.0).samples, given.samples * -2)


def test_what_does_not_fit_is_a_problem() -> None:
    one = drawn()
    for asked, code in (
        (lambda: latent_edits.crop(one, x=4), ("size_not_a_multiple", "x")),
        (lambda: latent_edits.crop(one, width=56, height=8), ("area_outside", "width")),
        (lambda: latent_edits.crop(one, width=8, height=40), ("area_outside", "height")),
        (lambda: latent_edits.blend(one, drawn(height=5)), ("wrong_size", "second")),
        (lambda: latent_edits.blend(one, Latent(one.samples, "sdxl")), ("wrong_latent", "second")),
        (lambda: latent_edits.blend(one, Latent(torch.zeros(1, 16, 4, 6), "")), ("wrong_latent", "second")),
        (lambda: latent_edits.blend(drawn(batch=2), drawn(batch=3)), ("wrong_batch", "second")),
        (lambda: latent_edits.composite(one, drawn(batch=2)), ("wrong_batch", "above")),
        (lambda: latent_edits.flip(drawn(size=(30, 48))), ("latent_is_padded", "latent")),
        (lambda: latent_batches.batch([one, drawn(height=5)]), ("wrong_latent", "latents")),
        (lambda: latent_batches.batch([]), ("list_empty", "latents")),
    ):
        with pytest.raises(ProblemError) as caught:
            asked()
        assert code_of(caught) == code


def test_batches_are_joined_and_taken_apart() -> None:
    one, other = drawn(1), drawn(2, batch=2)
    made = call(latent_batches.batch, [one, other])
    assert torch.equal(made.samples, torch.cat([one.samples, other.samples]))
    parts = call(latent_batches.unbatch, made)
    assert len(parts) == 3
    assert torch.equal(parts[2].samples, other.samples[1:])


def test_a_latent_of_another_model_is_told_where_it_comes_in() -> None:
    other = Latent(torch.zeros(1, 16, 4, 6), "flux")
    for port, run in (("above", latent_edits.composite), ("second", latent_edits.blend)):
        with pytest.raises(ProblemError) as caught:
            run(drawn(1), other)
        assert code_of(caught) == ("wrong_latent", port)


def test_a_latent_is_brought_to_a_size() -> None:
    given = drawn(height=4, width=6)
    assert call(latent.resize, given, width=96, height=64).samples.shape[-2:] == (8, 12)
    assert call(latent.resize, given, width=96).samples.shape[-2:] == (8, 12), "the other side is in proportion"
    assert call(latent.resize, given, width=24, height=64).samples.shape[-2:] == (8, 3), "it is stretched"
    assert call(latent.resize, given, scale=2.0).samples.shape[-2:] == (8, 12)
    same = call(latent.resize, given, width=48, height=32, method="nearest").samples
    assert torch.equal(same, given.samples)
