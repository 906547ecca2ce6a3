"""GANs: the losses are those of their papers, both sides learn, and what is saved draws the same images again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import real_weights
import tiny_sets
from node_bench import BenchContext, codes
from safelight.app import Studio
from safelight.sdk import Cancelled, Image, ProblemError
from safelight_nodes import dataset, weights
from safelight_nodes._training.adversarial import Player, duel
from safelight_nodes._training.course import Course
from safelight_nodes._training.gan import losses
from safelight_nodes._training.gan.drawing import between, drawn, latents, settle
from safelight_nodes._training.gan.learn import classes_of
from safelight_nodes._training.gan.networks import discriminator, generator
from safelight_nodes._training.gan.shapes import Shape
from safelight_nodes._training.gan.unrolled import unrolled
from safelight_nodes.metrics.diversity import diversity
from safelight_nodes.training import gans

TINY: dict[str, Any] = {"batch": 8, "side": 16, "width": 8, "latent": 16, "ema_decay": 0.9, "seed": 3}
WAYS: dict[str, dict[str, Any]] = {
    "dcgan": {},
    "hinge": {"loss": "hinge", "spectral_norm": True},
    "least_squares": {"loss": "least_squares", "label_smoothing": 0.1},
    "wgan_gp": {"loss": "wgan_gp", "discriminator_updates": 2},
    "unrolled": {"unrolled_steps": 1},
    "resnet": {"architecture": "resnet", "loss": "hinge", "spectral_norm": True},
    "stylegan2": {"architecture": "stylegan2", "r1": 1.0, "classes": "group"},
    "biggan": {"architecture": "biggan", "loss": "hinge", "spectral_norm": True, "classes": "style"},
}


def bench(**given: Any) -> BenchContext:
    """One whose models compute in float32."""
    ctx = BenchContext(**given)
    ctx.models.device = lambda: (torch.device("cpu"), torch.float32)
    return ctx


def trained(ctx: BenchContext, **given: Any) -> Any:
    return gans.gan(tiny_sets.image_set(32), **{**TINY, **given}, ctx=ctx)


def made_by(made: Any, count: int) -> Image:
    """Images of trained weights."""
    network = generator(Shape.of(made.config))
    network.load_state_dict(made.tensors)
    return Image(drawn(network.eval(), latents(range(count), made.config["latent"])).movedim(1, -1).contiguous())


# The formulas.


def test_the_losses_are_those_of_the_papers() -> None:
    real, made = torch.tensor([2.0, -0.5, 0.3]), torch.tensor([-1.5, 0.2, 4.0])
    ones, zeros = torch.ones(3), torch.zeros(3)
    cross = functional.binary_cross_entropy_with_logits
    found = losses.of_discriminator("non_saturating", real, made)
    assert torch.allclose(found, cross(real, ones) + cross(made, zeros))
    assert torch.allclose(losses.of_generator("non_saturating", made), cross(made, ones))
    smooth = losses.of_discriminator("non_saturating", real, made, 0.1)
    assert torch.allclose(smooth, cross(real, 0.9 * ones) + cross(made, zeros))
    assert float(losses.of_discriminator("hinge", real, made)) == pytest.approx((1.5 + 0.7) / 3 + (1.2 + 5.0) / 3)
    assert torch.allclose(losses.of_discriminator("wgan_gp", real, made), made.mean() - real.mean())
    assert float(losses.of_discriminator("least_squares", ones, zeros)) == 0
    assert float(losses.of_discriminator("least_squares", 0.9 * ones, zeros, 0.1)) == pytest.approx(0, abs=1e-12)
    for loss in ("hinge", "wgan_gp"):
        assert torch.allclose(losses.of_generator(loss, made), -made.mean())


def test_penalties_of_a_critic_whose_slope_is_known() -> None:
    slope = torch.randn(3, 8, 8)

    def critic(images: torch.Tensor) -> torch.Tensor:
        return (images * slope).sum((1, 2, 3))

    real, made = torch.rand(2, 4, 3, 8, 8)
    found = losses.gradient_penalty(critic, real, made, torch.rand(4, 1, 1, 1))
    assert float(found) == pytest.approx(float((slope.norm() - 1) ** 2), rel=1e-5)
    assert float(losses.r1(critic, real)) == pytest.approx(float(slope.square().sum()) / 2, rel=1e-5)


def test_a_critic_that_keeps_the_penalty_tells_the_wasserstein_distance() -> None:
    """Two clouds that lie 3 apart: a slope of 1 is all that a strong penalty lets the critic have, so it tells 3."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(1, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    with torch.no_grad():  # a critic that slopes the wrong way would have to pass a slope of 0, which costs most
        critic[2].weight.copy_(critic[0].weight.T.abs() * critic[0].weight.T.sign())
    optimiser = torch.optim.Adam(critic.parameters(), 5e-3, betas=(0.0, 0.9))
    told: list[float] = []
    for _ in range(400):
        real, made = torch.rand(64, 1) * 0.1 + 3.0, torch.rand(64, 1) * 0.1
        value = losses.of_discriminator("wgan_gp", critic(real)[:, 0], critic(made)[:, 0])
        told.append(-float(value.detach()))
        value = value + 100 * losses.gradient_penalty(lambda x: critic(x)[:, 0], real, made, torch.rand(64, 1))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    assert sum(told[-50:]) / 50 == pytest.approx(3.0, abs=0.15)


