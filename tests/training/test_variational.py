"""The variational autoencoder: its ELBO against the formula, training, and what the nodes make of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_sets
from node_bench import BenchContext
from safelight.diffusion import variational
from safelight.sdk import Image, ModelRef, ProblemError, Source
from safelight_nodes import variational as nodes
from safelight_nodes._training.variational import Settings, weighed
from safelight_nodes.metrics import sets
from safelight_nodes.training import variational as training

TINY: dict[str, Any] = {
    "batch": 8, "learning_rate": 3e-3, "warmup_steps": 5, "ema_decay": 0.9, "side": "16", "width": 8, "widest": 16,
    "latent": 6, "seed": 3,
}  # fmt: skip
SHAPE = variational.Shape(16, 6, 8, 16)


def bench() -> BenchContext:
    """One whose models compute in float32."""
    ctx = BenchContext(previews=True)
    ctx.models.device = lambda: (torch.device("cpu"), torch.float32)
    return ctx


def held(weights: Any) -> tuple[BenchContext, ModelRef[Any]]:
    """The nodes' context, with what was trained."""
    network = variational.fresh(variational.Shape.of(weights.config, "it"))
    network.load_state_dict(weights.tensors)
    ctx = BenchContext()
    ctx.models.put("Variational", "it", variational.FlatAutoencoder(SHAPE, network.eval()))
    return ctx, ModelRef("Variational", "", Source("folder", "it", fingerprint="it"))


