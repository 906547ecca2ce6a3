"""Published generators: files under their makers' names are known, loaded, and draw what the papers' equations say."""

from __future__ import annotations

import json
import math
import pickle
import sys
import types
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import tiny_gans
import tiny_models
from node_bench import BenchContext, codes, offline_store
from safelight.models.converting import converted
from safelight.sdk import Image, ProblemError
from safelight_nodes import gan
from safelight_nodes._published_gans.networks import generator
from safelight_nodes._training.gan.drawing import latents

CLOSE = 2e-5


@pytest.fixture
def ctx(tmp_path: Path) -> BenchContext:
    (tmp_path / "models").mkdir()
    return BenchContext(models=offline_store(tmp_path))


@pytest.fixture
def models(ctx: BenchContext, tmp_path: Path) -> Path:
    del ctx
    return tmp_path / "models"


def loaded(ctx: BenchContext, name: str, precision: Any = "float32") -> Any:
    return gan.load(model=name, precision=precision, ctx=ctx)


def pixels(image: Tensor) -> Tensor:
    """What a generator gives in -1..1 as an image has it."""
    return (image / 2 + 0.5).clamp(0, 1).movedim(1, -1)


# BigGAN-deep.


def biggan_folder(folder: Path, tensors: Mapping[str, Tensor] | None = None) -> None:
    folder.mkdir(parents=True)
    save_file(dict(tensors or tiny_gans.biggan()), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(tiny_gans.BIGGAN))


@pytest.mark.parametrize("truncation", [1.0, 0.5, 0.25])
def test_biggan_draws_what_the_package_of_its_names_draws(truncation: float) -> None:
    """The images are those of `pytorch-pretrained-biggan` 0.1.1 with the same weights, which were kept once. At 0.25
    the statistics lie between two that were measured."""
    wanted = load_file(Path(__file__).parent / "biggan_deep.safetensors")[f"at_{truncation}"]
    z, labels = tiny_gans.numbers("z", 2, 6), torch.tensor([1, 4])
    for said in ({"said": tiny_gans.BIGGAN}, {}):
        network = generator(tiny_gans.biggan(), {"published": "biggan_deep", **said})
        network.truncate(truncation)
        assert float((network(z, labels) - wanted).abs().max()) < CLOSE
    assert network.side == 16
    assert network.latent == 6
    assert network.classes == 5


def test_statistics_and_spectral_norm_of_biggan_count() -> None:
    z, labels = tiny_gans.numbers("z", 2, 6), torch.tensor([1, 4])
    network = generator(tiny_gans.biggan(), {"published": "biggan_deep"})
    plain = network(z, labels)
    network.truncate(0.5)
    assert float((network(z, labels) - plain).abs().max()) > 0.1
    tensors = tiny_gans.biggan()
    for name in [name for name in tensors if name.endswith(".weight_orig")]:
        tensors[name] = 7 * tensors[name]  # what divides it grows as well
    again = generator(tensors, {"published": "biggan_deep"})
    assert torch.allclose(again(z, labels), plain, atol=CLOSE)
    early = {name: one for name, one in tiny_gans.biggan().items() if not name.endswith(".weight_v")}
    assert float((generator(early, {"published": "biggan_deep"})(z, labels) - plain).abs().max()) < 0.05


def test_a_folder_of_biggan_is_drawn_by_class(ctx: BenchContext, models: Path) -> None:
    biggan_folder(models / "biggan-deep-16")
    ref = loaded(ctx, "biggan-deep-16")
    found = gan.generate(ref, seed=3, batch=6, truncation=0.5, label="1, 4", ctx=ctx).pixels
    network = generator(tiny_gans.biggan(), {"published": "biggan_deep"})
    network.truncate(0.5)
    z = 0.5 * latents(range(3, 9), 6, 0.999999999)
    assert float(z.abs().max()) <= 1
    assert torch.allclose(found, pixels(network(z, torch.tensor([1, 4] * 3))), atol=CLOSE)
    walk = gan.interpolate(ref, seed=3, to_seed=5, steps=4, truncation=0.5, label="1", ctx=ctx).pixels
    assert torch.allclose(walk[0], found[0], atol=CLOSE)
    assert torch.allclose(walk[-1], found[2], atol=CLOSE)
    with pytest.raises(ProblemError) as caught:
        gan.generate(ref, label="5", ctx=ctx)
    assert codes(caught) == [("not_a_choice", "label")]


