"""Miniatures of the families that modular blocks run, beside their classic pipelines."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
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

    `pipeline` and `image_pipeline` are its classic pipelines, `tokens` how many its text encoder reads (0: it is not
    told), `guided` that it compares with a negative prompt, `strength` how its pipeline calls that and `offset` what it
    counts more than we do. `packs` says that its pipeline takes latents two by two cells a token, `places` that these
    lie side by side, `form` how else it takes them; `asks` is what it is told as well. `reads_pixels` says that its
    image pipeline takes no latents, `unsaid` that it can be told a negative prompt (else it has an empty one),
    `variant` what its `tiny` is to be. `inpaint_pipeline` paints inside a mask as we do, `edit_pipeline` looks at
    images beside its latent.
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
    form: Callable[[torch.Tensor], torch.Tensor] | None = None
    asks: Mapping[str, Any] = field(default_factory=dict)
    single: bool = False
    variant: Mapping[str, Any] = field(default_factory=dict)
    inpaint_pipeline: str = ""
    edit_pipeline: str = ""


def cell_by_cell(latents: torch.Tensor) -> torch.Tensor:
    """Two by two cells a token, the channels of each together."""
    cells = latents.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return cells.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


ROWS = {
    "flux3": Row("flux3", "Flux3ModularPipeline", "", tokens=0, channels=32, places=True, single=True),
    "flux3_distilled": Row(
        "flux3",
        "Flux3DistilledModularPipeline",
        "",
        tokens=0,
        channels=32,
        places=True,
        single=True,
        guided=False,
        variant={"distilled": True},
    ),
    "anima": Row(
        "anima", "AnimaModularPipeline", "AnimaModularPipeline", form=lambda one: one[:, :, None], reads_pixels=True
    ),
    "ideogram4": Row(
        "ideogram4",
        "Ideogram4Pipeline",
        "",
        guided=False,
        tokens=64,
        channels=32,
        form=cell_by_cell,
        asks={"guidance_schedule": None},
    ),
    "qwen_image_21": Row(
        "qwen_image_21",
        "QwenImage21Pipeline",
        "",
        tokens=0,
        strength="true_cfg_scale",
        channels=64,
        form=lambda one: one.flatten(2).transpose(1, 2),
    ),
    "sd3": Row(
        "sd3",
        "StableDiffusion3Pipeline",
        "StableDiffusion3Img2ImgPipeline",
        tokens=256,
        inpaint_pipeline="StableDiffusion3InpaintPipeline",
    ),
    "flux": Row(
        "flux",
        "FluxPipeline",
        "FluxImg2ImgPipeline",
        guided=False,
        packs=True,
        inpaint_pipeline="FluxInpaintPipeline",
    ),
    "kontext": Row(
        "flux",
        "FluxKontextPipeline",
        "FluxImg2ImgPipeline",
        guided=False,
        packs=True,
        edit_pipeline="FluxKontextPipeline",
        variant={"made": "FluxKontextPipeline"},
    ),
    "schnell": Row(
        "flux", "FluxPipeline", "FluxImg2ImgPipeline", 256, guided=False, packs=True, variant={"schnell": True}
    ),
    "z_image": Row(
        "z_image",
        "ZImagePipeline",
        "ZImageImg2ImgPipeline",
        offset=-1,
        reads_pixels=True,
        inpaint_pipeline="ZImageInpaintPipeline",
    ),
    "qwen_image": Row(
        "qwen_image",
        "QwenImagePipeline",
        "QwenImageImg2ImgPipeline",
        strength="true_cfg_scale",
        packs=True,
        inpaint_pipeline="QwenImageInpaintPipeline",
    ),
    "krea2": Row("krea2", "Krea2Pipeline", "", offset=-1, packs=True),
    "krea2_turbo": Row(
        "krea2",
        "Krea2Pipeline",
        "",
        guided=False,
        offset=-5,
        packs=True,
        variant={"distilled": True},
    ),
    "ernie_image": Row("ernie_image", "ErnieImagePipeline", "", tokens=0, channels=32, places=True),
    "klein_base": Row(
        "flux2", "Flux2KleinPipeline", "", edit_pipeline="Flux2KleinPipeline", channels=32, places=True, unsaid=False
    ),
    "klein": Row(
        "flux2",
        "Flux2KleinPipeline",
        "",
        edit_pipeline="Flux2KleinPipeline",
        channels=32,
        guided=False,
        places=True,
        variant={"distilled": True},
    ),
    "flux2_dev": Row(
        "flux2",
        "Flux2Pipeline",
        "",
        edit_pipeline="Flux2Pipeline",
        channels=32,
        guided=False,
        places=True,
        variant={"dev": True},
    ),
}


class Blocks:
    """A pipeline of modular blocks, called as a classic one."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        pipeline.load_components()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    @property
    def scheduler(self) -> Any:
        return self._pipeline.scheduler

    @scheduler.setter
    def scheduler(self, made: Any) -> None:
        self._pipeline.update_components(scheduler=made)

    def __call__(self, *, output_type: str, guidance_scale: float, **given: Any) -> Any:
        library: Any = diffusers
        if hasattr(self._pipeline, "guider"):
            self._pipeline.update_components(guider=library.ClassifierFreeGuidance(guidance_scale=guidance_scale))
        if output_type == "latent":
            return SimpleNamespace(images=self._pipeline(**given, output="latents"))
        return SimpleNamespace(images=self._pipeline(**given, output_type=output_type, output="images"))


