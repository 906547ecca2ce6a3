"""Train the denoiser on the stored latents.

    python -m training.starter.unet --cache DIR --steps 40000 --minutes 60

v-prediction (Salimans & Ho, 2022) with its SNR + 1 weighting cut off at 5 (after Hang et al., 2023), 10 % empty
captions, an exponential average of the weights, bfloat16 autocast. The text tower learns along, until
``--freeze-text`` fixes it at its average. A run stopped at any point goes on from its checkpoint; given the same
options and threads it ends in the same weights as one that was never stopped.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from safelight_nodes._training.captions import caption

from . import state
from .data import default_cache, load
from .tokenizer import LENGTH, VOCABULARY, encode
from .vae import sampling_weights

# The end value is higher than Stable Diffusion's 0.012: at 8x8 latents that schedule leaves the background's colour
# visible in the last step's noise (signal 0.07 of a channel mean), and a sampler that starts from pure noise then
# draws everything grey. Here 0.0025 is left, with no need for rescaled betas, so every diffusers scheduler fits.
SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.03,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
}

CONFIG: dict[str, Any] = {
    "sample_size": 8,
    "in_channels": 16,
    "out_channels": 16,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "block_out_channels": (128, 240),
    "layers_per_block": 1,
    "attention_head_dim": 4,
    "norm_num_groups": 16,
    "cross_attention_dim": 256,
}


def alphas_bar() -> Any:
    """Cumulative signal power at each of the 1,000 timesteps, as diffusers' schedulers compute it."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(**SCHEDULE).alphas_cumprod


class Data:
    """Latents, the captions' ingredients and the weights; a batch is a pure function of (seed, step)."""

    def __init__(
        self, latents: np.ndarray, colours: np.ndarray, index: dict[str, Any], seed: int, weights: np.ndarray
    ) -> None:
        self.latents, self.colours, self.seed = latents, colours, seed
        self.pictures = index["pictures"]
        self.subjects = index["subjects"]
        self.edges = np.cumsum(weights)

    def draw(self, step: int, size: int, white: float = 0.4, empty: float = 0.1) -> tuple[Any, list[str]]:
        """Latents (B, 16, 8, 8) float32 and captions."""
        import torch

        rng = state.generator(self.seed, step)
        numbers = np.minimum(np.searchsorted(self.edges, rng.random(size)), len(self.pictures) - 1)
        slots = np.where(rng.random(size) < white, 0, rng.integers(1, self.colours.shape[1], size))
        texts: list[str] = []
        for number, slot in zip(numbers, slots, strict=True):
            picture = self.pictures[number]
            text = caption(rng, self.subjects[picture["subject"]], picture["style"], int(self.colours[number, slot]))
            texts.append("" if rng.random() < empty else text)
        return torch.from_numpy(self.latents[numbers, slots].astype(np.float32)), texts


