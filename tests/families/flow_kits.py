"""Miniatures of the families that modular blocks run, beside their classic pipelines."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusers
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
class Row:
    """What the shared proofs have to know of a miniature.

    `pipeline` and `image_pipeline` are its classic pipelines, `tokens` how many its text encoder reads, `guided` that
    it compares with a negative prompt, `strength` how its pipeline calls that and `offset` what it counts more than we
    do. `packs` says that its pipeline takes latents two by two cells a token, `places` that these lie side by side;
    `reads_pixels` that its image pipeline takes no latents, `unsaid` that it can be told a negative prompt (else it has
    an empty one), `variant` what its `tiny` is to be.
    """

    family: str
    pipeline: str
    image_pipeline: str
    tokens: int = 512
    guided: bool = True
    strength: str = "guidance_scale"
    offset: float = 0
    packs: bool = False
    unsaid: bool = True
    places: bool = False
    reads_pixels: bool = False
    channels: int = 16
    variant: Mapping[str, Any] = field(default_factory=dict)


ROWS = {
    "sd3": Row("sd3", "StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline", tokens=256),
    "flux": Row("flux", "FluxPipeline", "FluxImg2ImgPipeline", guided=False, packs=True),
    "schnell": Row(
        "flux", "FluxPipeline", "FluxImg2ImgPipeline", 256, guided=False, packs=True, variant={"schnell": True}
    ),
    "z_image": Row("z_image", "ZImagePipeline", "ZImageImg2ImgPipeline", offset=-1, reads_pixels=True),
    "qwen_image": Row(
        "qwen_image", "QwenImagePipeline", "QwenImageImg2ImgPipeline", strength="true_cfg_scale", packs=True
    ),
    "krea2": Row("krea2", "Krea2Pipeline", "", offset=-1, packs=True),
    "krea2_turbo": Row("krea2", "Krea2Pipeline", "", guided=False, offset=-5, packs=True, variant={"distilled": True}),
    "klein_base": Row("flux2", "Flux2KleinPipeline", "", channels=32, places=True, unsaid=False),
    "klein": Row(
        "flux2", "Flux2KleinPipeline", "", channels=32, guided=False, places=True, variant={"distilled": True}
    ),
}


@dataclass(frozen=True)
class FlowKit:
    """One miniature: its classic pipeline, and a store that leases the very same files."""

    row: Row
    pipeline: Any
    store: ModelStore
    root: Path

    @property
    def family(self) -> str:
        return self.row.family

    @property
    def length(self) -> int:
        return self.row.tokens

    @property
    def guided(self) -> bool:
        return self.row.guided

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents in the form that the pipeline takes."""
        library: Any = diffusers
        if self.row.places:
            return library.Flux2KleinPipeline._patchify_latents(latents)
        return library.FluxPipeline._pack_latents(latents, *latents.shape) if self.row.packs else latents

    def asked(self, batch: int) -> dict[str, Any]:
        """What a pipeline is told beside latents or image and size."""
        asked: dict[str, Any] = {"prompt": [PROMPT] * batch, "num_inference_steps": STEPS, "output_type": "pt"}
        unsaid = {"negative_prompt": [NEGATIVE] * batch} if self.guided and self.row.unsaid else {}
        return {**asked, **unsaid, "max_sequence_length": self.length, self.row.strength: 5.0 + self.row.offset}

    @property
    def ctx(self) -> BenchContext:
        return BenchContext(self.store)

    def loaded(self) -> Any:
        return models.load(model="mine", ctx=self.ctx)

    def said(self, prompt: str, ctx: BenchContext | None = None, encoder: Any = None, **more: Any) -> Any:
        return text.encode(encoder or self.loaded().text, text=prompt, ctx=ctx or self.ctx, **more)

    def empty(self, batch: int = 1, **more: Any) -> Latent:
        return latent.empty(self.loaded().vae, batch=batch, ctx=self.ctx, **{"height": 64, "width": 64, **more})

    def sampled(self, ctx: BenchContext | None = None, start: Latent | None = None, **more: Any) -> Latent:
        model = more.pop("model", None) or self.loaded().model
        given: dict[str, Any] = {
            "positive": more.pop("positive", None) or self.said(PROMPT),
            "negative": more.pop("negative", self.said(NEGATIVE if self.row.unsaid else "") if self.guided else None),
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
        noise = draw(generators(SEED, batch), (self.row.channels, *size))
        shape = {"latents": self.pack(noise), "height": size[0] * 8, "width": size[1] * 8}
        given = {**self.asked(batch), **shape, **more}
        return (pipeline or self.pipeline)(**given).images


def flow_kit(name: str, root: Path, without: tuple[str, ...] = ()) -> FlowKit:
    """`name` is one of `ROWS`; `without` are parts that its folder is to lack."""
    row = ROWS[name]
    folder = root / "models" / "mine"
    module = importlib.import_module(f"safelight.families.{row.family}.tiny")
    module.write(load_families()[row.family], folder, 2 if row.variant else 1, **row.variant)
    index = json.loads((folder / "model_index.json").read_text())
    for part in without:
        shutil.rmtree(folder / part)
        index[part] = [None, None]
    (folder / "model_index.json").write_text(json.dumps(index))
    pipeline = getattr(diffusers, row.pipeline).from_pretrained(folder, **dict.fromkeys(without))
    pipeline.set_progress_bar_config(disable=True)
    environ = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32", "HF_HUB_CACHE": str(root / "hub")}
    store = ModelStore(root, fingerprint=Fingerprints(None).digest, environment=Environment.read(environ))
    return FlowKit(row, pipeline, store, root)