def test_a_folder_of_biggan_with_other_weights_is_told_and_hides_no_model(ctx: BenchContext, models: Path) -> None:
    tiny_models.tiny_ip_adapter(models / "adapter")
    (models / "odd").mkdir()
    (models / "adapter" / "image_encoder" / "model.safetensors").rename(models / "odd" / "model.safetensors")
    (models / "odd" / "config.json").write_text(json.dumps(tiny_gans.BIGGAN))
    biggan_folder(models / "fine")
    with pytest.raises(ProblemError):
        loaded(ctx, "odd")
    assert "fine" in {entry.name for entry in ctx.models.library.list_models()}


def test_statistics_that_overflow_in_half_precision_are_told(ctx: BenchContext, models: Path) -> None:
    large = {
        name: tensor * 1e6 if name.endswith("running_vars") else tensor for name, tensor in tiny_gans.biggan().items()
    }
    biggan_folder(models / "large", large)
    with pytest.raises(ProblemError) as caught:
        gan.generate(loaded(ctx, "large", "float16"), batch=1, label="1", ctx=ctx)
    assert codes(caught) == [("model_incomplete", "model")]
    assert "float32" in str(caught.value)


def test_it_tells_how_many_are_drawn(ctx: BenchContext, models: Path) -> None:
    biggan_folder(models / "drawn")
    gan.generate(loaded(ctx, "drawn"), batch=3, label="1", ctx=ctx)
    assert ctx.steps[0] == (0, 3)


def test_a_thousand_classes_are_those_of_imagenet(ctx: BenchContext, models: Path) -> None:
    tensors = tiny_gans.biggan()
    tensors["embeddings.weight"] = tiny_gans.numbers("many", 6, 1000)
    save_file(tensors, models / "biggan.safetensors")
    ref = loaded(ctx, "biggan.safetensors")
    by_name = gan.generate(ref, batch=2, label="golden retriever, 9", ctx=ctx).pixels
    assert torch.equal(by_name, gan.generate(ref, batch=2, label="207, ostrich", ctx=ctx).pixels)
    assert not torch.allclose(by_name, gan.generate(ref, batch=2, label="208, ostrich", ctx=ctx).pixels)


def test_a_file_of_biggan_reads_the_configuration_beside_it(ctx: BenchContext, models: Path) -> None:
    save_file(tiny_gans.biggan(), models / "small-pytorch_model.safetensors")
    alone = gan.generate(loaded(ctx, "small-pytorch_model.safetensors"), batch=2, ctx=ctx).pixels
    told = tiny_gans.BIGGAN | {"layers": [[not one[0], *one[1:]] for one in tiny_gans.BIGGAN["layers"]]}
    (models / "small-config.json").write_text(json.dumps(told))
    beside = gan.generate(loaded(ctx, "small-pytorch_model.safetensors"), batch=2, ctx=ctx).pixels
    assert alone.shape == (2, 16, 16, 3)
    assert beside.shape == (2, 32, 32, 3)  # three of the five double the side now