def test_unrolling_is_adam_and_leaves_all_as_it_was() -> None:
    torch.manual_seed(1)
    shape = Shape("dcgan", 16, 8, 4)
    judge = discriminator(shape, "batch", False)
    optimiser = torch.optim.AdamW(judge.parameters(), 1e-2, betas=(0.5, 0.999), weight_decay=0.0)
    real, made = torch.rand(2, 4, 3, 16, 16)

    def loss(critic: Any) -> torch.Tensor:
        return losses.of_discriminator("hinge", critic(real), critic(made))

    def step() -> None:
        optimiser.zero_grad()
        loss(judge).backward()
        optimiser.step()

    step()
    before = {name: one.clone() for name, one in judge.state_dict().items()}
    made.requires_grad_(True)
    critic = unrolled(judge, optimiser, loss, 2, None)
    ahead = critic(made)
    (slope,) = torch.autograd.grad(ahead.mean(), made)
    assert bool(slope.abs().sum() > 0)
    assert all(torch.equal(one, before[name]) for name, one in judge.state_dict().items())
    made.requires_grad_(False)
    step()
    step()
    assert torch.allclose(judge(made), ahead.detach(), atol=1e-4)


def test_a_modulated_convolution_has_weights_of_its_own_for_each_image() -> None:
    from safelight_nodes._training.gan.stylegan2 import Modulated

    layer = Modulated(3, 5, 3, 4)
    x, w = torch.randn(2, 3, 8, 8), torch.randn(2, 4)
    for one, style, found in zip(x, layer.style(w), layer(x, w), strict=True):
        weight = layer.weight * layer.scale * style[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        assert torch.allclose(functional.conv2d(one[None], weight, padding=1)[0], found, atol=1e-5)


def test_spectral_normalisation_holds_the_layers() -> None:
    judge = discriminator(Shape("dcgan", 32, 8, 8), "none", True)
    for _ in range(200):
        judge(torch.rand(2, 3, 32, 32))
    for module in judge.modules():
        if isinstance(module, nn.Conv2d):
            assert float(torch.linalg.matrix_norm(module.weight.flatten(1), 2)) == pytest.approx(1, abs=0.05)


# The training.


@pytest.mark.parametrize("way", WAYS)
def test_both_sides_learn(way: str) -> None:
    ctx = bench(previews=True)
    made = trained(ctx, updates=4, **WAYS[way])
    assert [name for name, _ in made.curves] == ["discriminator", "generator"]
    assert all(len(points) == 4 for _, points in made.curves)
    assert made.curve == made.curves[1][1]
    assert ctx.shown[-1].pixels.shape == (1, 64, 64, 3)
    assert ctx.steps[-1] == (4, 4)
    fresh = generator(Shape.of(made.config))
    fresh.load_state_dict(made.tensors)
    assert all(bool(torch.isfinite(one).all()) for one in made.tensors.values())


@pytest.mark.parametrize("way", ["hinge", "stylegan2"])
def test_in_half_precision_weights_stay_whole(way: str) -> None:
    ctx = bench()
    ctx.models.device = lambda: (torch.device("cpu"), torch.bfloat16)
    made = trained(ctx, updates=2, **WAYS[way])
    exact = trained(bench(), updates=2, **WAYS[way])
    assert all(one.dtype in (torch.float32, torch.int64) for one in made.tensors.values())
    assert made.curves[0][1][0][1] == pytest.approx(exact.curves[0][1][0][1], rel=0.05)


def test_images_come_nearer_to_the_real_ones() -> None:
    """The kernel distance of their pixels falls far below that of an untrained generator."""
    from safelight_nodes._diversity import rows
    from safelight_nodes.metrics.sets import kernel
    from safelight_nodes.reading_values import Vectors

    images = tiny_sets.image_set(16)
    shown = dataset.draw(images, count=128, side=16)
    real = Vectors(rows([shown]), "pixels")

    def away(made: Any) -> float:
        return kernel(Vectors(rows([made_by(made, 128)]), "pixels"), real).value

    rates = {"learning_rate": 2e-3, "discriminator_learning_rate": 2e-3}
    given = {**TINY, **WAYS["hinge"], **rates, "batch": 16}
    early, late = (gans.gan(images, **given, updates=count, ctx=bench()) for count in (1, 150))
    assert away(late) < 0.5 * away(early)
    assert not diversity([made_by(late, 128)], [shown]).collapsed
    assert diversity([made_by(early, 128)], [shown]).collapsed


@pytest.mark.parametrize("way", ["hinge", "stylegan2", "biggan"])
def test_cancelled_it_goes_on_to_the_same_weights(way: str) -> None:
    given = {**WAYS[way], "updates": 6, "discriminator_updates": 2}
    whole = trained(bench(), **given)
    ctx = bench(cancel_at=3)
    with pytest.raises(Cancelled):
        trained(ctx, **given)
    again = bench(state=ctx.kept[-1])
    result = trained(again, **given)
    assert again.steps[0] == (4, 6)
    assert result.curves == whole.curves
    assert all(torch.equal(one, result.tensors[name]) for name, one in whole.tensors.items())


def test_looking_at_samples_changes_nothing() -> None:
    seen, unseen = (trained(bench(previews=previews), updates=3, **WAYS["dcgan"]) for previews in (True, False))
    assert all(torch.equal(one, unseen.tensors[name]) for name, one in seen.tensors.items())


def test_players_have_their_turns_and_their_rates() -> None:
    """Two numbers, each pulled at by its own loss: what rests is not moved, and updates are as many as said."""
    first, second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    calls: list[tuple[str, int]] = []

    def loss(name: str, module: Any) -> Callable[[int], torch.Tensor]:
        def value(update: int) -> torch.Tensor:
            calls.append((name, update))
            other = second if module is first else first
            assert not any(one.requires_grad for one in other.parameters())
            return (module.weight + other.weight).sum()

        return value

    start = [float(module.weight.detach()) for module in (first, second)]
    course = Course(2, 0.1, 0, "constant", 0.0, 0.0, (0.0, 0.9), clip=0.0)
    players = [
        Player("first", first, loss("first", first), course, updates=2),
        Player("second", second, loss("second", second), replace(course, learning_rate=0.01)),
    ]
    curves = duel(players, BenchContext())
    assert calls == [("first", 0), ("first", 1), ("second", 0), ("first", 2), ("first", 3), ("second", 1)]
    assert float(first.weight.detach()) == pytest.approx(start[0] - 0.4, abs=0.02)
    assert float(second.weight.detach()) == pytest.approx(start[1] - 0.02, abs=0.002)
    assert [(name, len(points)) for name, points in curves] == [("first", 2), ("second", 2)]


def test_a_loss_that_is_no_number_is_told_at_the_rate_of_its_side() -> None:
    module = nn.Linear(1, 1)
    course = Course(3, 0.1, clip=0.0, port="discriminator_learning_rate")
    with pytest.raises(ProblemError) as caught:
        duel([Player("d", module, lambda update: module.weight.sum() * float("nan"), course)], BenchContext())
    assert codes(caught) == [("training_diverged", "discriminator_learning_rate")]


def test_what_cannot_be_trained_is_told() -> None:
    with pytest.raises(ProblemError) as caught:
        trained(bench(), updates=1, side=24)
    assert codes(caught) == [("size_not_a_multiple", "side")]
    with pytest.raises(ProblemError) as caught:
        trained(bench(), updates=1, classes="style")
    assert codes(caught) == [("not_a_choice", "classes")]
    images = tiny_sets.image_set(32)
    plain = replace(images, entries=tuple({**entry, "style": -1} for entry in images.entries))
    with pytest.raises(ProblemError) as caught:
        classes_of(plain, "style")
    assert codes(caught) == [("bad_image_set", "classes")]


# What is saved.


@pytest.fixture(scope="module")
def saved(home: Path) -> dict[str, Any]:
    """Trained and saved generators by way, and a context over their folder."""
    from node_bench import offline_store

    ctx = bench()
    found: dict[str, Any] = {
        "weights": {way: trained(ctx, updates=2, **WAYS[way]) for way in ("dcgan", "stylegan2", "biggan")}
    }
    found["ctx"] = BenchContext(models=offline_store(home))
    found["refs"] = {
        way: weights.save_gan(made, name=f"gans/{way}", ctx=found["ctx"]) for way, made in found["weights"].items()
    }
    return found


@pytest.mark.parametrize("way", ["dcgan", "stylegan2", "biggan"])
def test_what_is_saved_draws_the_same(way: str, saved: dict[str, Any], home: Path) -> None:
    from safelight_nodes import gan

    ctx, made = saved["ctx"], saved["weights"][way]
    folder = home / "models" / "gans" / way
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "training.json"}
    said = json.loads((folder / "training.json").read_text())["SafelightGAN"]
    assert set(said["curves"]) == {"discriminator", "generator"}
    ref = gan.load(model=f"gans/{way}", precision="float32", ctx=ctx)
    assert ref.source == saved["refs"][way].source
    network = generator(Shape.of(made.config))
    network.load_state_dict(made.tensors)
    network.eval()
    count = len(made.config["classes"])
    labels = torch.arange(4) % count if count else None
    wanted = drawn(network, latents(range(7, 11), 16), labels).movedim(1, -1)
    found = gan.generate(ref, seed=7, batch=4, ctx=ctx).pixels
    assert found.shape == (4, 16, 16, 3)
    assert torch.allclose(found, wanted, atol=1e-6)
    walk = gan.interpolate(ref, seed=7, to_seed=9, steps=5, label=made.config["classes"][0] if count else "", ctx=ctx)
    assert walk.pixels.shape == (5, 16, 16, 3)
    assert torch.allclose(walk.pixels[0], found[0], atol=1e-5)
    assert not torch.allclose(walk.pixels[2], found[0], atol=1e-3)


