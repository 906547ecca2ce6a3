"""Write the averaged weights as a Stable Diffusion folder of diffusers, in float16.

python -m training.starter.export --cache DIR --target server/safelight/starter
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from . import state
from .data import default_cache
from .unet import CONFIG, SCHEDULE, text_tower

SCHEDULER = {
    **SCHEDULE,
    "clip_sample": False,
    "set_alpha_to_one": True,
    "steps_offset": 1,
    "timestep_spacing": "trailing",
}


def pipeline(cache: Path, half: bool = True) -> Any:
    """A ``StableDiffusionPipeline`` of the latest checkpoint's averages and the autoencoder."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTokenizer

    found = state.read(cache / "unet.pt")
    if not found:
        raise SystemExit(f"no checkpoint in {cache}: run training.starter.unet first")
    shadow = found["average"]["shadow"]
    tokenizer = CLIPTokenizer.from_pretrained(cache / "model" / "tokenizer")
    unet = UNet2DConditionModel(**CONFIG)
    unet.load_state_dict({k.removeprefix("unet."): v for k, v in shadow.items() if k.startswith("unet.")})
    text = text_tower(len(tokenizer))
    text.load_state_dict({k.removeprefix("text."): v for k, v in shadow.items() if k.startswith("text.")})
    better = cache / "model" / "vae-decoder"
    vae = AutoencoderKL.from_pretrained(better if better.exists() else cache / "model" / "vae")
    parts = {"unet": unet.eval(), "text_encoder": text.eval(), "vae": vae.eval()}
    if half:
        parts = {k: v.to(torch.float16) for k, v in parts.items()}
    return StableDiffusionPipeline(
        **parts, tokenizer=tokenizer, scheduler=DDIMScheduler(**SCHEDULER),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def export(cache: Path, target: Path) -> int:
    """Returns the size of all weights in bytes."""
    import torch

    pipe = pipeline(cache)
    pipe.save_pretrained(target)
    # Loaders that know only CLIP's two classic files read these.
    model = json.loads((target / "tokenizer" / "tokenizer.json").read_text())["model"]
    (target / "tokenizer" / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    (target / "tokenizer" / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    image_encoder = cache / "model" / "image_encoder"
    if image_encoder.exists():
        from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

        from .clip import MEAN, SIZE, STD

        tower = CLIPVisionModelWithProjection.from_pretrained(image_encoder).to(torch.float16)
        tower.save_pretrained(target / "image_encoder")
        CLIPImageProcessor(
            size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}, image_mean=MEAN, image_std=STD
        ).save_pretrained(target / "image_encoder")
    return sum(p.stat().st_size for p in target.rglob("*.safetensors"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--target", type=Path, required=True)
    args = parser.parse_args()
    print(f"{export(args.cache, args.target) / 1e6:.1f} MB of weights in {args.target}")


if __name__ == "__main__":
    main()