def test_a_pickle_of_biggan_is_converted_where_it_lies(ctx: BenchContext, models: Path) -> None:
    biggan_folder(models / "b")
    wanted = gan.generate(loaded(ctx, "b"), batch=1, ctx=ctx).pixels
    (models / "b" / "model.safetensors").unlink()
    torch.save(tiny_gans.biggan(), models / "b" / "pytorch_model.bin")
    with pytest.raises(ProblemError) as caught:
        loaded(ctx, "b")
    assert codes(caught) == [("unsafe_weights", "model")]
    assert "b/pytorch_model.bin" in caught.value.problems[0].hint
    converted(models / "b" / "pytorch_model.bin")
    assert torch.equal(gan.generate(loaded(ctx, "b"), batch=1, ctx=ctx).pixels, wanted)
    listed = {entry.name: (entry.kind, entry.problem) for entry in ctx.models.library.list_models()}
    assert listed["b"] == ("gan", None)


def test_an_image_of_biggan_is_found_again(ctx: BenchContext, models: Path) -> None:
    biggan_folder(models / "b")
    ref = loaded(ctx, "b")
    image = gan.generate(ref, seed=900, batch=1, label="2", ctx=ctx)
    far, near = (gan.project(ref, image, steps=steps, label="2", ctx=ctx) for steps in (1, 60))
    assert near.distance[0] < 0.6 * far.distance[0]


# StyleGAN2, by its equations.


def mapped(given: Mapping[str, Tensor], z: Tensor, label: int | None = None) -> Tensor:
    """The style of one z: each layer's weights are those of the file over the square root of what comes in, times
    0.01, biases times 0.01, and a leaky rectifier follows that is scaled by the square root of 2."""

    def unit(x: Tensor) -> Tensor:
        return x / torch.sqrt((x * x).mean() + 1e-8)

    x = unit(z.double())
    if label is not None:
        weight = given["mapping.embed.weight"].double()
        column = weight[:, label] / math.sqrt(weight.shape[1]) + given["mapping.embed.bias"].double()
        x = torch.cat([x, unit(column)])
    number = 0
    while f"mapping.fc{number}.weight" in given:
        weight = given[f"mapping.fc{number}.weight"].double()
        x = 0.01 / math.sqrt(weight.shape[1]) * weight @ x + 0.01 * given[f"mapping.fc{number}.bias"].double()
        x = math.sqrt(2) * torch.where(x < 0, 0.2 * x, x)
        number += 1
    return x


def scales_of(given: Mapping[str, Tensor], name: str, w: Tensor) -> Tensor:
    weight = given[f"{name}.affine.weight"].double()
    return weight @ w / math.sqrt(weight.shape[1]) + given[f"{name}.affine.bias"].double()


def at(x: Tensor, row: int, column: int) -> Tensor:
    """A pixel of (C, H, W); nothing lies outside."""
    inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
    return x[:, row, column] if inside else torch.zeros(x.shape[0], dtype=x.dtype)


def demodulated(weight: Tensor, scales: Tensor) -> Tensor:
    """Equations 1 and 3 of the paper, kernel by kernel."""
    made = torch.zeros_like(weight)
    for out in range(weight.shape[0]):
        total = 0.0
        for into in range(weight.shape[1]):
            made[out, into] = scales[into] * weight[out, into]
            total += float((made[out, into] ** 2).sum())
        made[out] /= math.sqrt(total + 1e-8)
    return made


def convolved(x: Tensor, weight: Tensor) -> Tensor:
    reach = weight.shape[-1] // 2
    made = torch.zeros(weight.shape[0], *x.shape[1:], dtype=x.dtype)
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            for down in range(weight.shape[-1]):
                for right in range(weight.shape[-1]):
                    made[:, row, column] += weight[:, :, down, right] @ at(
                        x, row + down - reach, column + right - reach
                    )
    return made


def spread(x: Tensor) -> Tensor:
    """Zeros behind each pixel and below it."""
    made = torch.zeros(x.shape[0], 2 * x.shape[1], 2 * x.shape[2], dtype=x.dtype)
    made[:, ::2, ::2] = x
    return made