def discs(count: int, seed: int, odd: bool = False) -> Image:
    """Discs of red and yellow on white; odd: stripes of blue and green."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    made: list[Any] = []
    for _ in range(count):
        where = torch.rand(4, generator=generator)
        away = (x - 6 - 3 * where[0]).square() + (y - 6 - 3 * where[1]).square()
        inside = (((x + y) % 6 < 3) if odd else (away < (4 + 2 * where[2]) ** 2))[..., None].float()
        color = torch.tensor([0.1, 0.4 + 0.5 * where[3], 0.9] if odd else [0.9, 0.1 + 0.7 * where[3], 0.1])
        made.append(inside * color + (1 - inside))
    return Image(torch.stack(made))


def of_discs() -> Any:
    """A set of 60 discs."""
    from safelight_nodes.training_values import ImageSet

    pixels = torch.cat([(discs(60, 1).pixels * 255).round().byte(), torch.full((60, 16, 16, 1), 255).byte()], -1)
    entries = tuple({"subject": str(number), "style": -1} for number in range(60))
    subjects = {str(number): {"names": [f"disc {number}"], "weight": 1.0} for number in range(60)}
    return ImageSet(pixels, entries, subjects, torch.full((60,), 1 / 60, dtype=torch.float64))


@pytest.fixture(scope="module")
def learned() -> Any:
    return training.vae(of_discs(), **{**TINY, "updates": 250, "beta_warmup": 50}, ctx=bench())


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    from torch.distributions import Normal, kl_divergence

    generator = torch.Generator().manual_seed(1)
    mean, log_variance = torch.randn((2, 5, 7), generator=generator)
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
    assert torch.allclose(variational.divergence(mean, log_variance), expected, atol=1e-5)


@pytest.mark.parametrize("likelihood", ["logistic", "gaussian"])
@pytest.mark.parametrize("log_scale", [-6.0, -3.0, 0.5])
def test_the_bytes_are_a_distribution(likelihood: Any, log_scale: float) -> None:
    """Over all 256 bytes it sums to 1, wherever its middle lies."""
    every = (torch.arange(256) / 127.5 - 1)[:, None, None, None].double()
    middle = torch.tensor([-1.4, -1.0, -0.2011, 0.0, 0.77, 1.0, 1.3]).double()[None, None, None].expand(256, 1, 1, 7)
    told = variational.log_likelihood(every, middle, torch.tensor(log_scale).double(), likelihood)
    assert torch.allclose(told.exp().sum(0), torch.ones(1, 1, 7).double(), atol=1e-6)
    assert torch.isfinite(told).all()


@pytest.mark.parametrize("likelihood", ["logistic", "gaussian"])
def test_a_bin_holds_what_the_distribution_of_torch_says(likelihood: Any) -> None:
    from torch.distributions import AffineTransform, Normal, SigmoidTransform, TransformedDistribution, Uniform

    scale, x = 0.1, variational.on_bytes(torch.tensor([[[[-0.5, 0.0, 0.31]]]]).double())
    middle = torch.zeros_like(x) + 0.05
    spread: Any = Normal(0.05, scale)
    if likelihood == "logistic":
        uniform = Uniform(torch.zeros(()).double(), torch.ones(()).double())
        spread = TransformedDistribution(uniform, [SigmoidTransform().inv, AffineTransform(0.05, scale)])
    expected = (spread.cdf(x + 1 / 255) - spread.cdf(x - 1 / 255)).log()
    told = variational.log_likelihood(x, middle, torch.tensor(math.log(scale)).double(), likelihood)
    assert torch.allclose(told, expected.double(), atol=1e-4)


def test_no_gradient_is_lost_far_from_the_middle() -> None:
    for likelihood in ("logistic", "gaussian"):
        middle = torch.tensor([-5.0, 5.0, 0.3], requires_grad=True)
        x = variational.on_bytes(torch.tensor([0.9, -0.9, 0.3]))
        variational.log_likelihood(x, middle, torch.tensor(-7.0), likelihood).sum().backward()
        assert middle.grad is not None
        assert torch.isfinite(middle.grad).all()
        assert middle.grad[0] > 1
        assert middle.grad[1] < -1


def settings(**changed: Any) -> Settings:
    return replace(Settings(SHAPE, 1.0, 0, 0.0, 0.0, 1, 1, 1e-3, 0, 0.0, 0.0, 0), **changed)


def test_beta_rises_and_free_bits_cost_nothing() -> None:
    likely, apart = torch.full((2, 3, 4, 4), -0.5), torch.tensor([[0.1, 2.0, 0.0], [0.3, 4.0, 0.0]])
    told = 0.5 * 48
    assert float(weighed(likely, apart, settings(), 0)) == pytest.approx(told + 0.2 + 3.0)
    assert float(weighed(likely, apart, settings(beta=4.0), 0)) == pytest.approx(told + 4 * 3.2)
    assert float(weighed(likely, apart, settings(beta_warmup=10), 0)) == pytest.approx(told + 0.1 * 3.2)
    assert float(weighed(likely, apart, settings(beta_warmup=10), 30)) == pytest.approx(told + 3.2)
    assert float(weighed(likely, apart, settings(free_bits=0.5), 0)) == pytest.approx(told + 0.5 + 3.0 + 0.5)


def test_the_loss_falls_and_the_numbers_fit_each_other(learned: Any) -> None:
    losses = [value for _, value in learned.curve]
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    about = learned.about
    assert about["elbo_nats"] == pytest.approx(-about["reconstruction_nats"] - about["kl_nats"], abs=0.05)
    bits = (about["reconstruction_nats"] + about["kl_nats"]) / (3 * 16 * 16 * math.log(2))
    assert about["bits_per_dimension"] == pytest.approx(bits, abs=1e-3)
    # The last losses are the negative ELBO of the same images.
    assert about["bits_per_dimension"] == pytest.approx(sum(losses[-20:]) / 20, rel=0.25)
    assert 2 <= about["active_units"] <= 6


def test_samples_are_shown_as_it_learns() -> None:
    ctx = bench()
    training.vae(tiny_sets.image_set(32), **TINY, updates=2, ctx=ctx)
    assert ctx.steps[-1] == (2, 2)
    assert ctx.shown[-1].pixels.shape == (1, 48, 128, 3)


def test_a_posterior_that_collapses_is_told_and_free_bits_help() -> None:
    ctx = bench()
    made = training.vae(of_discs(), **{**TINY, "updates": 80, "beta_warmup": 0, "beta": 200.0}, ctx=ctx)
    assert made.about["active_units"] == 0
    assert [problem.code for problem in ctx.warned] == ["posterior_collapse"]
    ctx = bench()
    given = {**TINY, "updates": 80, "beta_warmup": 0, "beta": 200.0, "free_bits": 1.0}
    helped = training.vae(of_discs(), **given, ctx=ctx)
    assert helped.about["active_units"] > 2
    assert not ctx.warned


def test_the_perceptual_term_looks_with_an_image_encoder(studio: Any) -> None:
    """Equal images are no distance apart, others are, and gradients go through."""
    from safelight_nodes._training.variational import Eyes

    ctx = bench()
    ctx.models = studio.models
    source = studio.models.find("starter/image_encoder", "image_encoder")
    eyes = Eyes(ModelRef("ImageEncoder", "", source, "image_encoder"), ctx, torch.device("cpu"))
    x = discs(2, 1).pixels.movedim(-1, 1) * 2 - 1
    y = (discs(2, 1, odd=True).pixels.movedim(-1, 1) * 2 - 1).requires_grad_()
    assert float(eyes.apart(x, x)) == pytest.approx(0, abs=1e-3)
    found = eyes.apart(x, y)
    assert float(found) > 1
    found.backward()
    assert y.grad is not None
    assert float(y.grad.abs().sum()) > 0


def test_active_units_are_those_whose_mean_differs() -> None:
    means = torch.randn((500, 4), generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 0.5, 0.05, 0.0])
    assert variational.active_units(means) == 2


def test_what_it_draws_depends_on_the_seed_alone(learned: Any) -> None:
    ctx, model = held(learned)
    three = nodes.sample(model, batch=3, seed=7, ctx=ctx).pixels
    assert three.shape == (3, 16, 16, 3)
    assert torch.allclose(three[2:], nodes.sample(model, batch=1, seed=9, ctx=ctx).pixels, atol=1e-6)
    assert not torch.equal(three[0], three[1])
    still = nodes.sample(model, batch=2, temperature=0.0, ctx=ctx).pixels
    assert torch.allclose(still[0], still[1], atol=1e-6)


def test_what_comes_back_is_nearer_than_another_image(learned: Any) -> None:
    ctx, model = held(learned)
    given = discs(12, 5)
    again = nodes.reconstruct(given, model, ctx=ctx).pixels
    own = (again - given.pixels).square().mean()
    other = (again - given.pixels.roll(1, 0)).square().mean()
    assert own < 0.6 * other
    drawn = nodes.reconstruct(given, model, temperature=1.0, seed=1, ctx=ctx).pixels
    assert not torch.equal(drawn, again)
    # Other sizes and transparent images are taken as well.
    clear = Image(torch.zeros(1, 40, 24, 4))
    assert nodes.reconstruct(clear, model, ctx=ctx).pixels.shape == (1, 16, 16, 3)


@pytest.mark.parametrize("path", ["spherical", "straight"])
def test_the_way_between_images_begins_and_ends_at_them(learned: Any, path: Any) -> None:
    ctx, model = held(learned)
    pair = discs(2, 9)
    ends = nodes.reconstruct(pair, model, ctx=ctx).pixels
    first, second = Image(pair.pixels[:1]), Image(pair.pixels[1:])
    way = nodes.interpolate(first, second, model, steps=5, path=path, ctx=ctx).pixels
    assert way.shape == (5, 16, 16, 3)
    assert torch.allclose(way[0], ends[0], atol=1e-4)
    assert torch.allclose(way[4], ends[1], atol=1e-4)
    steps = (way[1:] - way[:-1]).square().mean((1, 2, 3))
    assert float(steps.max()) < float((way[4] - way[0]).square().mean())


def test_a_spherical_way_keeps_the_length() -> None:
    first, second = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    way = nodes.between(first, second, 5, spherical=True)
    assert torch.allclose(way.norm(dim=1), torch.full((5,), 2.0))
    assert torch.allclose(way[2], torch.tensor([math.sqrt(2), math.sqrt(2), 0.0]))
    assert torch.allclose(nodes.between(first, -first, 3, spherical=True)[1], torch.zeros(3), atol=1e-6)


@pytest.mark.parametrize("score", ["elbo", "error"])
def test_odd_images_score_higher_than_those_held_out(learned: Any, score: Any) -> None:
    ctx, model = held(learned)
    usual = nodes.anomaly(discs(40, 77), model, score=score, draws=4, ctx=ctx)
    odd = nodes.anomaly(discs(40, 78, odd=True), model, score=score, draws=4, ctx=ctx)
    assert sets.auroc(odd.values, usual.values) > 0.95
    assert sets.auroc(usual.values, odd.values) < 0.05
    assert odd.map.pixels.shape == (40, 16, 16, 3)
    assert float(odd.map.pixels.max()) == pytest.approx(1.0)
    assert odd.reconstruction.pixels.shape == (40, 16, 16, 3)


def test_the_map_shows_where(learned: Any) -> None:
    """A spot on a disc of the training kind is where the map is brightest; it has the size of the image."""
    ctx, model = held(learned)
    pixels = discs(1, 80).pixels.clone()
    pixels[:, 12:15, 1:4] = torch.tensor([0.0, 0.0, 1.0])
    large = pixels.repeat_interleave(2, 1).repeat_interleave(2, 2)
    shown = nodes.anomaly(Image(large), model, ctx=ctx).map.pixels
    assert shown.shape == (1, 32, 32, 3)
    assert float(shown[:, 24:30, 2:8].mean()) > 3 * float(shown.mean())


def test_the_area_under_the_curve_is_the_part_of_pairs() -> None:
    assert sets.auroc([3.0, 1000.0], [1.0, 2.0]) == 1.0
    assert sets.auroc([1.0, 4.0], [2.0, 3.0]) == 0.5
    assert sets.auroc([1.0], [1.0]) == 0.5
    assert sets.auroc([-5.0, 1e9], [-7.0, 0.5, -6.0]) == pytest.approx(5 / 6)
    with pytest.raises(ProblemError) as caught:
        sets.auroc([], [1.0])
    assert caught.value.problems[0].port == "odd"


@pytest.mark.parametrize("side", variational.SIDES)
def test_it_has_every_side(side: int) -> None:
    shape = variational.Shape(side, 5, 8, 16)
    network = variational.fresh(shape)
    mean, log_variance = variational.encoded(network, torch.zeros(2, 3, side, side))
    assert mean.shape == log_variance.shape == (2, 5)
    assert variational.decoded(network, shape, mean).shape == (2, 3, side, side)


def test_it_is_written_and_loaded_as_a_model(run: Callable[..., Any], home: Path, studio: Any) -> None:
    words = {"words": "apple, sky, tree, house", "odd_words": "cat, dog"}
    tiny = {"updates": 3, "batch": 2, "side": "16", "width": 8, "widest": 8, "latent": 4}
    outcome, _ = run("variational", name="flat", **tiny, **words)
    assert {"curve", "samples", "reconstructions", "odd", "way", "area_elbo", "area_error"} <= set(outcome.outputs)
    folder = home / "models" / "flat"
    about = json.loads((folder / "training.json").read_text())[variational.CLASS]
    assert about["updates"] == 3
    assert "active_units" in about
    library = studio.models.library
    assert library.describe("flat").kind == "variational"
    with pytest.raises(ProblemError) as caught:
        library.find("flat", "vae")
    assert "variational" in caught.value.problems[0].message


def test_the_workflow_of_scans_scores_those_with_lesions(run: Callable[..., Any], home: Path) -> None:
    tiny = {"scans": 8, "tests": 8, "updates": 2, "batch": 2, "side": "16", "width": 8, "widest": 8, "latent": 4}
    outcome, _ = run("odd_scans", name="scans", **tiny)
    assert {"curve", "samples", "sheet", "area_error", "area_elbo"} <= set(outcome.outputs)
    assert (home / "models" / "scans" / "config.json").is_file()


def test_a_damaged_configuration_is_told() -> None:
    with pytest.raises(ProblemError) as caught:
        variational.Shape.of({**SHAPE.config(), "side": 17}, "it")
    assert caught.value.problems[0].code == "config_damaged"
