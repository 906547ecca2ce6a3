"""Encode every picture on several background colours, once.

    python -m training.starter.latents --cache DIR

Writes ``latents.npy`` (N, SLOTS, 16, 8, 8 float16, already scaled) and ``colours.npy`` (N, SLOTS: palette numbers).
Slot 0 is white; the others are palette colours, no colour twice for a picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from safelight_nodes._training.captions import PALETTE, draw_colour

from .data import composite, default_cache, load

SLOTS = 7


def encode_all(cache: Path, seed: int = 5) -> None:
    import torch
    from diffusers import AutoencoderKL

    torch.set_num_threads(2)
    pictures, _ = load(cache)
    vae = AutoencoderKL.from_pretrained(cache / "model" / "vae", torch_dtype=torch.float32).eval()
    vae.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue, reportArgumentType]
    scale = float(vae.config.scaling_factor)  # pyright: ignore[reportAttributeAccessIssue]
    latents = np.empty((len(pictures), SLOTS, 16, 8, 8), np.float16)
    colours = np.empty((len(pictures), SLOTS), np.int16)
    group = 10
    for start in range(0, len(pictures), group):
        rows: list[np.ndarray] = []
        for number in range(start, min(start + group, len(pictures))):
            rng = np.random.default_rng([seed, number])
            chosen = [0, *(1 + rng.permutation(len(PALETTE) - 1)[: SLOTS - 1])]
            for slot, colour in enumerate(chosen):
                colours[number, slot] = colour
                rows.append(composite(pictures[number], draw_colour(rng, int(colour))[1]))
        x = torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            z = vae.encode(x.to(memory_format=torch.channels_last)).latent_dist.mode().float() * scale
        latents[start : start + group] = z.reshape(-1, SLOTS, 16, 8, 8).numpy().astype(np.float16)
        if start % 1000 == 0:
            print(start, flush=True)
    np.save(cache / "latents.npy", latents)
    np.save(cache / "colours.npy", colours)
    print(f"{latents.shape}, deviation {latents.std(dtype=np.float32):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache())
    encode_all(parser.parse_args().cache)


if __name__ == "__main__":
    main()