@pytest.mark.parametrize("way", ["dcgan", "stylegan2"])
def test_an_image_of_the_generator_is_found_again(way: str, saved: dict[str, Any]) -> None:
    from safelight_nodes import gan

    ctx, ref = saved["ctx"], saved["refs"][way]
    label = "" if way == "dcgan" else "Animals & Nature"
    image = gan.generate(ref, seed=900, batch=2, label=label, ctx=ctx)
    far, near = (gan.project(ref, image, steps=steps, label=label, ctx=ctx) for steps in (1, 150))
    assert near.image.pixels.shape == (2, 16, 16, 3)
    assert all(one < 0.6 * other for one, other in zip(near.distance, far.distance, strict=True))
    assert ctx.steps[-1] == (299, 300)


def test_truncation_brings_images_together(saved: dict[str, Any]) -> None:
    from safelight_nodes import gan

    for way in ("dcgan", "stylegan2"):
        whole, cut = (
            gan.generate(
                saved["refs"][way],
                batch=32,
                truncation=one,
                label="" if way == "dcgan" else "Animals & Nature",
                ctx=saved["ctx"],
            ).pixels
            for one in (1.0, 0.2)
        )
        assert float(cut.std(0).mean()) < float(whole.std(0).mean())


def test_a_class_can_be_asked_for(saved: dict[str, Any]) -> None:
    from safelight_nodes import gan

    ctx, ref = saved["ctx"], saved["refs"]["biggan"]
    mixed = gan.generate(ref, batch=3, ctx=ctx).pixels
    flat = gan.generate(ref, batch=3, label="flat", ctx=ctx).pixels
    names = saved["weights"]["biggan"].config["classes"]
    assert names == ["3d", "drawn", "flat"]
    assert torch.equal(mixed[2], flat[2])
    assert not torch.equal(mixed[0], flat[0])
    with pytest.raises(ProblemError) as caught:
        gan.generate(ref, label="oil", ctx=ctx)
    assert codes(caught) == [("not_a_choice", "label")]
    with pytest.raises(ProblemError) as caught:
        gan.generate(saved["refs"]["dcgan"], label="flat", ctx=ctx)
    assert codes(caught) == [("not_a_choice", "label")]