def smoothed(x: Tensor) -> Tensor:
    """Filtered by (1, 3, 3, 1), so that what was at 2 h lies in the middle of 2 h and 2 h + 1; four times as strong, as
    three of four pixels were zeros."""
    taps = [0.25, 0.75, 0.75, 0.25]
    made = torch.zeros_like(x)
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            for down, first in enumerate(taps):
                for right, second in enumerate(taps):
                    made[:, row, column] += first * second * at(x, row + 1 - down, column + 1 - right)
    return made


def stylegan2(given: Mapping[str, Tensor], styles: Tensor) -> Tensor:
    """The image (3, side, side) of styles (count, width), in double precision."""

    def layer(name: str, x: Tensor, w: Tensor, twice: bool) -> Tensor:
        weight = demodulated(given[f"{name}.weight"].double(), scales_of(given, name, w))
        if twice:
            # A transposed convolution: the kernel lies the other way round. It reaches one place further than the map,
            # of which the filter takes its part.
            wide = torch.nn.functional.pad(spread(x), (1, 1, 1, 1))
            x = smoothed(convolved(wide, weight.flip(2, 3)))[:, 1:-1, 1:-1]
        else:
            x = convolved(x, weight)
        x = x + float(given[f"{name}.noise_strength"]) * given[f"{name}.noise_const"].double()
        x = x + given[f"{name}.bias"].double()[:, None, None]
        return math.sqrt(2) * torch.where(x < 0, 0.2 * x, x)

    x, side, place = given["synthesis.b4.const"].double(), 4, 0
    image: Tensor | None = None
    while f"synthesis.b{side}.conv1.weight" in given:
        name = f"synthesis.b{side}"
        if side > 4:
            x = layer(f"{name}.conv0", x, styles[place], True)
            place += 1
        x = layer(f"{name}.conv1", x, styles[place], False)
        place += 1
        weight = given[f"{name}.torgb.weight"].double()
        scales = scales_of(given, f"{name}.torgb", styles[place]) / math.sqrt(weight.shape[1])
        colours = torch.einsum("oi,i,ihw->ohw", weight[:, :, 0, 0], scales, x)
        colours = colours + given[f"{name}.torgb.bias"].double()[:, None, None]
        image = colours if image is None else smoothed(spread(image)) + colours
        side *= 2
    assert image is not None
    return image


@pytest.mark.parametrize("layout", ["nvidia", "rosinality"])
def test_stylegan2_draws_what_its_equations_say(layout: str, ctx: BenchContext, models: Path) -> None:
    given = tiny_gans.stylegan2()
    save_file(given if layout == "nvidia" else tiny_gans.as_rosinality(given), models / "faces.safetensors")
    found = gan.generate(loaded(ctx, "faces.safetensors"), seed=5, batch=2, truncation=0.7, ctx=ctx).pixels
    assert found.shape == (2, 16, 16, 3)
    for z, image in zip(latents((5, 6), 6), found, strict=True):
        mean = given["mapping.w_avg"].double()
        w = mean + 0.7 * (mapped(given, z) - mean)
        wanted = stylegan2(given, w.expand(6, -1))
        assert float(wanted.std()) > 0.2
        assert torch.allclose(image, pixels(wanted[None])[0].float(), atol=CLOSE)


def test_stylegan2_of_classes_has_their_styles(ctx: BenchContext, models: Path) -> None:
    given = tiny_gans.stylegan2(side=8, classes=3)
    save_file(given, models / "cifar.safetensors")
    found = gan.generate(loaded(ctx, "cifar.safetensors"), seed=1, batch=3, label="2", ctx=ctx).pixels
    for z, image in zip(latents(range(1, 4), 6), found, strict=True):
        wanted = stylegan2(given, mapped(given, z, 2).expand(4, -1))
        assert torch.allclose(image, pixels(wanted[None])[0].float(), atol=CLOSE)


def test_each_layer_of_stylegan2_has_its_style() -> None:
    given = tiny_gans.stylegan2()
    network = generator(given, {"published": "stylegan2"})
    styles = tiny_gans.numbers("styles", 2, network.count, 4)
    for found, one in zip(network.painted(styles), styles, strict=True):
        assert torch.allclose(found, stylegan2(given, one.double()).float(), atol=1e-4)


