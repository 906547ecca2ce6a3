"""Generators in the layouts that others publish, a few channels wide: true names, true shapes, numbers of a formula."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

BIGGAN: dict[str, Any] = {
    "output_dim": 16,
    "z_dim": 6,
    "class_embed_dim": 6,
    "channel_width": 4,
    "num_classes": 5,
    "layers": [[False, 16, 16], [True, 16, 8], [False, 8, 4], [True, 4, 2], [False, 2, 1]],
    "attention_layer_position": 2,
    "eps": 1e-4,
    "n_stats": 3,
}
"""What `config.json` of `pytorch-pretrained-biggan` says, of a small one."""


def numbers(name: str, *shape: int) -> Tensor:
    """Numbers of a deviation of 1 that hang on a name alone, the same with every version of torch."""
    start = zlib.crc32(name.encode())
    places = torch.arange(math.prod(shape), dtype=torch.float64)
    step = 1.0 + (start % 9973) / 9973
    return (math.sqrt(2) * torch.sin(places * places * 0.01 + places * step + start % 31)).reshape(shape).float()


def biggan(config: Mapping[str, Any] = BIGGAN) -> dict[str, Tensor]:
    """BigGAN-deep with spectral normalisation beside its weights, as `pytorch-pretrained-biggan` has it."""
    found: dict[str, Tensor] = {}
    width, latent = config["channel_width"], config["z_dim"]

    def layer(name: str, *shape: int, bias: bool = True) -> None:
        weight = numbers(name, *shape)
        rows = weight.double().flatten(1)
        right = numbers(f"{name}.v", rows.shape[1]).double()
        left = torch.nn.functional.normalize(rows @ right, dim=0)
        for _ in range(4):  # as training leaves them: near the largest singular value, not at it
            right = torch.nn.functional.normalize(rows.T @ left, dim=0)
            left = torch.nn.functional.normalize(rows @ right, dim=0)
        found[f"{name}.weight_orig"] = weight
        found[f"{name}.weight_u"], found[f"{name}.weight_v"] = left.float(), right.float()
        if bias:
            found[f"{name}.bias"] = 0.1 * numbers(f"{name}.bias", shape[0])

    def norm(name: str, channels: int, conditional: bool = True) -> None:
        found[f"{name}.running_means"] = 0.3 * numbers(f"{name}.means", config["n_stats"], channels)
        found[f"{name}.running_vars"] = 1 + 0.5 * numbers(f"{name}.vars", config["n_stats"], channels).sin()
        if conditional:
            layer(f"{name}.scale", channels, 2 * latent, bias=False)
            layer(f"{name}.offset", channels, 2 * latent, bias=False)
        else:
            found[f"{name}.weight"] = 1 + 0.2 * numbers(f"{name}.weight", channels)
            found[f"{name}.bias"] = 0.2 * numbers(f"{name}.bias", channels)

    found["embeddings.weight"] = numbers("embeddings", latent, config["num_classes"])
    layer("generator.gen_z", 16 * 16 * width, 2 * latent)
    place = 0
    for number, (_, before, after) in enumerate(config["layers"]):
        if number == config["attention_layer_position"]:
            name, channels = f"generator.layers.{place}", width * before
            layer(f"{name}.snconv1x1_theta", channels // 8, channels, 1, 1, bias=False)
            layer(f"{name}.snconv1x1_phi", channels // 8, channels, 1, 1, bias=False)
            layer(f"{name}.snconv1x1_g", channels // 2, channels, 1, 1, bias=False)
            layer(f"{name}.snconv1x1_o_conv", channels, channels // 2, 1, 1, bias=False)
            found[f"{name}.gamma"] = torch.tensor([0.7])
            place += 1
        name, inner = f"generator.layers.{place}", width * before // 4
        for part, channels in enumerate((width * before, inner, inner, inner)):
            norm(f"{name}.bn_{part}", channels)
        layer(f"{name}.conv_0", inner, width * before, 1, 1)
        layer(f"{name}.conv_1", inner, inner, 3, 3)
        layer(f"{name}.conv_2", inner, inner, 3, 3)
        layer(f"{name}.conv_3", width * after, inner, 1, 1)
        place += 1
    norm("generator.bn", width, conditional=False)
    layer("generator.conv_to_rgb", width, width, 3, 3)
    return found


def stylegan2(side: int = 16, width: int = 4, latent: int = 6, depth: int = 3, classes: int = 0) -> dict[str, Tensor]:
    """StyleGAN2 by the names of `stylegan2-ada-pytorch`, with channels that differ by level."""
    found = mapped(width, latent, depth, classes)
    fir = torch.tensor([1.0, 3.0, 3.0, 1.0])
    filter = torch.outer(fir, fir) / 64
    before = width + 2
    found["synthesis.b4.const"] = numbers("const", before, 4, 4)
    here = 4
    while here <= side:
        name, after = f"synthesis.b{here}", width + here % 3
        found[f"{name}.resample_filter"] = filter.clone()
        for part in ("conv0", "conv1") if here > 4 else ("conv1",):
            one = f"{name}.{part}"
            found[f"{one}.weight"] = numbers(one, after, before, 3, 3)
            found[f"{one}.bias"] = 0.1 * numbers(f"{one}.bias", after)
            found[f"{one}.noise_strength"] = 0.1 * numbers(f"{one}.noise", 1)[0]
            found[f"{one}.noise_const"] = numbers(f"{one}.noise_const", here, here)
            found[f"{one}.resample_filter"] = filter.clone()
            styled(found, f"{one}.affine", before, width)
            before = after
        styled(found, f"{name}.torgb.affine", before, width)
        found[f"{name}.torgb.weight"] = numbers(f"{name}.torgb", 3, before, 1, 1)
        found[f"{name}.torgb.bias"] = 0.1 * numbers(f"{name}.torgb.bias", 3)
        here *= 2
    return found


def mapped(width: int, latent: int, depth: int, classes: int) -> dict[str, Tensor]:
    """The mapping network of StyleGAN2 and 3. Its weights are a hundred times as large as they are used."""
    found: dict[str, Tensor] = {}
    before = latent
    if classes:
        found["mapping.embed.weight"] = numbers("embed", width, classes)
        found["mapping.embed.bias"] = numbers("embed.bias", width)
        before += width
    for number in range(depth):
        found[f"mapping.fc{number}.weight"] = 100 * numbers(f"fc{number}", width, before)
        found[f"mapping.fc{number}.bias"] = 10 * numbers(f"fc{number}.bias", width)
        before = width
    found["mapping.w_avg"] = 0.3 * numbers("w_avg", width)
    return found


def styled(found: dict[str, Tensor], name: str, channels: int, width: int) -> None:
    found[f"{name}.weight"] = numbers(f"{name}.weight", channels, width)
    found[f"{name}.bias"] = 1 + 0.1 * numbers(f"{name}.bias", channels)


def as_rosinality(given: Mapping[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """The same generator by the names of `stylegan2-pytorch`."""
    found: dict[str, Tensor] = {"latent_avg": given["mapping.w_avg"]}

    def put(name: str, tensor: Tensor) -> None:
        found[prefix + name] = tensor.contiguous()

    def layer(theirs: str, ours: str, noise: int, twice: bool) -> None:
        put(f"{theirs}.conv.weight", given[f"{ours}.weight"][None])
        put(f"{theirs}.conv.modulation.weight", given[f"{ours}.affine.weight"])
        put(f"{theirs}.conv.modulation.bias", given[f"{ours}.affine.bias"])
        put(f"{theirs}.activate.bias", given[f"{ours}.bias"])
        put(f"{theirs}.noise.weight", given[f"{ours}.noise_strength"].reshape(1))
        put(f"noises.noise_{noise}", given[f"{ours}.noise_const"][None, None])
        if twice:
            put(f"{theirs}.conv.blur.kernel", 4 * given[f"{ours}.resample_filter"])

    def colours(theirs: str, ours: str, twice: bool) -> None:
        put(f"{theirs}.bias", given[f"{ours}.torgb.bias"].reshape(1, 3, 1, 1))
        put(f"{theirs}.conv.weight", given[f"{ours}.torgb.weight"][None])
        put(f"{theirs}.conv.modulation.weight", given[f"{ours}.torgb.affine.weight"])
        put(f"{theirs}.conv.modulation.bias", given[f"{ours}.torgb.affine.bias"])
        if twice:
            put(f"{theirs}.upsample.kernel", 4 * given[f"{ours}.resample_filter"])

    put("input.input", given["synthesis.b4.const"][None])
    layer("conv1", "synthesis.b4.conv1", 0, False)
    colours("to_rgb1", "synthesis.b4", False)
    level = 0
    while f"synthesis.b{8 << level}.conv0.weight" in given:
        name = f"synthesis.b{8 << level}"
        layer(f"convs.{2 * level}", f"{name}.conv0", 2 * level + 1, True)
        layer(f"convs.{2 * level + 1}", f"{name}.conv1", 2 * level + 2, False)
        colours(f"to_rgbs.{level}", name, True)
        level += 1
    number = 0
    while f"mapping.fc{number}.weight" in given:
        for part in ("weight", "bias"):
            put(f"style.{number + 1}.{part}", given[f"mapping.fc{number}.{part}"])
        number += 1
    return found


class Place(NamedTuple):
    """A layer of StyleGAN3: what it gives, how many pixels of that go over the image, and its channels."""

    side: int
    rate: int
    channels: int

    def name(self, number: int) -> str:
        return f"L{number}_{self.side}_{self.channels}"


STYLEGAN3 = (Place(36, 16, 6), Place(52, 32, 5), Place(32, 32, 4), Place(32, 32, 3))
"""The layers of a small one of 32 pixels. The last gives the colours."""


def stylegan3(radial: bool = False, width: int = 4, latent: int = 6) -> dict[str, Tensor]:
    """StyleGAN3 by the names of its makers: T, or R with kernels of one pixel and filters around a point."""
    found = mapped(width, latent, 2, 0)
    channels = STYLEGAN3[0].channels
    name = "synthesis.input"
    found[f"{name}.weight"] = numbers(name, channels, channels)
    found[f"{name}.affine.weight"] = 0.3 * numbers(f"{name}.affine", 4, width)
    found[f"{name}.affine.bias"] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    found[f"{name}.transform"] = torch.eye(3)
    found[f"{name}.freqs"] = 1.5 * numbers(f"{name}.freqs", channels, 2)
    found[f"{name}.phases"] = numbers(f"{name}.phases", channels) / 4
    rate = STYLEGAN3[0].rate
    for number, place in enumerate(STYLEGAN3):
        name, last = f"synthesis.{place.name(number)}", number == len(STYLEGAN3) - 1
        kernel = 1 if radial or last else 3
        found[f"{name}.weight"] = numbers(name, place.channels, channels, kernel, kernel)
        found[f"{name}.bias"] = 0.1 * numbers(f"{name}.bias", place.channels)
        found[f"{name}.magnitude_ema"] = torch.tensor(0.5 + 0.2 * number)
        styled(found, f"{name}.affine", channels, width)
        if not last:
            fine = 2 * max(rate, place.rate)
            found[f"{name}.up_filter"] = lowpass(6 * fine // rate, rate / fine)
            down = lowpass(6 * fine // place.rate, place.rate / fine)
            if radial and number < len(STYLEGAN3) - 2:
                down = around(6 * fine // place.rate, place.rate / fine)
            found[f"{name}.down_filter"] = down
        channels, rate = place.channels, place.rate
    return found


def lowpass(taps: int, cutoff: float) -> Tensor:
    """A Kaiser-windowed sinc that sums to 1; `cutoff` in halves of the rate."""
    at = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    made = torch.special.sinc(cutoff * at) * torch.kaiser_window(taps, False, 4.0, dtype=torch.float64)
    return (made / made.sum()).float()


def around(taps: int, cutoff: float) -> Tensor:
    """The same, of the distance from a point: a jinc."""
    at = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    far = torch.hypot(at[:, None], at[None])
    window = torch.kaiser_window(taps, False, 4.0, dtype=torch.float64)
    made = torch.special.bessel_j1(math.pi * cutoff * far) / far * torch.outer(window, window)
    return (made / made.sum()).float()