def test_other_models_and_broken_ones_are_refused(saved: dict[str, Any], home: Path) -> None:
    from safelight_nodes import gan

    ctx = saved["ctx"]
    with pytest.raises(ProblemError) as caught:
        gan.load(model="tiny", ctx=ctx)
    assert codes(caught) == [("wrong_model", "model")]
    with pytest.raises(ProblemError) as caught:
        weights.save_vae(saved["weights"]["dcgan"], ctx=ctx)
    assert codes(caught) == [("wrong_weights", "weights")]
    broken = replace(saved["weights"]["dcgan"], config={**saved["weights"]["dcgan"].config, "width": 12})
    ref = weights.save_gan(broken, name="gans/broken", ctx=ctx)
    with pytest.raises(ProblemError) as caught:
        gan.generate(ref, ctx=ctx)
    assert codes(caught) == [("model_incomplete", "model")]


def test_a_file_of_dcgan_is_known_by_its_shapes(saved: dict[str, Any], home: Path) -> None:
    from safetensors.torch import save_file

    from safelight_nodes import gan

    save_file(saved["weights"]["dcgan"].tensors, home / "models" / "netG.safetensors")
    ctx = saved["ctx"]
    ref = gan.load(model="netG.safetensors", precision="float32", ctx=ctx)
    assert torch.equal(gan.generate(ref, ctx=ctx).pixels, gan.generate(saved["refs"]["dcgan"], ctx=ctx).pixels)