def test_without_a_kept_mean_it_is_measured() -> None:
    given = tiny_gans.as_rosinality(tiny_gans.stylegan2())
    del given["latent_avg"]
    network = generator(given, {"published": "stylegan2"})
    z = latents(range(2), 6)
    network.styles(z, None, 0.5)
    mean = torch.stack([mapped(tiny_gans.stylegan2(), one) for one in latents(range(500, 800), 6)]).mean(0)
    assert torch.allclose(network.mapping.mean, mean.float(), atol=0.2 * float(mean.abs().max()))
    assert torch.allclose(network.styles(z, None, 0.0)[0, 0], network.mapping.mean)


def test_a_training_of_stylegan2_keeps_its_averaged_generator(ctx: BenchContext, models: Path) -> None:
    """The file of a training holds both sides, their optimisers and its settings: the mean weights are what counts."""
    given = tiny_gans.as_rosinality(tiny_gans.stylegan2())
    average = {name: one for name, one in given.items() if name != "latent_avg"}
    kept = {
        "g": {name: torch.zeros_like(one) for name, one in average.items()},
        "d": {"convs.0.weight": torch.zeros(3)},
        "g_ema": average,
        "g_optim": {"state": {0: {"step": 1, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.002}]},
        "args": Namespace(size=16, channel_multiplier=2),
        "latent_avg": given["latent_avg"],
    }
    torch.save(kept, models / "550000.pt")
    with pytest.raises(ProblemError) as caught:
        loaded(ctx, "550000.pt")
    assert codes(caught) == [("unsafe_weights", "model")]
    assert "safelight models convert" in caught.value.problems[0].hint
    made = load_file(converted(models / "550000.pt"))
    assert set(made) == {f"g_ema.{name}" for name in average} | {"latent_avg"}
    found = gan.generate(loaded(ctx, "550000.safetensors"), seed=2, batch=1, truncation=0.5, ctx=ctx).pixels
    save_file(given, models / "plain.safetensors")
    plain = gan.generate(loaded(ctx, "plain.safetensors"), seed=2, batch=1, truncation=0.5, ctx=ctx).pixels
    assert torch.equal(found, plain)
    allowed = BenchContext(models=offline_store(models.parent, SAFELIGHT_ALLOW_PICKLE="1"))
    ref = loaded(allowed, "550000.pt")
    assert torch.equal(gan.generate(ref, seed=2, batch=1, truncation=0.5, ctx=allowed).pixels, plain)


# StyleGAN3, by its equations.


def rows(positions: Tensor, samples: Tensor, filter: Tensor, rate: int) -> Tensor:
    """(positions, samples): how much each sample counts at each position, by a filter whose taps lie 1 / rate apart
    around its middle. All lie where a tap lies."""
    made = torch.zeros(len(positions), len(samples), dtype=torch.float64)
    for row, position in enumerate(positions.tolist()):
        for column, sample in enumerate(samples.tolist()):
            tap = (position - sample) * rate + (len(filter) - 1) / 2
            assert abs(tap - round(tap)) < 1e-6
            if 0 <= round(tap) < len(filter):
                made[row, column] = float(filter[round(tap)])
    return made


def centred(count: int, rate: int) -> Tensor:
    """Where the pixels of a map lie, of which so many go over the image, whose middle is 0."""
    return (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) / rate


