"""The torch side of the toy family."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import interpolate

SCHEDULE = {
    "_class_name": "DDIMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}


class Denoiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, 3, 3, padding=1)
        self.listen = nn.Linear(4, 3)

    def forward(self, latent: Any, timestep: Any, text: Any) -> Any:
        return latent + 0.1 * self.look(latent) + self.listen(text)[:, :, None, None]


MODULES: dict[str, Any] = {
    "denoiser": Denoiser,
    "text_encoder": lambda: nn.Linear(8, 4),
    "vae": lambda: nn.Conv2d(3, 3, 1),
}


class ToyCodec:
    channels, downsampling, native_size, overflows = 3, 4, (32, 32), False

    def __init__(self, family: Any, held: Any) -> None:
        self.family, self.modules = family, held.modules

    def decode(self, samples: Any, tile: int = 0) -> Any:
        pixels = interpolate(self.modules["vae"](samples.to(self.modules["vae"].weight)), scale_factor=4)
        return (pixels.float() / 2 + 0.5).clamp(0, 1).movedim(1, -1)

    def encode(self, pixels: Any, sources: Any = None, tile: int = 0) -> Any:
        return interpolate(pixels.movedim(-1, 1), scale_factor=0.25) * 2 - 1


def write(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    for part, make in MODULES.items():
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text("{}")
        save_file(make().state_dict(), folder / part / "model.safetensors")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULE))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "ToyPipeline"}))
    return folder
