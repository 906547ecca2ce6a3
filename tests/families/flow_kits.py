"""Miniatures of the families that modular blocks run, beside their classic pipelines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from node_bench import BenchContext
from safelight.diffusion.noise import draw, generators
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families import load_families
from safelight.models import ModelStore
from safelight.sdk import Latent
from safelight_nodes import latent, models, sampling, text, vae

PROMPT, NEGATIVE, SEED, STEPS = "a red apple on the table", "dark photo", 5, 4
CLOSE = 1e-5


@dataclass(frozen=True)
class FlowKit:
    """One miniature: its classic pipeline, and a store that leases the very same files.

    `length` is the number of tokens its T5 reads, `pack` brings latents into the form its pipeline takes.
    """

    family: str
    pipeline: Any
    store: ModelStore
    root: Path
    length: int
    pack: Callable[[torch.Tensor], torch.Tensor]

    @property
    def ctx(self) -> BenchContext:
        return BenchContext(self.store)

    @property
    def guided(self) -> bool:
        return self.family == "sd3"

    def loaded(self) -> Any:
        return models.load(model="mine", ctx=self.ctx)

    def said(self, prompt: str, ctx: BenchContext | None = None, encoder: Any = None, **more: Any) -> Any:
        return text.encode(encoder or self.loaded().text, text=prompt, ctx=ctx or self.ctx, **more)

    def empty(self, batch: int = 1, **more: Any) -> Latent:
        return latent.empty(self.loaded().vae, batch=batch, ctx=self.ctx, **more)

    def sampled(self, ctx: BenchContext | None = None, start: Latent | None = None, **more: Any) -> Latent:
        model = more.pop("model", None) or self.loaded().model
        given: dict[str, Any] = {
            "positive": more.pop("positive", None) or self.said(PROMPT),
            "negative": more.pop("negative", self.said(NEGATIVE) if self.guided else None),
            "latent": start or self.empty(),
            "steps": STEPS,
            "guidance": 5.0,
            "sampler": "euler",
            "seed": SEED,
            **more,
        }
        return sampling.sample(model, **given, ctx=ctx or self.ctx)

    def decoded(self, made: Latent) -> torch.Tensor:
        return vae.decode(self.loaded().vae, made, ctx=self.ctx).pixels.movedim(-1, 1)

    def theirs(self, batch: int = 1, size: tuple[int, int] = (8, 8), pipeline: Any = None, **more: Any) -> Any:
        """What the classic pipeline makes of the same noise."""
        noise = draw(generators(SEED, batch), (16, *size))
        given: dict[str, Any] = {
            "prompt": [PROMPT] * batch,
            "num_inference_steps": STEPS,
            "guidance_scale": 5.0,
            "max_sequence_length": self.length,
            "latents": self.pack(noise),
            "height": size[0] * 8,
            "width": size[1] * 8,
            "output_type": "pt",
            **({"negative_prompt": [NEGATIVE] * batch} if self.guided else {}),
            **more,
        }
        return (pipeline or self.pipeline)(**given).images


def flow_kit(name: str, root: Path, without: tuple[str, ...] = ()) -> FlowKit:
    """`name` is `sd3`, `flux` or `schnell`; `without` are parts that its folder is to lack."""
    import diffusers

    families = load_families()
    folder = root / "models" / "mine"
    if name == "schnell":
        from safelight.families.flux.tiny import write

        write(families["flux"], folder, 2, schnell=True)
    else:
        families[name].tiny(folder, 1)
    index = json.loads((folder / "model_index.json").read_text())
    for part in without:
        shutil.rmtree(folder / part)
        index[part] = [None, None]
    (folder / "model_index.json").write_text(json.dumps(index))
    cls = {"sd3": diffusers.StableDiffusion3Pipeline}.get(name, diffusers.FluxPipeline)
    pipeline = cls.from_pretrained(folder, **dict.fromkeys(without))
    pipeline.set_progress_bar_config(disable=True)
    environ = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32", "HF_HUB_CACHE": str(root / "hub")}
    store = ModelStore(root, fingerprint=Fingerprints(None).digest, environment=Environment.read(environ))

    def packed(latents: torch.Tensor) -> torch.Tensor:
        return diffusers.FluxPipeline._pack_latents(latents, *latents.shape)

    family = "sd3" if name == "sd3" else "flux"
    length = {"sd3": 256, "flux": 512, "schnell": 256}[name]
    return FlowKit(family, pipeline, store, root, length, packed if family == "flux" else lambda latents: latents)
