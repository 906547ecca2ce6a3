"""The image tower: learned by CLIP's contrastive loss against the frozen text tower (LiT, Zhai et al., 2022).

    python -m training.starter.clip --cache DIR --steps 1500

The text tower's projection is the identity: its pooled state *is* the shared embedding (256 numbers). So
``CLIPTextModel`` and ``CLIPVisionModelWithProjection`` need nothing between them. The text tower learned with the
denoiser; run this after it was frozen. Writes ``DIR/model/image_encoder`` (float32).
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np

from safelight_nodes._training.captions import caption, draw_colour

from . import state
from .data import SIZE, default_cache, load
from .tokenizer import encode
from .unet import text_tower

MEAN = STD = (0.5, 0.5, 0.5)


def image_tower() -> Any:
    """A new ``CLIPVisionModelWithProjection``: 4 layers of 192 on 64 patches of 16 pixels."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
            image_size=SIZE, patch_size=16, projection_dim=256,
        )
    )  # fmt: skip


class Batches:
    """Draws batches of distinct subjects; a quarter comes twice, in another style or colour, with all of it said.

    Those pairs make style and background count, the rest make the subject count.
    """

    def __init__(self, pictures: np.ndarray, index: dict[str, Any], size: int, seed: int) -> None:
        import torch

        self.pictures = torch.from_numpy(np.array(pictures))
        self.subjects = index["subjects"]
        self.styles = [p["style"] for p in index["pictures"]]
        self.by_subject: dict[str, list[int]] = {}
        for number, picture in enumerate(index["pictures"]):
            self.by_subject.setdefault(picture["subject"], []).append(number)
        self.keys = list(self.by_subject)
        weight = np.sqrt([self.subjects[k]["weight"] for k in self.keys])
        self.weight = weight / weight.sum()
        self.size, self.seed = size, seed

    def draw(self, step: int) -> tuple[Any, list[str]]:
        """Pictures (B, 3, 128, 128) in -1..1 and their captions."""
        import torch

        rng = state.generator(self.seed, step)
        twins = self.size // 5
        chosen = rng.choice(len(self.keys), self.size - twins, replace=False, p=self.weight)
        numbers: list[int] = []
        texts: list[str] = []
        colours: list[tuple[int, int, int]] = []
        for place, key_number in enumerate([*chosen, *chosen[:twins]]):
            key = self.keys[key_number]
            options = self.by_subject[key]
            number = options[int(rng.integers(len(options)))]
            twin = place < twins or place >= len(chosen)
            colour, rgb = draw_colour(rng, 0 if not twin and rng.random() < 0.4 else None)
            numbers.append(number)
            colours.append(rgb)
            texts.append(caption(rng, self.subjects[key], self.styles[number], colour, explicit=twin))
        rgba = self.pictures[numbers].permute(0, 3, 1, 2).float() / 255
        back = torch.tensor(colours).float()[:, :, None, None] / 255
        alpha = rgba[:, 3:]
        return (rgba[:, :3] * alpha + back * (1 - alpha)) * 2 - 1, texts


def learn(cache: Path, steps: int, batch: int, rate: float, minutes: float | None, seed: int = 1) -> None:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from transformers import CLIPTokenizer

    found = state.read(cache / "unet.pt")
    if not found:
        raise SystemExit("train the denoiser and its text tower first")
    threads = state.Threads(2)
    torch.manual_seed(seed)
    pictures, index = load(cache)
    tokenizer = CLIPTokenizer.from_pretrained(cache / "model" / "tokenizer")
    batches = Batches(pictures, index, batch, seed)
    text = text_tower(len(tokenizer)).eval()
    shadow = found["average"]["shadow"]
    text.load_state_dict({k.removeprefix("text."): v for k, v in shadow.items() if k.startswith("text.")})
    del found, shadow
    model = torch.nn.Module()
    model.image = image_tower()
    model.scale = torch.nn.Parameter(torch.tensor(math.log(20.0)))
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.05)
    run = state.Run(cache / "clip.pt", model, optimiser)
    clock, log = state.Clock(minutes), state.Log(cache / "clip.log")
    recent: list[tuple[float, float]] = []
    target = torch.arange(batch)
    while run.step < steps and not clock.stop():
        threads.adapt()
        x, texts = batches.draw(run.step)
        ids = encode(tokenizer, texts)
        # Attention is causal: nothing after the end token reaches the pooled state.
        ids = ids[:, : int((ids != tokenizer.eos_token_id).sum(1).max()) + 1]
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            with torch.no_grad():
                a = text(input_ids=ids).pooler_output
            b = model.image(pixel_values=x).image_embeds
        a, b = (torch.nn.functional.normalize(v.float(), dim=-1) for v in (a, b))
        logits = model.scale.clamp(max=math.log(100)).exp() * a @ b.T
        loss = sum(torch.nn.functional.cross_entropy(v, target) for v in (logits, logits.T)) / 2
        run.update(loss, rate * min(1.0, (run.step + 1) / 150) * max(0.02, 1 - (run.step / steps) ** 2))
        recent.append((loss.item(), (logits.argmax(1) == target).float().mean().item()))
        if run.step % 50 == 0:
            log(run.step, loss=float(np.mean([r[0] for r in recent])), top1=float(np.mean([r[1] for r in recent])))
            recent.clear()
        if clock.due():
            run.keep()
    run.keep()
    model.load_state_dict(run.average.shadow)
    model.image.save_pretrained(cache / "model" / "image_encoder")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--minutes", type=float)
    args = parser.parse_args()
    learn(args.cache, args.steps, args.batch, args.rate, args.minutes)


if __name__ == "__main__":
    main()
