"""The autoencoder: learn it, measure it, and give its latents mean 0 and deviation 1 in every channel.

    python -m training.starter.vae measure --cache DIR
    python -m training.starter.vae standardise --cache DIR --source FOLDER
    python -m training.starter.vae decoder --cache DIR --minutes 60

``standardise`` folds the per-channel shift and scale into the two 1x1 convolutions around the latent, which changes
no reconstruction. ``decoder`` trains the decoder alone: latents, and with them a trained UNet, stay valid.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from safelight_nodes._training.captions import EVERYDAY, draw_colour

from . import state
from .data import composite, default_cache, load


def pictures_on_colours(
    pictures: np.ndarray, numbers: np.ndarray, rng: np.random.Generator, anywhere: bool = False
) -> Any:
    """(B, 3, H, W) in -1..1 on palette colours, or with ``anywhere`` on any colour of the cube."""
    import torch

    rows: list[np.ndarray] = []
    for number in numbers:
        rgb = tuple(int(v) for v in rng.integers(0, 256, 3)) if anywhere else draw_colour(rng)[1]
        rows.append(composite(pictures[number], rgb))  # pyright: ignore[reportArgumentType]
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 127.5 - 1


def measure(vae: Any, pictures: np.ndarray, weights: np.ndarray, count: int = 400) -> float:
    """Mean PSNR in dB over whole pictures on unseen background colours (peak 1, mean as latent)."""
    import torch

    rng = np.random.default_rng(12345)
    numbers = rng.choice(len(pictures), count, replace=False, p=weights)
    values: list[float] = []
    with torch.inference_mode():
        for start in range(0, count, 20):
            x = pictures_on_colours(pictures, numbers[start : start + 20], rng, anywhere=True)
            y = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
            error = ((x - y) / 2).square().mean((1, 2, 3))
            values += (-10 * torch.log10(error)).tolist()
    return float(np.mean(values))


def standardise(vae: Any, latents: Any) -> None:
    """Rewrite ``quant_conv`` and ``post_quant_conv`` so that these latents (N, C, H, W) get mean 0, deviation 1."""
    import torch

    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    channels = len(mean)
    with torch.no_grad():
        weight, bias = vae.quant_conv.weight, vae.quant_conv.bias
        weight[:channels] /= deviation[:, None, None, None]
        bias[:channels] = (bias[:channels] - mean) / deviation
        bias[channels:] -= 2 * deviation.log()
        back, offset = vae.post_quant_conv.weight, vae.post_quant_conv.bias
        offset += (back[:, :, 0, 0] @ mean).to(offset.dtype)
        back *= deviation[None, :, None, None]
    vae.register_to_config(scaling_factor=1.0)


def sampling_weights(
    index: dict[str, Any], power: float = 1.0, solid: float = 1.33, everyday: float | None = None
) -> np.ndarray:
    """Probability of each picture: its subject's weight to a power, 3d ``solid`` times as often as flat or drawn.

    With ``everyday`` in 0..1 that share of the draws goes to subjects with everyday names.
    """
    subjects = [index["subjects"][p["subject"]] for p in index["pictures"]]
    styles = np.array([p["style"] for p in index["pictures"]])
    weight = np.array([s["weight"] for s in subjects]) ** power * np.where(styles == 0, solid, 1.0)
    if everyday is not None:
        common = np.array([s["slug"] in EVERYDAY for s in subjects])
        weight[common] *= everyday / weight[common].sum()
        weight[~common] *= (1 - everyday) / weight[~common].sum()
    return weight / weight.sum()


def learn_decoder(cache: Path, minutes: float, steps: int, rate: float, batch: int, seed: int = 3) -> None:
    """L1 + L2 + gradient difference on whole pictures; the encoder is frozen."""
    import torch
    from diffusers import AutoencoderKL

    threads = state.Threads(2)
    pictures, index = load(cache)
    weights = sampling_weights(index, 0.5)
    vae = AutoencoderKL.from_pretrained(cache / "model" / "vae", torch_dtype=torch.float32)
    vae.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue, reportArgumentType]
    part = torch.nn.ModuleDict({"decoder": vae.decoder, "post": vae.post_quant_conv})
    optimiser = torch.optim.AdamW(part.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.01)
    run = state.Run(cache / "vae-decoder.pt", part, optimiser)
    clock, log = state.Clock(minutes), state.Log(cache / "vae-decoder.log")
    recent: list[float] = []
    while run.step < steps and not clock.stop():
        threads.adapt()
        rng = state.generator(seed, run.step)
        numbers = rng.choice(len(pictures), batch, p=weights)
        x = pictures_on_colours(pictures, numbers, rng, anywhere=bool(rng.random() < 0.5))
        x = x.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                z = vae.encode(x).latent_dist.mode()
            y = vae.decode(z).sample.float()
        error = x - y
        square = error.square().mean()
        across, down = error.diff(dim=-1).abs().mean(), error.diff(dim=-2).abs().mean()
        loss = error.abs().mean() + square + 0.5 * (across + down)
        run.update(loss, rate * min(1.0, (run.step + 1) / 100) * max(0.02, 1 - (run.step / steps) ** 2))
        recent.append(square.item())
        if run.step % 100 == 0:
            log(run.step, mse=float(np.mean(recent)), psnr=10 * math.log10(4 / float(np.mean(recent))))
            recent.clear()
        if clock.due():
            run.keep()
    run.keep()
    part.load_state_dict(run.average.shadow)
    vae.save_pretrained(cache / "model" / "vae-decoder")


def main() -> None:
    import torch
    from diffusers import AutoencoderKL

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("measure", "standardise", "decoder"))
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--source", type=Path, help="folder of the autoencoder to standardise or to measure")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--batch", type=int, default=8)
    args = parser.parse_args()
    torch.set_num_threads(2)
    if args.step == "decoder":
        learn_decoder(args.cache, args.minutes, args.steps, args.rate, args.batch)
        return
    pictures, index = load(args.cache)
    folder = args.source or args.cache / "model" / "vae"
    vae = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32).eval()
    weights = sampling_weights(index)
    if args.step == "standardise":
        rng = np.random.default_rng(7)
        numbers = rng.choice(len(pictures), 1000, p=weights)
        with torch.inference_mode():
            parts = [
                vae.encode(pictures_on_colours(pictures, numbers[i : i + 50], rng)).latent_dist.mode()
                for i in range(0, len(numbers), 50)
            ]
        standardise(vae, torch.cat(parts))
        vae.save_pretrained(args.cache / "model" / "vae")
    print(f"PSNR {measure(vae, pictures, weights):.2f} dB")


if __name__ == "__main__":
    main()