def waves(given: Mapping[str, Tensor], w: Tensor, side: int, rate: int) -> Tensor:
    name = "synthesis.input"
    cosine, sine, right, down = scales_of(given, name, w).tolist()
    length = math.hypot(cosine, sine)
    cosine, sine, right, down = cosine / length, sine / length, right / length, down / length
    turned = torch.tensor([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], dtype=torch.float64)
    moved = torch.tensor([[1, 0, -right], [0, 1, -down], [0, 0, 1]], dtype=torch.float64)
    matrix = turned @ moved @ given[f"{name}.transform"].double()
    made = torch.zeros(len(given[f"{name}.freqs"]), side, side, dtype=torch.float64)
    at = centred(side, rate)
    for number, (wave, phase) in enumerate(zip(given[f"{name}.freqs"], given[f"{name}.phases"], strict=True)):
        here = wave.double() @ matrix[:2, :2]
        start = float(phase) + float(wave.double() @ matrix[:2, 2])
        strength = min(1.0, max(0.0, 1 - (float(here.norm()) - 2) / (rate / 2 - 2)))
        made[number] = strength * (2 * math.pi * (here[0] * at[None, :] + here[1] * at[:, None] + start)).sin()
    return torch.einsum("oi,ihw->ohw", given[f"{name}.weight"].double(), made) / math.sqrt(len(made))


