"""Noise and noise levels as values, samplers put together from them, and the way back from an image to its noise."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from families.flow_kits import PROMPT, FlowKit, flow_kit
from node_bench import Kit, codes, said, sampled
from safelight.diffusion.noise import draw, generators
from safelight.diffusion.samplers import SAMPLERS
from safelight.sdk import Cancelled, Latent, Mask, Noise, ProblemError, Sigmas
from safelight.testing import call
from safelight_nodes import latent, sampling, sampling_custom
from safelight_nodes.noise import make as noises
from safelight_nodes.sigmas import change, show
from safelight_nodes.sigmas import make as sigmas

EMPTY = Latent(torch.zeros(2, 4, 32, 24), "sd1")


def far(one: torch.Tensor, other: torch.Tensor) -> float:
    """The root mean square of a difference, as a part of that of the first."""
    return float((one - other).square().mean().sqrt() / one.square().mean().sqrt())


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "perlin", "pink", "brownian", "blue"])
def test_noise_of_each_kind_is_even_and_follows_its_seed(kind: Any) -> None:
    made = call(noises.make, EMPTY, kind=kind, seed=3).samples
    assert made.shape == EMPTY.samples.shape
    assert float(made.mean()) == pytest.approx(0, abs=0.05)
    assert float(made.std()) == pytest.approx(1, abs=0.05)
    assert torch.equal(noises.make(EMPTY, kind=kind, seed=4).samples[0], made[1]), "image k has the seed + k"


def test_kinds_are_what_their_names_say() -> None:
    def power(kind: Any) -> float:
        """Of neighbours, how much alike they are: 0 for white noise, above for soft, below for fine noise."""
        field = noises.make(Latent(torch.zeros(1, 4, 64, 64), "sd1"), kind=kind, seed=1).samples
        return float((field[..., 1:] * field[..., :-1]).mean())

    assert abs(power("gaussian")) < 0.03
    assert power("blue") < -0.05
    assert 0.1 < power("pink") < power("brownian") < power("perlin") < 1
    flat = noises.make(EMPTY, kind="uniform").samples
    assert float(flat.abs().max()) <= 3**0.5
    assert torch.equal(noises.make(EMPTY, seed=9).samples, draw(generators(9, 2), (4, 32, 24)))


def test_a_blend_of_noise_stays_as_strong() -> None:
    one, other = (noises.make(EMPTY, seed=seed) for seed in (1, 11))
    assert float(call(noises.blend, one, other, amount=0.5).samples.std()) == pytest.approx(1, abs=0.03)
    assert torch.allclose(noises.blend(one, other, amount=0.0).samples, one.samples, atol=1e-5)
    line = noises.blend(one, other, amount=0.25, path="line").samples
    assert torch.allclose(line, one.samples * 0.75 + other.samples * 0.25, atol=1e-6)
    with pytest.raises(ProblemError) as caught:
        noises.blend(one, Noise(torch.zeros(1, 4, 8, 8)))
    assert codes(caught) == [("wrong_noise", "second")]


def test_noise_is_put_into_a_latent_where_the_mask_is_white() -> None:
    noise = noises.make(EMPTY, seed=1)
    half = torch.zeros(1, 256, 192)
    half[:, :128] = 1
    made = call(noises.inject, EMPTY, noise, Mask(half), strength=0.5).samples
    assert torch.allclose(made[:, :, :16], noise.samples[:, :, :16] * 0.5)
    assert not made[:, :, 16:].any()


def test_sigmas_are_made_and_changed() -> None:
    made = call(sigmas.curve, steps=5, highest=16.0, lowest=1.0, shape="exponential")
    assert made.levels == pytest.approx((16, 8, 4, 2, 1, 0))
    assert sigmas.curve(steps=4, highest=4.0, lowest=1.0, shape="linear").levels == (4, 3, 2, 1, 0)
    assert sigmas.curve(steps=3, highest=3.0, lowest=1.0, shape="cosine").levels == pytest.approx((3, 2, 1, 0))
    karras = sigmas.curve(steps=3, highest=4.0, lowest=1.0, rho=2.0).levels
    assert karras == pytest.approx((4, 2.25, 1, 0))
    high, low = call(change.split, made, step=2)
    assert (high.levels, low.levels) == (made.levels[:3], made.levels[2:])
    assert change.split(made, step=-2).low.levels == made.levels[3:]
    assert call(change.join, high, low) == made
    assert call(change.reverse, made).levels == made.levels[::-1]
    assert call(change.last_part, made, denoise=0.4).steps == 2
    assert call(sigmas.from_numbers, call(sigmas.to_numbers, made)) == made
    for asked, code in (
        (lambda: change.split(made, step=5), ("no_steps_left", "step")),
        (lambda: change.split(made, step=-5), ("no_steps_left", "step")),
        (lambda: sigmas.curve(highest=1.0, lowest=1.0), ("empty_range", "lowest")),
        (lambda: sigmas.from_numbers([1.0]), ("bad_value", "numbers")),
        (lambda: sigmas.from_numbers([1.0, -1.0]), ("bad_value", "numbers")),
        (lambda: show.plot([]), ("list_empty", "sigmas")),
    ):
        with pytest.raises(ProblemError) as caught:
            asked()
        assert codes(caught) == [code]


def test_a_plot_shows_each_row_in_a_colour_of_its_own() -> None:
    rows = [sigmas.curve(steps=10), sigmas.curve(steps=10, shape="linear")]
    for logarithmic in (False, True):
        pixels = call(show.plot, rows, width=200, height=150, logarithmic=logarithmic).pixels
        assert pixels.shape == (1, 150, 200, 3)
        colors = {tuple(pixel) for pixel in (pixels[0] * 255).round().int().reshape(-1, 3).tolist()}
        assert {(0x25, 0x63, 0xEB), (0xDC, 0x26, 0x26)} <= colors


def custom(kit: Kit, levels: Sigmas, start: Latent, **more: Any) -> Latent:
    given: dict[str, Any] = {"guidance": 5.0, "seed": 5, "ctx": kit.context, **more}
    positive, negative = said(kit, "a red apple on the table"), said(kit, "dark photo")
    return sampling_custom.custom(kit.denoiser, positive, negative, start, levels, **given)


def plain(kit: Kit, start: Latent, **more: Any) -> Latent:
    given: dict[str, Any] = {"guidance": 5.0, "seed": 5, "steps": 6, "ctx": kit.context, **more}
    positive, negative = said(kit, "a red apple on the table"), said(kit, "dark photo")
    return sampling.sample(kit.denoiser, positive, negative, start, **given)


@pytest.mark.parametrize("sampler", sorted(name for name, kind in SAMPLERS.items() if "karras" in kind.schedulers))
def test_given_the_levels_of_a_scheduler_a_sampler_does_what_it_does_with_it(sd1: Kit, sampler: Any) -> None:
    start = latent.empty(sd1.vae, ctx=sd1.context)
    levels = sigmas.make(sd1.denoiser, steps=6, sampler=sampler, scheduler="karras", ctx=sd1.context)
    assert levels.steps == 6
    whole = plain(sd1, start, sampler=sampler, scheduler="karras")
    assert far(whole.samples, custom(sd1, levels, start, sampler=sampler).samples) < 1e-3


def test_parts_of_sigmas_make_the_whole(sd1: Kit) -> None:
    start = latent.empty(sd1.vae, batch=2, ctx=sd1.context)
    levels = sigmas.make(sd1.denoiser, steps=6, sampler="euler", scheduler="karras", ctx=sd1.context)
    high, low = change.split(levels, step=3)
    begun = custom(sd1, high, start, sampler="euler")
    assert begun.noise == pytest.approx(levels.levels[3])
    ended = custom(sd1, low, begun, sampler="euler")
    assert ended.noise == 0
    assert far(custom(sd1, levels, start, sampler="euler").samples, ended.samples) < 1e-4


def test_the_last_part_of_sigmas_changes_an_image_as_denoise_does(sd1: Kit) -> None:
    start = Latent(torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2)), "sd1")
    levels = sigmas.make(sd1.denoiser, steps=6, sampler="euler", scheduler="karras", denoise=0.5, ctx=sd1.context)
    assert levels.steps == 3
    whole = plain(sd1, start, sampler="euler", scheduler="karras", denoise=0.5)
    assert far(whole.samples, custom(sd1, levels, start, sampler="euler").samples) < 1e-3


def test_sigmas_that_cannot_be_sampled_are_problems(sd1: Kit) -> None:
    start = latent.empty(sd1.vae, ctx=sd1.context)
    levels = sigmas.curve(steps=4)
    noisy = Latent(start.samples, "sd1", noise=3.0)
    for asked, code in (
        (lambda: custom(sd1, change.reverse(levels), start), ("wrong_sigmas", "sigmas")),
        (lambda: custom(sd1, levels, noisy), ("wrong_sigmas", "sigmas")),
        (lambda: custom(sd1, levels, start, sampler="ddim"), ("scheduler_not_offered", "scheduler")),
        (lambda: custom(sd1, levels, start, noise=Noise(torch.zeros(1, 4, 2, 2))), ("wrong_noise", "noise")),
    ):
        with pytest.raises(ProblemError) as caught:
            asked()
        assert codes(caught) == [code]


def test_noise_takes_the_place_of_the_seed(sd1: Kit) -> None:
    start = latent.empty(sd1.vae, batch=2, ctx=sd1.context)
    noise = noises.make(start, seed=5)
    for sampler in ("euler", "euler_ancestral", "ddim"):
        ours = sampled(sd1, start=start, sampler=sampler, steps=3, seed=5)
        assert torch.equal(
            ours.samples, sampled(sd1, start=start, sampler=sampler, steps=3, seed=5, noise=noise).samples
        )
    other = noises.make(start, seed=99)
    varied = [
        sampled(sd1, start=start, steps=3, noise=noises.blend(noise, other, amount=amount)).samples
        for amount in (0.0, 0.1, 1.0)
    ]
    near, apart = (far(varied[0], one) for one in varied[1:])
    assert 0 < near < 0.5 * apart, "little of another seed changes little"


def test_inverted_and_sampled_again_a_latent_is_what_it_was(sd1: Kit) -> None:
    start = Latent(torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2)), "sd1")
    positive = said(sd1, "a red apple on the table")
    errors = []
    for passes in (1, 8):
        noise = sampling_custom.invert(
            sd1.denoiser, positive, None, start, steps=10, scheduler="karras", passes=passes, ctx=sd1.context
        )
        again = sampling.sample(
            sd1.denoiser, positive, None, latent.empty(sd1.vae, batch=2, ctx=sd1.context), None, noise,
            steps=10, guidance=1.0, sampler="euler", scheduler="karras", ctx=sd1.context,
        )  # fmt: skip
        errors.append(far(start.samples, again.samples))
    assert errors[1] < 0.02, errors
    assert errors[1] < errors[0] / 3, errors


def test_an_interrupted_inversion_ends_in_the_same_bits(sd1: Kit) -> None:
    start = Latent(torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(2)), "sd1")

    def inverted(ctx: Any) -> Noise:
        return sampling_custom.invert(sd1.denoiser, said(sd1, "an apple"), None, start, steps=5, passes=2, ctx=ctx)

    whole = inverted(sd1.context)
    stopped = sd1.context
    stopped.keep_at, stopped.cancel_at = 3, 6
    with pytest.raises(Cancelled):
        inverted(stopped)
    again = sd1.context
    again.state = stopped.kept[0]
    assert torch.equal(inverted(again).samples, whole.samples)
    assert again.steps[0] == (4, 5)


@pytest.fixture(scope="module", params=["sd3", "flux", "qwen_image"])
def flow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit(request.param, tmp_path_factory.mktemp(request.param))


def test_a_flow_is_followed_back_and_forth(flow: FlowKit) -> None:
    empty = flow.empty()
    start = Latent(torch.randn(empty.samples.shape, generator=torch.Generator().manual_seed(2)), flow.family)
    model, positive = flow.loaded().model, flow.said(PROMPT)
    errors = []
    for passes in (1, 8):
        noise = sampling_custom.invert(model, positive, None, start, steps=6, passes=passes, ctx=flow.ctx)
        again = flow.sampled(start=empty, noise=noise, steps=6, guidance=1.0, negative=None)
        errors.append(far(start.samples, again.samples))
    assert errors[1] < 0.02, errors
    assert errors[1] <= errors[0], errors


def test_a_flow_takes_noise_and_sigmas(flow: FlowKit) -> None:
    empty = flow.empty()
    whole = flow.sampled()
    assert torch.equal(whole.samples, flow.sampled(noise=noises.make(empty, seed=5)).samples)
    model, positive = flow.loaded().model, flow.said(PROMPT)
    negative = flow.said("dark photo") if flow.guided else None

    def along(*levels: float) -> torch.Tensor:
        given: dict[str, Any] = {"guidance": 5.0, "sampler": "euler", "seed": 5, "ctx": flow.ctx}
        return sampling_custom.custom(model, positive, negative, empty, Sigmas(levels), **given).samples

    assert far(along(1.0, 0.5, 0.0), along(1.0, 0.75, 0.5, 0.0)) > 1e-4
    for levels in ((0.9, 0.5, 0.0), (1.0, 0.5, 0.25)):
        with pytest.raises(ProblemError) as caught:
            along(*levels)
        assert ("feature_not_in_family", "sigmas") in codes(caught)
    with pytest.raises(ProblemError) as caught:
        sigmas.make(model, ctx=flow.ctx)
    assert codes(caught) == [("feature_not_in_family", "model")]
