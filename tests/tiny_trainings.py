"""The workflows of workflows/train with settings so small that each learns for a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORKFLOWS = Path(__file__).parents[1] / "workflows" / "train"
STEPS = 8
TOLD = {"words": "apple, sky, tree, house", "odd_words": "cat, dog"}
FLOWS: dict[str, dict[str, Any]] = {
    "vae": {"start": "tiny", "updates": STEPS, "batch": 2},
    "unet": {
        "vae": "tiny", "updates": STEPS, "batch": 2, "vocabulary": 700, "backgrounds": 1,
        "width": 16, "widest": 16, "text_width": 32, "text_layers": 1,
    },
    "clip": {"model": "tiny", "updates": STEPS, "batch": 6, "width": 48, "layers": 1},
    "clip_more": {"start": "tower", "model": "tiny", "updates": STEPS, "batch": 6},
    "few_step": {"model": "tiny", "updates": STEPS, "batch": 2, "rank": 2, "steps": 2},
    "consistency": {
        "model": "tiny", "target": "average", "updates": STEPS, "batch": 2, "rank": 2, "steps": 2, "shown": 2,
    },
    "adversarial": {"model": "tiny", "updates": STEPS, "batch": 2, "rank": 2, "steps": 2, "shown": 2},
    "gan": {"updates": STEPS, "batch": 2, "side": 16, "width": 8, "latent": 8, "count": 4},
    "variational": {"updates": STEPS, "batch": 2, "side": "16", "latent": 4, "width": 8, "widest": 8, **TOLD},
    "lora": {"model": "tiny", "updates": STEPS, "batch": 2, "size": 64, "rank": 2, "prompts": ["a"]},
    "dreambooth": {"model": "tiny", "updates": STEPS, "batch": 1, "size": 64, "class_images": 2, "prompts": ["a"]},
    "textual_inversion": {
        "model": "tiny", "updates": STEPS, "batch": 2, "size": 64, "prompts": ["{}"], "initial": "cat",
    },
    "controlnet": {"model": "tiny", "updates": STEPS, "batch": 2, "steps": 2, "shown": 2},
    "ip_adapter": {"model": "tiny", "encoder": "tower", "updates": STEPS, "batch": 2, "steps": 2, "shown": 2},
    "motion": {"model": "tiny", "updates": STEPS, "batch": 1, "clips": 3, "steps": 2, "prompts": ["a"]},
    "inpainting": {"model": "tiny", "updates": STEPS, "batch": 2, "steps": 2, "shown": 2},
    "inpainting_lora": {"model": "tiny", "updates": STEPS, "batch": 2, "steps": 2, "shown": 2, "rank": 2},
    "captioner": {
        "encoder": "tower", "updates": STEPS, "batch": 2, "vocabulary": 400, "text_width": 48, "text_layers": 1,
    },
    "upscaler": {
        "vae": "tiny", "updates": STEPS, "batch": 2, "crop": 32, "scale": "2", "width": 8, "blocks": 1,
        "adversarial": 0.01, "index": "emoji/images.json", "pixels": "emoji/images.npy",
    },
    "words": {"model": "tiny", "updates": STEPS, "batch": 4, "rank": 2, "kept": 3, "prompts": ["a"]},
    "classifier": {"classes": "style", "updates": STEPS, "batch": 4, "side": 32, "width": 8},
    "ddpm": {"updates": STEPS, "batch": 2, "side": 16, "width": 16, "widest": 16, "steps": 2},
}  # fmt: skip