def text_tower(vocabulary: int = VOCABULARY) -> Any:
    """A new ``CLIPTextModel``: 3 layers of 256. Its pooled state is the shared embedding, without a projection."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary, hidden_size=256, intermediate_size=512, num_hidden_layers=3,
            num_attention_heads=4, max_position_embeddings=LENGTH, projection_dim=256,
            bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1,
        )
    )  # fmt: skip


class Trainer:
    """UNet and text tower with their optimiser and average; ``step`` counts updates."""

    def __init__(self, config: dict[str, Any], text: Any, rate: float, seed: int, decay: float = 0.9995) -> None:
        import torch
        from diffusers import UNet2DConditionModel

        torch.manual_seed(seed)
        self.unet: Any = UNet2DConditionModel(**config)
        self.unet.to(memory_format=torch.channels_last)
        self.text = text.train()
        self.model = torch.nn.ModuleDict({"unet": self.unet, "text": text})
        self.optimiser = torch.optim.AdamW(
            [{"params": list(self.unet.parameters()), "scale": 1.0},
             {"params": list(text.parameters()), "scale": 0.5}],
            lr=rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True,
        )  # fmt: skip
        self.average = state.Ema(self.model, decay)
        self.alphas = alphas_bar()
        self.rate, self.seed, self.step = rate, seed, 0
        self.forward: Any = self.unet

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict(),
            "step": self.step,
        }

    def load_state_dict(self, found: dict[str, Any]) -> None:
        self.model.load_state_dict(found["model"])
        self.optimiser.load_state_dict(found["optimiser"])
        self.average.load_state_dict(found["average"])
        self.step = found["step"]

    def freeze_text(self) -> None:
        """Fix the text tower at its average, from here on."""
        prefix = "text."
        kept = {k.removeprefix(prefix): v for k, v in self.average.shadow.items() if k.startswith(prefix)}
        self.text.load_state_dict(kept)
        self.text.requires_grad_(False)

    def update(self, latents: Any, ids: Any, factor: float) -> float:
        """One optimiser step at ``rate * factor``; returns the unweighted mean squared error of v.

        ``latents`` (B, 16, 8, 8), ``ids`` (B, 32).
        """
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        size = len(latents)
        generator = state.torch_generator(self.seed, self.step)
        # Stratified over the batch: the same timesteps in expectation, less variance of the loss.
        t = ((torch.arange(size) + torch.rand(size, generator=generator)) * (1000 / size)).long().clamp(max=999)
        noise = torch.randn(latents.shape, generator=generator)
        power = self.alphas[t][:, None, None, None]
        signal, sigma = power.sqrt(), (1 - power).sqrt()
        noisy = (signal * latents + sigma * noise).contiguous(memory_format=torch.channels_last)
        target = signal * noise - sigma * latents
        # On a CPU the fused attention's backward pass is slow at 64 tokens: plain attention saves 17 % of a step.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            context = self.text(input_ids=ids).last_hidden_state
            guess = self.forward(noisy, t, context, return_dict=False)[0]
        error = (guess.float() - target).square().mean((1, 2, 3))
        snr = self.alphas[t] / (1 - self.alphas[t])
        # Error of the clean latent weighted by min(SNR + 1, 5). Plain min-SNR would leave the noisiest third of the
        # steps, where the caption alone says what to draw, with next to no weight.
        loss = (error * (snr + 1).clamp(max=5) / (snr + 1)).mean()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * factor * group["scale"]
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.model)
        self.step += 1
        return error.mean().item()


def rate_factor(step: int, warm: int, fall_from: int | None, fall_to: int | None) -> float:
    """Linear warm-up, constant, and on demand a cosine fall to 2 % between two steps."""
    factor = min(1.0, (step + 1) / warm)
    if fall_from is not None and fall_to is not None and step >= fall_from:
        part = min(1.0, (step - fall_from) / max(1, fall_to - fall_from))
        factor *= 0.02 + 0.98 * (1 + math.cos(math.pi * part)) / 2
    return factor


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--steps", type=int, default=1_000_000, help="stop at this step")
    parser.add_argument("--minutes", type=float, help="stop after this time")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--warm", type=int, default=300)
    parser.add_argument("--fall-from", type=int, help="start lowering the rate at this step, to end at --steps")
    parser.add_argument("--focus", type=float, default=1.0, help="power of the weights; over 1: everyday subjects")
    parser.add_argument("--solid", type=float, default=1.33, help="how much more often 3d than flat or drawn")
    parser.add_argument("--everyday", type=float, help="share of the draws that goes to everyday subjects")
    parser.add_argument("--decay", type=float, default=0.9995, help="of the average")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--threads", type=int, default=2, help="at most; one while other processes are busy")
    parser.add_argument("--freeze-text", action="store_true")
    parser.add_argument("--compile", action="store_true", help="needs a C++ compiler; other rounding")
    return parser.parse_args()


def main() -> None:
    import torch
    from transformers import CLIPTokenizer

    args = options()
    threads = state.Threads(args.threads)
    cache: Path = args.cache
    _, index = load(cache)
    weights = sampling_weights(index, args.focus, args.solid, args.everyday)
    data = Data(np.load(cache / "latents.npy"), np.load(cache / "colours.npy"), index, args.seed, weights)
    tokenizer = CLIPTokenizer.from_pretrained(cache / "model" / "tokenizer")
    torch.manual_seed(args.seed)
    trainer = Trainer(CONFIG, text_tower(len(tokenizer)), args.rate, args.seed, args.decay)
    path = cache / "unet.pt"
    if found := state.read(path):
        trainer.load_state_dict(found)
        del found
    if args.freeze_text:
        trainer.freeze_text()
    if args.compile:
        trainer.forward = torch.compile(trainer.unet)
    clock, log = state.Clock(args.minutes), state.Log(cache / "unet.log")
    recent: list[float] = []
    began = time.monotonic()
    while trainer.step < args.steps and not clock.stop():
        threads.adapt()
        latents, texts = data.draw(trainer.step, args.batch)
        factor = rate_factor(trainer.step, args.warm, args.fall_from, args.steps)
        recent.append(trainer.update(latents, encode(tokenizer, texts), factor))
        if trainer.step % 50 == 0:
            speed = len(recent) * args.batch / (time.monotonic() - began)
            values = {"rate": args.rate * factor, "per_second": speed, "threads": threads.current}
            log(trainer.step, loss=float(np.mean(recent)), **values)
            recent.clear()
            began = time.monotonic()
        if clock.due():
            state.save(path, trainer.state_dict())
    state.save(path, trainer.state_dict())


if __name__ == "__main__":
    main()