@pytest.mark.slow
def test_a_real_dcgan_draws_faces(saved: dict[str, Any], home: Path) -> None:
    """Weights that others trained, out of a package: 64 pixels, different each time, smooth, and of the colour of skin
    in the middle."""
    from safetensors.torch import save_file

    from safelight_nodes import gan

    found = {name.removeprefix("module."): tensor.contiguous() for name, tensor in real_weights.dcgan_faces().items()}
    save_file(found, home / "models" / "faces.safetensors")
    ctx = saved["ctx"]
    faces = gan.generate(gan.load(model="faces.safetensors", ctx=ctx), batch=32, ctx=ctx).pixels
    assert faces.shape == (32, 64, 64, 3)
    assert float(faces.std(0).mean()) > 0.1
    assert float((faces[:, 1:] - faces[:, :-1]).abs().mean()) < 0.1
    red, green, blue = faces[:, 20:44, 20:44].mean((0, 1, 2))
    assert float(red) > float(green) > float(blue)


def test_a_walk_keeps_its_distance_from_the_mean() -> None:
    first, last = latents((1, 2), 512)
    lengths = between(first, last, 9).norm(dim=1)
    assert float(lengths.min()) > 0.9 * min(float(first.norm()), float(last.norm()))
    assert torch.allclose(between(first, last, 3)[0], first)
    assert torch.allclose(between(first, last, 3)[-1], last, atol=1e-5)
    assert torch.allclose(between(first, first, 3)[1], first)


