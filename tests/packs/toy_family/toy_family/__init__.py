"""A family, a sampler and a scheduler of a pack: as small as they can be, and run like the built-in ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safelight.diffusion.denoiser import LoopDenoiser
from safelight.families import Family, Files, Folder, Held, LatentSpace, Loaded, Parts
from safelight.sdk import Conditioning, Context, Presets, Prompt


class ToyFamily(Family):
    def is_pipeline(self, folder: Folder) -> bool:
        return folder.index.get("_class_name") == "ToyPipeline"

    def parts(self, folder: Folder) -> Parts:
        return Parts(("denoiser", "text_encoder", "vae"), denoiser="denoiser")

    def load(self, kind: str, files: Files) -> Loaded:
        from .modules import MODULES

        part = {"Denoiser": "denoiser", "TextEncoder": "text_encoder", "VAE": "vae"}[kind]
        return Loaded({part: files.build(part, MODULES[part])}, {"scheduler": files.config("scheduler")})

    def denoiser(self, held: Held) -> ToyDenoiser:
        return ToyDenoiser(
            held.ref, self, held.modules, held.settings["scheduler"], self.presets, held.device, held.dtype,
            rows=self.latent.rgb, schedulers=("model", "karras", "toy_halving"),
        )  # fmt: skip

    def text_encoder(self, held: Held) -> ToyText:
        return ToyText(self, held)

    def vae(self, held: Held) -> Any:
        from .modules import ToyCodec

        return ToyCodec(self, held)

    def tiny(self, folder: Path, seed: int = 0) -> Path:
        from .modules import write

        return write(folder, seed)


class ToyDenoiser(LoopDenoiser):
    def check(self, request: Any, parts: Any) -> None:
        pass

    @contextmanager
    def running(self, request: Any, negative: Any, ctx: Context) -> Iterator[ToyCall]:
        yield ToyCall(self.modules["denoiser"], request.latent.samples.shape[0])

    def working_bytes(self, shape: Sequence[int], prompts: int, controlled: bool) -> int:
        return 0


class ToyCall:
    def __init__(self, module: Any, batch: int) -> None:
        self.module, self.batch = module, batch

    def inputs(self, prompts: Sequence[Prompt], sides: Sequence[bool]) -> Any:
        import torch

        return torch.cat([prompt.tensors["letters"].expand(self.batch, -1) for prompt in prompts])

    def __call__(self, batched: Any, timestep: Any, inputs: Any, sides: Any, window: Any) -> Any:
        return self.module(batched, timestep, inputs.to(batched))


class ToyText:
    tokenizers = ()

    def __init__(self, family: Family, held: Held) -> None:
        self.family, self.modules = family, held.modules

    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        import torch

        counts = torch.tensor([[float(text.count(letter)) for letter in "abcdefgh"]])
        states = self.modules["text_encoder"](counts.to(self.modules["text_encoder"].weight))
        return Conditioning((Prompt({"letters": states.float().cpu()}),), family=self.family.id)


FAMILY = ToyFamily(
    id="toy",
    title="Toy",
    latent=LatentSpace("toy", channels=3, downsampling=4, rgb=((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.5, 0.5))),
    presets=Presets(steps=3, guidance=2.0, sampler="toy_euler", scheduler="toy_halving", width=32, height=32),
)