def stylegan3(given: Mapping[str, Tensor], styles: Tensor) -> Tensor:
    """The image (3, side, side) of styles (count, width), in double precision: filters lie in the space of the image,
    with which no pixel has to do."""
    side, rate = tiny_gans.STYLEGAN3[0].side, tiny_gans.STYLEGAN3[0].rate
    x = waves(given, styles[0], side, rate)
    for number, place in enumerate(tiny_gans.STYLEGAN3):
        name, last = f"synthesis.{place.name(number)}", number == len(tiny_gans.STYLEGAN3) - 1
        weight, scales = given[f"{name}.weight"].double(), scales_of(given, name, styles[number + 1])
        weight = weight * scales[:, None, None] / math.sqrt(weight[0].numel()) if last else demodulated(weight, scales)
        around = weight.shape[-1] // 2
        x = convolved(torch.nn.functional.pad(x, (around,) * 4), weight) / math.sqrt(given[f"{name}.magnitude_ema"])
        x = x + given[f"{name}.bias"].double()[:, None, None]
        if not last:
            fine = 2 * max(rate, place.rate)
            up, down = given[f"{name}.up_filter"].double(), given[f"{name}.down_filter"].double()
            wide = centred((place.side - 1) * fine // place.rate + down.shape[-1], fine)
            finer = rows(wide, centred(x.shape[-1], rate), up * (fine // rate), fine)
            x = finer @ x @ finer.T
            x = math.sqrt(2) * torch.where(x < 0, 0.2 * x, x)
            if down.dim() == 1:
                coarser = rows(centred(place.side, place.rate), wide, down, fine)
                x = coarser @ x @ coarser.T
            else:
                step, made = fine // place.rate, torch.zeros(len(x), place.side, place.side, dtype=torch.float64)
                for first in range(len(down)):
                    for second in range(len(down)):
                        seen = x[:, first::step, second::step][:, : place.side, : place.side]
                        made += down[first, second] * seen
                x = made
        side, rate = place.side, place.rate
    return x / 4


@pytest.mark.parametrize("radial", [False, True])
def test_stylegan3_draws_what_its_equations_say(radial: bool, ctx: BenchContext, models: Path) -> None:
    given = tiny_gans.stylegan3(radial)
    save_file(given, models / "faces.safetensors")
    found = gan.generate(loaded(ctx, "faces.safetensors"), seed=5, batch=1, truncation=0.7, ctx=ctx).pixels
    assert found.shape == (1, 32, 32, 3)
    mean = given["mapping.w_avg"].double()
    for z, image in zip(latents((5,), 6), found, strict=True):
        w = mean + 0.7 * (mapped(given, z) - mean)
        wanted = stylegan3(given, w.expand(5, -1))
        assert float(wanted.std()) > 0.05
        assert torch.allclose(image, pixels(wanted[None])[0].float(), atol=CLOSE)


def test_each_layer_of_stylegan3_has_its_style() -> None:
    given = tiny_gans.stylegan3(True)
    network = generator(given, {"published": "stylegan3"})
    styles = tiny_gans.numbers("styles", 1, network.count, 4)
    assert torch.allclose(network.painted(styles)[0], stylegan3(given, styles[0].double()).float(), atol=CLOSE)


def test_stylegan3_turns_and_moves_with_its_waves() -> None:
    """What the paper is about. A quarter turn of the waves, and of the kernels, is one of the image; a sixteenth of the
    image further, all of it has moved by two of 32 pixels, but for what comes in at its edges."""
    given = tiny_gans.stylegan3(False)
    styles = tiny_gans.numbers("styles", 1, 5, 4)
    plain = generator(given, {"published": "stylegan3"}).painted(styles)
    turned = {name: one.rot90(1, (2, 3)) if one.dim() == 4 else one for name, one in given.items()}
    turned["synthesis.input.transform"] = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = generator(turned, {"published": "stylegan3"}).painted(styles)
    assert torch.allclose(found, plain.rot90(1, (2, 3)), atol=CLOSE)
    moved = dict(given)
    moved["synthesis.input.transform"] = torch.eye(3)
    moved["synthesis.input.transform"][0, 2] = 1 / 16
    found = generator(moved, {"published": "stylegan3"}).painted(styles)
    assert torch.allclose(found[..., 8:-8, 8:-8], plain[..., 8:-8, 10:-6], atol=CLOSE)


# All of them.


@pytest.mark.parametrize("sort", ["biggan", "stylegan2", "stylegan3"])
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_draws_nearly_the_same(sort: str, precision: str, ctx: BenchContext, models: Path) -> None:
    save_file(getattr(tiny_gans, sort)(), models / "a.safetensors")
    exact, near = (
        gan.generate(loaded(ctx, "a.safetensors", kind), batch=4, truncation=0.7, ctx=ctx).pixels
        for kind in ("float32", precision)
    )
    assert float((exact - near).abs().mean()) < (0.01 if precision == "float16" else 0.05)


@pytest.mark.parametrize("sort", ["stylegan2", "stylegan3"])
def test_styles_are_walked_and_found(sort: str, ctx: BenchContext, models: Path) -> None:
    save_file(getattr(tiny_gans, sort)(), models / "a.safetensors")
    ref = loaded(ctx, "a.safetensors")
    walk = gan.interpolate(ref, seed=1, to_seed=2, steps=5, truncation=0.7, ctx=ctx).pixels
    ends = gan.generate(ref, seed=1, batch=2, truncation=0.7, ctx=ctx).pixels
    assert torch.allclose(walk[[0, -1]], ends, atol=CLOSE)
    assert not torch.allclose(walk[2], walk[0], atol=0.01)
    image = Image(ends[:1])
    far, near = (gan.project(ref, image, steps=steps, ctx=ctx) for steps in (1, 60))
    assert near.distance[0] < 0.5 * far.distance[0]


@pytest.mark.parametrize("sort", ["stylegan2", "stylegan3"])
def test_styles_of_two_seeds_are_mixed(sort: str, ctx: BenchContext, models: Path) -> None:
    save_file(getattr(tiny_gans, sort)(), models / "a.safetensors")
    ref = loaded(ctx, "a.safetensors")
    first = gan.generate(ref, seed=1, batch=1, truncation=0.7, ctx=ctx).pixels
    others = gan.generate(ref, seed=4, batch=2, truncation=0.7, ctx=ctx).pixels
    of = {
        part: gan.mix(ref, seed=1, fine_seed=4, batch=2, crossover=part, truncation=0.7, ctx=ctx).pixels
        for part in (0.0, 0.5, 1.0)
    }
    assert torch.allclose(of[0.0], others, atol=CLOSE)
    assert torch.allclose(of[1.0], first.expand(2, -1, -1, -1), atol=CLOSE)
    network = generator(getattr(tiny_gans, sort)(), {"published": sort})
    styles = network.styles(latents((1, 4, 5), 6), None, 0.7)
    count = round(0.5 * network.count)
    both = torch.cat([styles[:1, :count].expand(2, -1, -1), styles[1:, count:]], 1)
    assert torch.allclose(of[0.5], pixels(network.painted(both)), atol=CLOSE)


def test_a_generator_without_styles_mixes_none(ctx: BenchContext, models: Path) -> None:
    biggan_folder(models / "b")
    with pytest.raises(ProblemError) as caught:
        gan.mix(loaded(ctx, "b"), ctx=ctx)
    assert codes(caught) == [("wrong_model", "model")]


@pytest.mark.parametrize(
    ("sort", "name", "said"),
    [
        ("stylegan2", "synthesis.b8.conv0.bias", "synthesis.b8.conv0.bias is missing"),
        ("stylegan2", "mapping.fc1.weight", "mapping.fc1.weight is (4, 5) instead of (any, 4)"),
        ("stylegan3", "synthesis.L1_52_5.affine.bias", "synthesis.L1_52_5.affine.bias is missing"),
        ("stylegan3", "synthesis.L0_36_6.up_filter", "synthesis.L0_36_6.up_filter is missing"),
        ("stylegan3", "synthesis.L1_52_5.down_filter", "synthesis.L1_52_5.down_filter is missing"),
        ("biggan", "generator.layers.1.conv_2.bias", "generator.layers.1.conv_2.bias is missing"),
    ],
)
def test_a_file_that_lacks_something_says_what(
    sort: str, name: str, said: str, ctx: BenchContext, models: Path
) -> None:
    tensors = getattr(tiny_gans, sort)()
    if "missing" in said:
        del tensors[name]
    else:
        tensors[name] = torch.zeros(4, 5)
    save_file(tensors, models / "broken.safetensors")
    with pytest.raises(ProblemError) as caught:
        gan.generate(loaded(ctx, "broken.safetensors"), ctx=ctx)
    assert codes(caught) == [("model_incomplete", "model")]
    assert said in caught.value.problems[0].message


class Ran:
    """What the pickle of a test would make, and tell that it was made."""

    times = 0

    def __reduce__(self) -> Any:
        return (sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, ({"class_name": "Generator"},))


@pytest.fixture
def makers_code() -> Iterator[None]:
    """Stands for the code that a pickle of StyleGAN's makers calls."""
    package, module = types.ModuleType("torch_utils"), types.ModuleType("torch_utils.persistence")

    def _reconstruct_persistent_obj(meta: dict[str, Any]) -> dict[str, Any]:
        Ran.times += 1
        return meta

    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules |= {"torch_utils": package, "torch_utils.persistence": module}
    yield
    del sys.modules["torch_utils"], sys.modules["torch_utils.persistence"]


@pytest.mark.usefixtures("makers_code")
@pytest.mark.parametrize("allow", ["", "1"])
def test_a_pickle_of_the_makers_is_never_opened(allow: str, models: Path) -> None:
    (models / "ffhq.pkl").write_bytes(pickle.dumps({"G": Ran(), "D": Ran(), "G_ema": Ran()}))
    assert pickle.loads((models / "ffhq.pkl").read_bytes())["G"] == {"class_name": "Generator"}
    assert Ran.times
    Ran.times = 0
    ctx = BenchContext(models=offline_store(models.parent, SAFELIGHT_ALLOW_PICKLE=allow))
    with pytest.raises(ProblemError) as caught:
        loaded(ctx, "ffhq.pkl")
    assert codes(caught) == [("unsafe_weights", "model")]
    with pytest.raises(ProblemError) as caught:
        converted(models / "ffhq.pkl")
    problem = caught.value.problems[0]
    assert problem.code == "unsafe_weights"
    assert "legacy.load_network_pkl" in problem.hint
    assert "ffhq.safetensors" in problem.hint
    assert not Ran.times
