"""A contact sheet: a row for each prompt, a column for each seed.

python -m training.starter.sample --model server/safelight/starter --out sheet.png
python -m training.starter.sample --cache DIR --out sheet.png            (the latest checkpoint)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .data import default_cache

PROMPTS = (
    "a red apple", "a cat", "a dog", "a pizza, blue background", "3d rocket", "flat tree", "a smiling face",
    "a green frog on pink", "a car", "a house", "a heart", "a fish", "drawn banana, purple background",
    "a strawberry on a black background", "a bicycle", "a robot", "a castle, yellow background", "an owl",
    "a sunflower", "a guitar on light green",
)  # fmt: skip
SAMPLERS = {
    "ddim": ("DDIMScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "pndm": ("PNDMScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
}


def draw(pipe: Any, prompts: list[str], seeds: list[int], steps: int, guidance: float) -> Any:
    """The sheet as a PIL picture. A noise tensor depends on its seed alone, not on its place in the batch."""
    import torch
    from PIL import Image

    pipe.set_progress_bar_config(disable=True)
    sheet = Image.new("RGB", (128 * len(prompts), 128 * len(seeds)), "white")
    for row, seed in enumerate(seeds):
        for start in range(0, len(prompts), 16):
            part = prompts[start : start + 16]
            generators = [torch.Generator().manual_seed(seed) for _ in part]
            with torch.autocast("cpu", torch.bfloat16):
                images = pipe(part, num_inference_steps=steps, guidance_scale=guidance, generator=generators).images
            for column, image in enumerate(images):
                sheet.paste(image, (128 * (start + column), 128 * row))
    return sheet


def main() -> None:
    import diffusers
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--model", type=Path, help="an exported folder instead of the latest checkpoint")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompt", action="append")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--sampler", choices=SAMPLERS, default="ddim")
    args = parser.parse_args()
    torch.set_num_threads(2)
    if args.model:
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(
            args.model, safety_checker=None, torch_dtype=torch.float32
        )
    else:
        from .export import pipeline

        pipe = pipeline(args.cache, half=False)
    name, options = SAMPLERS[args.sampler]
    pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config, **options)
    draw(pipe, args.prompt or list(PROMPTS), list(range(args.seeds)), args.steps, args.guidance).save(args.out)


if __name__ == "__main__":
    main()