def classic(name: str, *given: Any, **parts: Any) -> Any:
    """A pipeline of diffusers, from a folder or of parts. One of modular blocks reads prompts as they are given."""
    made: Any = getattr(diffusers, name)
    if name.endswith("ModularPipeline"):
        blocks = getattr(diffusers, made.default_blocks_name)()
        blocks.sub_blocks.pop("prompt_upsampler", None)
        pipeline: Any = Blocks(blocks.init_pipeline(*given))
    else:
        pipeline = made.from_pretrained(*given, **parts) if given else made(**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


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

    @property
    def cell(self) -> int:
        """The side of a cell in pixels."""
        return load_families()[self.family].latent.downsampling

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents in the form that the pipeline takes."""
        library: Any = diffusers
        if self.row.form:
            return self.row.form(latents)
        if self.row.places:
            return library.Flux2KleinPipeline._patchify_latents(latents)
        return library.FluxPipeline._pack_latents(latents, *latents.shape) if self.row.packs else latents

    def asked(self, batch: int) -> dict[str, Any]:
        """What a pipeline is told beside latents or image and size."""
        asked: dict[str, Any] = {"prompt": [PROMPT] * batch, "num_inference_steps": STEPS, "output_type": "pt"}
        unsaid = {"negative_prompt": [NEGATIVE] * batch} if self.guided and self.row.unsaid else {}
        if self.row.single:
            asked |= {"prompt": PROMPT, "num_images_per_prompt": batch}
            unsaid = dict.fromkeys(unsaid, NEGATIVE)
        return {
            **asked,
            **unsaid,
            **({"max_sequence_length": self.length} if self.length else {}),
            self.row.strength: 5.0 + self.row.offset,
            **self.row.asks,
        }

    def from_images(self) -> Any:
        """The pipeline that begins with an image."""
        if isinstance(self.pipeline, Blocks):
            return self.pipeline
        return classic(self.row.image_pipeline, **self.pipeline.components)

    @property
    def ctx(self) -> BenchContext:
        return BenchContext(self.store)

    def loaded(self) -> Any:
        return models.load(model="mine", ctx=self.ctx)

    def said(self, prompt: str, ctx: BenchContext | None = None, encoder: Any = None, **more: Any) -> Any:
        return text.encode(encoder or self.loaded().text, text=prompt, ctx=ctx or self.ctx, **more)

    def empty(self, batch: int = 1, **more: Any) -> Latent:
        side = 8 * self.cell
        return latent.empty(self.loaded().vae, batch=batch, ctx=self.ctx, **{"height": side, "width": side, **more})

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
        shape = {"latents": self.pack(noise), "height": size[0] * self.cell, "width": size[1] * self.cell}
        if self.row.pipeline == "FluxKontextPipeline":  # else it makes images of this area
            shape["max_area"] = size[0] * size[1] * 64
        given = {**self.asked(batch), **shape, **more}
        return (pipeline or self.pipeline)(**given).images


def flow_kit(name: str, root: Path, without: tuple[str, ...] = (), made: str = "") -> FlowKit:
    """`name` is one of `ROWS`; `without` are parts that its folder is to lack, `made` is another pipeline."""
    row = ROWS[name]
    if made:
        row = replace(row, pipeline=made, variant={"made": made})
    folder = root / "models" / "mine"
    module = importlib.import_module(f"safelight.families.{row.family}.tiny")
    module.write(load_families()[row.family], folder, 2 if row.variant else 1, **row.variant)
    if without:
        index = json.loads((folder / "model_index.json").read_text())
        for part in without:
            shutil.rmtree(folder / part)
            index[part] = [None, None]
        (folder / "model_index.json").write_text(json.dumps(index))
    pipeline = classic(row.pipeline, folder, **dict.fromkeys(without))
    environ = {"SAFELIGHT_DEVICE": "cpu", "SAFELIGHT_PRECISION": "float32", "HF_HUB_CACHE": str(root / "hub")}
    store = ModelStore(root, fingerprint=Fingerprints(None).digest, environment=Environment.read(environ))
    return FlowKit(row, pipeline, store, root)
