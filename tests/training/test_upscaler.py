"""Training an upscaler: the loss falls, its parts are those of the papers, and what is saved is spandrel's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import tiny_sets
from node_bench import BenchContext, recipe
from safelight.app import Studio
from safelight.sdk import Cancelled, ProblemError
from safelight_nodes._training.adversarial import Player, duel
from safelight_nodes._training.course import Course, Curve
from safelight_nodes._training.images import Drawer, opened, parted
from safelight_nodes._training.loop import numpy_generator
from safelight_nodes._training.upscaler.degradation import Degradation, enlarged, packed, shrunk, spoiled
from safelight_nodes._training.upscaler.learn import Game, Patches, Settings, examples, psnr
from safelight_nodes._training.upscaler.networks import Shape, discriminator, fresh, of_discriminator, of_generator
from safelight_nodes.training import upscalers

TINY: dict[str, Any] = {
    "batch": 4, "learning_rate": 2e-3, "warmup_steps": 5, "ema_decay": 0.9, "width": 32, "crop": 32, "seed": 3,
}  # fmt: skip
SETTINGS = Settings(
    Shape("compact", 4, 8, 1), Degradation(), 1.0, 2.0, 0.0, 0.0, 4, 4, 1e-3, 1, 0.9, 32, 0.25, 8, 5
)  # fmt: skip
CPU = torch.device("cpu")


def bench(**told: Any) -> BenchContext:
    """One whose models compute in float32."""
    ctx = BenchContext(previews=True, **told)
    ctx.models.device = lambda: (CPU, torch.float32)
    return ctx


def learned(ctx: BenchContext, **told: Any) -> upscalers.Trained:
    return upscalers.upscaler(tiny_sets.image_set(), None, None, None, None, **{**TINY, **told}, ctx=ctx)


@pytest.mark.parametrize(
    "told",
    [
        {"network": "compact", "blocks": 2, "spoiled": 0.5},
        {"network": "compact", "blocks": 2, "scale": "2"},
        {"network": "rrdb", "blocks": 1, "scale": "2", "width": 16, "batch": 4, "crop": 32, "learning_rate": 2e-3},
    ],
)
def test_the_loss_falls(told: dict[str, Any]) -> None:
    ctx = bench()
    made = learned(ctx, **{"updates": 100, "batch": 16, "crop": 48, "learning_rate": 5e-3, **told})
    losses = [value for _, value in made.weights.curve]
    assert sum(losses[-20:]) < 0.85 * sum(losses[:20])
    assert ctx.steps[-1] == (100, 100)
    assert ctx.shown[-1].pixels.shape == made.sheet.pixels.shape == (1, 256, 192, 3)
    on_the_way = made.weights.about["psnr_on_the_way"]
    assert [step for step, _ in on_the_way] == list(range(5, 101, 5))
    assert on_the_way[0][1] + 1 < on_the_way[-1][1]
    assert on_the_way[9][1] < on_the_way[-1][1]
    assert (made.weights.about["psnr"], made.weights.about["bicubic"]) == (round(made.psnr, 2), round(made.bicubic, 2))


@pytest.mark.parametrize("width", [16, 32])
def test_compact_begins_by_repeating_pixels_and_sees_what_is_around_them(width: int) -> None:
    network = fresh(Shape("compact", 2, width, 3), 3)
    given = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(network(given), given.repeat_interleave(2, -1).repeat_interleave(2, -2))
        seen = given
        for layer in network.body[:-1]:
            seen = layer(seen)
    if width == 32:
        around = torch.nn.functional.unfold(given, 3, padding=1).view(1, 27, 6, 6)
        assert torch.allclose(seen[:, :27], around, atol=1e-6)


def test_it_beats_bicubic_on_images_that_it_did_not_see() -> None:
    images, held = parted(tiny_sets.image_set(), 0.3, 1)
    told = {**TINY, "updates": 300, "network": "compact", "blocks": 3, "scale": "2", "batch": 8, "learning_rate": 4e-3}
    made = upscalers.upscaler(images, held, None, None, None, **told, ctx=bench())
    assert made.psnr > made.bicubic + 1


def test_both_sides_learn_with_a_discriminator() -> None:
    made = learned(bench(), updates=40, network="compact", blocks=2, adversarial=0.01, discriminator_width=8)
    names = [name for name, _ in made.weights.curves]
    assert names == ["discriminator", "upscaler"]
    judged = [value for _, value in made.weights.curves[0][1]]
    assert sum(judged[-5:]) < sum(judged[:5])


def test_a_network_that_knows_the_original_has_no_loss() -> None:
    patches = Patches(Drawer(tiny_sets.image_set(), 5), SETTINGS, None)
    original, small = patches(7)
    assert original.shape == (4, 3, 32, 32) and small.shape == (4, 3, 8, 8)
    assert torch.equal(small, shrunk(original, 4))

    def oracle(given: torch.Tensor) -> torch.Tensor:
        assert torch.equal(given, small)
        return original

    def off(given: torch.Tensor) -> torch.Tensor:
        return original + 0.25

    for network, loss in ((oracle, 0.0), (off, 0.25 + 2 * 0.25**2)):
        game = Game(network, None, None, patches, SETTINGS, CPU, torch.float32)
        assert float(game.of_generator(7)) == pytest.approx(loss, abs=1e-6)


def test_the_adversarial_losses_are_those_of_the_paper() -> None:
    """Equations 1 and 2 of ESRGAN, written down with sigmoids and logarithms."""
    real, fake = torch.randn(2, 3, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    more_real = torch.sigmoid(real - fake.mean())
    more_fake = torch.sigmoid(fake - real.mean())
    d = -more_real.log().mean() - (1 - more_fake).log().mean()
    g = -(1 - more_real).log().mean() - more_fake.log().mean()
    assert float(of_discriminator(real, fake)) == pytest.approx(float(d))
    assert float(of_generator(real, fake)) == pytest.approx(float(g))


def test_the_perceptual_term_is_in_the_loss() -> None:
    class Eyes:
        def apart(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            assert float(x.min()) < -0.5, "images in -1..1"
            return (x - y).square().mean()

    patches = Patches(Drawer(tiny_sets.image_set(), 5), SETTINGS, None)
    original, _ = patches(0)
    settings = replace(SETTINGS, pixel=0.0, squares=0.0, perceptual=3.0)
    eyes: Any = Eyes()
    game = Game(lambda _: original + 0.1, None, eyes, patches, settings, CPU, torch.float32)
    assert float(game.of_generator(0)) == pytest.approx(3 * 0.2**2, rel=1e-4)


def test_small_copies_are_those_of_pillow() -> None:
    from PIL import Image

    # Not up to black and white: Pillow cuts off between its two passes.
    original = Patches(Drawer(tiny_sets.image_set(), 5), SETTINGS, None)(3)[0][:1] * 0.4 + 0.3
    array = (original[0].movedim(0, -1).numpy() * 255).round().astype(np.uint8)
    for made, size in ((shrunk(original, 4), (8, 8)), (enlarged(original, 2), (64, 64))):
        by_hand = np.asarray(Image.fromarray(array).resize(size, Image.Resampling.BICUBIC), np.float32)
        assert np.abs(made[0].movedim(0, -1).numpy() * 255 - by_hand).max() < 1.6


def test_each_way_of_spoiling_does_its_own() -> None:
    original = Patches(Drawer(tiny_sets.image_set(), 5), SETTINGS, None)(3)[0]
    clean = shrunk(original, 4)

    def made(**how: Any) -> torch.Tensor:
        return spoiled(original, 4, Degradation(**how), numpy_generator(1, 2), lambda small: small * 0 + 0.5)

    assert torch.equal(made(), clean)
    assert torch.equal(made(share=1.0), clean)
    assert torch.equal(made(share=0.0, blur=3.0, noise=0.2, jpeg=40), clean)
    blurred, noisy, jpeg = made(share=1.0, blur=3.0), made(share=1.0, noise=0.2), made(share=1.0, jpeg=40)
    assert blurred.diff(dim=-1).abs().mean() < 0.9 * clean.diff(dim=-1).abs().mean()
    assert noisy.diff(dim=-1).abs().mean() > clean.diff(dim=-1).abs().mean()
    assert 0 < float((jpeg - clean).abs().mean()) < 0.1
    assert float((packed(clean[0], 95) - clean[0]).abs().mean()) < float((packed(clean[0], 10) - clean[0]).abs().mean())
    assert torch.equal(made(coded=1.0), torch.full_like(clean, 0.5))
    assert torch.equal(made(share=1.0, noise=0.2), noisy), "the same numbers, the same copies"


def test_psnr_is_that_of_torchmetrics() -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    one, other = torch.rand(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    assert psnr(one, other) == pytest.approx(float(peak_signal_noise_ratio(other, one, data_range=1.0)), abs=1e-4)


@pytest.mark.parametrize(
    "shape", [Shape("compact", 4, 8, 2), Shape("compact", 2, 8, 1), Shape("rrdb", 4, 8, 1), Shape("rrdb", 2, 8, 2)]
)
def test_spandrel_makes_the_same_of_the_same_weights(shape: Shape) -> None:
    from spandrel import ModelLoader

    own = fresh(shape, 3).eval()
    loaded: Any = ModelLoader("cpu").load_from_state_dict(
        {name: value.clone() for name, value in own.state_dict().items()}
    )
    assert loaded.scale == shape.scale
    given = torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        made = own(given)
        assert made.shape == (1, 3, 12 * shape.scale, 12 * shape.scale)
        assert torch.equal(loaded.model.eval()(given), made)


def test_a_discriminator_judges_patches() -> None:
    assert discriminator(8, 1)(torch.rand(2, 3, 32, 32)).shape == (2, 1, 4, 4)


@pytest.mark.parametrize("adversarial", [0.0, 0.01])
def test_cancelled_and_gone_on_it_ends_in_the_same_weights_and_record(adversarial: float) -> None:
    told = {"updates": 8, "network": "compact", "blocks": 1, "adversarial": adversarial, "discriminator_width": 8}
    straight = learned(bench(), **told)
    ctx = bench(cancel_at=5)
    with pytest.raises(Cancelled):
        learned(ctx, **told)
    again = learned(bench(state=ctx.kept[-1]), **told)
    assert again.weights.about == straight.weights.about
    assert len(again.weights.about["psnr_on_the_way"]) == 8
    assert again.weights.curve == straight.weights.curve
    for name, value in straight.weights.tensors.items():
        assert torch.equal(value, again.weights.tensors[name]), name


def test_a_checkpoint_without_records_is_gone_on_from() -> None:
    """Those of earlier releases have none."""
    module = torch.nn.Linear(1, 1)
    player = Player("one", module, lambda _: module.weight.square().sum(), Course(2, 0.1))
    kept = {key: value for key, value in player.side.state().items() if key != "records"}
    player.side.records["psnr"] = Curve()
    player.side.put_back(kept)
    steps: list[int] = []
    duel([player], BenchContext(), after=steps.append)
    assert steps == [0, 1] and player.side.records["psnr"].points == []


@pytest.mark.parametrize(
    ("told", "code"), [({"crop": 128}, "crop_too_large"), ({"crop": 18, "scale": "4"}, "size_not_a_multiple")]
)
def test_crops_that_do_not_fit_are_refused(told: dict[str, Any], code: str) -> None:
    with pytest.raises(ProblemError) as caught:
        learned(bench(), updates=1, **told)
    assert [(problem.code, problem.port) for problem in caught.value.problems] == [(code, "crop")]


def test_smaller_images_of_a_set_are_taken_at_their_own_size(tmp_path: Path) -> None:
    """As `training.fetch` writes those whose source is smaller."""
    tiny_sets.write(tmp_path)
    folder = tmp_path / "emoji"
    said = json.loads((folder / "images.json").read_text())
    for entry in said["images"][:3]:
        entry["size"] = [24, 32]
    (folder / "images.json").write_text(json.dumps(said))
    images = opened(folder / "images.json", folder / "images.npy")
    assert images.sizes[:4] == ((24, 32), (24, 32), (24, 32), (64, 64))
    assert examples(images, len(images.entries), SETTINGS)[0].original.shape == (1, 3, 24, 32)
    with pytest.raises(ProblemError) as caught:
        upscalers.upscaler(images, None, None, None, None, **TINY, ctx=bench())
    assert caught.value.problems[0].hint.startswith("Set crop to 16")
    said["images"][0]["size"] = [24, 65]
    (folder / "images.json").write_text(json.dumps(said))
    with pytest.raises(ProblemError) as caught:
        opened(folder / "images.json", folder / "images.npy")
    assert caught.value.problems[0].code == "bad_image_set"


@pytest.mark.parametrize("shape", [Shape("compact", 2, 8, 2), Shape("rrdb", 2, 8, 1)])
def test_one_goes_on_from_another(shape: Shape) -> None:
    ctx = bench()
    own = fresh(shape, 5)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    ctx.models.put("Upscaler", "mine", SimpleNamespace(network=SimpleNamespace(model=own.requires_grad_(False))))
    told = {**TINY, "updates": 3, "learning_rate": 1e-6}
    made = upscalers.upscaler(tiny_sets.image_set(), None, recipe("Upscaler", "", "mine"), None, None, **told, ctx=ctx)
    assert made.weights.about["shape"] == made.weights.config == vars(shape)
    for name, value in made.weights.tensors.items():
        assert torch.allclose(value, before[name], atol=1e-4), name
        assert torch.equal(own.state_dict()[name], before[name]), "the model itself is left as it is"
    assert any(not torch.equal(value, before[name]) for name, value in made.weights.tensors.items())


def test_other_networks_are_no_start() -> None:
    from spandrel.architectures.Compact import Compact

    ctx = bench()
    grey = SimpleNamespace(network=SimpleNamespace(model=Compact(num_in_ch=1, num_out_ch=1, num_feat=8, num_conv=1)))
    ctx.models.put("Upscaler", "grey", grey)
    with pytest.raises(ProblemError) as caught:
        upscalers.upscaler(tiny_sets.image_set(), None, recipe("Upscaler", "", "grey"), None, None, **TINY, ctx=ctx)
    assert [(problem.code, problem.port) for problem in caught.value.problems] == [("wrong_model", "start")]


def test_what_is_saved_makes_images_larger(run: Callable[..., Any], studio: Studio, home: Path) -> None:
    told = {"index": "emoji/images.json", "pixels": "emoji/images.npy", "vae": "tiny"}
    outcome, _ = run("upscaler", name="larger", updates=3, batch=2, crop=32, width=8, blocks=1, scale="2", **told)
    assert {"curve", "sheet", "psnr", "bicubic"} <= set(outcome.outputs)
    folder = home / "models" / "larger"
    about = json.loads((folder / "training.json").read_text())["upscaler"]
    assert about["updates"] == 3 and about["shape"]["scale"] == 2
    from spandrel import ModelLoader

    assert ModelLoader("cpu").load_from_file(folder / "upscaler.safetensors").scale == 2
    assert studio.models.find("larger", "upscaler").name == "larger"