def test_batch_statistics_are_those_of_the_averaged_weights() -> None:
    network = generator(Shape("dcgan", 16, 8, 8)).train()
    with torch.no_grad():
        network.main[0].weight.mul_(3)
    settle(network, 8, 0, 0)
    inner = network.main[0](torch.randn(2000, 8, 1, 1)).detach()
    assert torch.allclose(network.main[1].running_var, inner.var((0, 2, 3)), rtol=0.15)
    assert not network.training


def test_two_curves_are_drawn_and_old_values_open() -> None:
    made = trained(bench(), updates=3)
    both = weights.draw_curve(made, logarithmic=False).pixels
    alone = weights.draw_curve(replace(made, curves=()), logarithmic=False).pixels
    assert both.shape == alone.shape == (1, 360, 640, 3)
    assert not torch.equal(both, alone)
    from safelight.sdk.marker import fields_of

    assert "curves" not in fields_of(replace(made, curves=()))


def test_it_is_trained_saved_and_measured_by_the_workflow(run: Callable[..., Any], home: Path, studio: Studio) -> None:
    outcome, _ = run(
        "gan", name="gan", updates=3, batch=4, side=16, width=8, latent=8, count=16, limit=0,
    )  # fmt: skip
    assert {"curve", "sheet", "diversity"} <= set(outcome.outputs)
    assert json.loads((home / "models" / "gan" / "config.json").read_text())["side"] == 16


# A collapse is told.


def test_a_generator_of_one_image_has_collapsed_and_real_images_have_not() -> None:
    images = tiny_sets.image_set(32)
    real, others = (dataset.draw(images, count=60, side=16, seed=seed) for seed in (1, 2))
    healthy = diversity([others], [real])
    assert not healthy.collapsed
    assert healthy.distance == pytest.approx(1, abs=0.15)
    one = replace(real, pixels=(real.pixels[:1] + 0.01 * torch.randn(60, 16, 16, 3)).clamp(0, 1))
    dead = diversity([one], [real])
    assert dead.collapsed
    assert dead.duplicates == 1
    assert dead.reached <= 3
    assert dead.colors <= 2
    assert dead.said.startswith("Collapsed")
    three = replace(real, pixels=real.pixels[:3].repeat(20, 1, 1, 1) + 0.002 * torch.randn(60, 16, 16, 3))
    assert diversity([three], [others]).collapsed, "three images that differ are a collapse, too"


def test_a_rate_far_too_high_provokes_a_collapse_that_is_told() -> None:
    images = tiny_sets.image_set(32)
    made = gans.gan(
        images, **{**TINY, "learning_rate": 0.05, "discriminator_learning_rate": 2e-4}, updates=60, ctx=bench()
    )
    assert diversity([made_by(made, 60)], [dataset.draw(images, count=60, side=16)]).collapsed


def test_vectors_are_compared_where_they_are_given() -> None:
    from safelight_nodes.reading_values import Vectors

    images = tiny_sets.image_set(32)
    real, made = (dataset.draw(images, count=20, side=16, seed=seed) for seed in (1, 2))
    alike = Vectors(torch.ones(20, 4) + 1e-4 * torch.randn(20, 4), "m")
    various = Vectors(torch.randn(20, 4), "m")
    assert diversity([made], [real], alike, various).collapsed
    assert not diversity([made], [real], various, various).collapsed
    with pytest.raises(ProblemError) as caught:
        diversity([made], [real], various)
    assert codes(caught) == [("length_mismatch", "real_vectors")]
    with pytest.raises(ProblemError) as caught:
        diversity([made], [real], Vectors(torch.randn(3, 4), "m"), various)
    assert codes(caught) == [("length_mismatch", "vectors")]
    with pytest.raises(ProblemError) as caught:
        diversity([replace(made, pixels=made.pixels[:1])], [real])
    assert codes(caught) == [("too_few_images", "images")]
