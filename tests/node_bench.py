"""A bench for nodes: a context that leases the parts of a diffusers pipeline and remembers what it is told."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

from safelight.environment import Environment
from safelight.families import Held, load_families
from safelight.media.registry import built_in
from safelight.models import ModelStore
from safelight.sdk import ALONE, Cancelled, File, Image, ModelRef, Problem, ProblemError, Source

PROMPT, NEGATIVE, SEED = "a red apple on the table", "dark photo", 5
CLOSE = 1e-5
"""Largest difference of two images, 0..1, that pass for equal: rounding in another order of additions."""


def recipe(kind: str, family: str, name: str) -> ModelRef[Any]:
    return ModelRef(kind, family, Source("folder", name, fingerprint=name))


@dataclass
class Leased:
    """A lease."""

    component: Any
    device: Any
    dtype: Any
    settings: Mapping[str, Any]


FAMILIES = load_families()
PARTS = {"Denoiser": "unet", "VAE": "vae"}


@dataclass
class Shelf:
    """Stands in for the model store: components by kind and name."""

    held: dict[tuple[str, str], Leased] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    leased: list[ModelRef[Any]] = field(default_factory=list)

    def put(self, kind: str, name: str, component: Any, settings: Mapping[str, Any] | None = None) -> None:
        import torch

        parameters = list(component.parameters()) if hasattr(component, "parameters") else []
        dtype = parameters[0].dtype if parameters else torch.float32
        self.held[kind, name] = Leased(component, torch.device("cpu"), dtype, MappingProxyType(dict(settings or {})))

    def spread(self, work: Any, ctx: Any, count: int) -> Any:
        assert count == 1
        return work(ctx, ALONE)

    def find(self, name: str) -> Source:
        return Source("folder", name, fingerprint=name)

    def family(self, source: Source) -> str:
        return self.told[source.name]

    @property
    def families(self) -> Any:
        return FAMILIES

    @contextmanager
    def lease(self, ref: ModelRef[Any], scratch: int = 0) -> Iterator[Leased]:
        self.leased.append(ref)
        found = self.held[ref.kind, ref.source.name]
        if ref.kind not in ("Denoiser", "TextEncoder", "VAE"):
            yield found
            return
        family = FAMILIES[ref.family or "sd1"]
        part, settings = PARTS.get(ref.kind), dict(found.settings)
        modules = {part: found.component} if part else dict(found.component.modules)
        if part is None:
            settings["tokenizers"] = found.component.tokenizers
        held = Held(ref, modules, settings, found.device, found.dtype)
        make = {"Denoiser": family.denoiser, "TextEncoder": family.text_encoder, "VAE": family.vae}[ref.kind]
        yield Leased(make(held), found.device, found.dtype, found.settings)

    def retry(self, attempt: Callable[[], Any], tell: Any = None) -> Any:
        return attempt()


def offline_store(home: Path, kind: type[ModelStore] = ModelStore, **settings: str) -> ModelStore:
    """A store over a data folder that asks no hub; files are told apart by their names."""
    environment = Environment.read({"SAFELIGHT_OFFLINE": "1", **settings})
    return kind(home, fingerprint=lambda path: path.name, environment=environment)


@dataclass
class BenchContext:
    """Implements `sdk.Context` in memory."""

    models: Any = field(default_factory=Shelf)
    folder: Path | None = None
    previews: bool = False
    cancel_at: int | None = None
    keep_at: int | None = None
    state: Mapping[str, Any] | None = None
    steps: list[tuple[int, int]] = field(default_factory=list)
    shown: list[Image] = field(default_factory=list)
    kept: list[Mapping[str, Any]] = field(default_factory=list)
    saved: dict[str, bytes] = field(default_factory=dict)
    curve: list[tuple[int, float]] = field(default_factory=list)
    calls: int = 0
    warned: list[Problem] = field(default_factory=list)

    @property
    def files(self) -> BenchContext:
        return self

    @property
    def media(self) -> Any:
        return built_in()

    def path(self, name: str) -> Path:
        assert self.folder is not None
        if not (self.folder / name).exists():
            raise ProblemError(Problem(code="file_missing", message=f"{name} is not there."))
        return self.folder / name

    def progress(self, step: int, total: int, preview: Image | None = None, curve: Any = None) -> None:
        self.steps.append((step, total))
        if curve:
            self.curve = list(curve)
        if preview is not None:
            self.shown.append(preview)

    def wants_preview(self) -> bool:
        return self.previews

    def check_cancelled(self) -> None:
        self.calls += 1
        if self.cancel_at is not None and self.calls > self.cancel_at:
            raise Cancelled

    def warn(self, problem: Problem) -> None:
        self.warned.append(problem)

    def restore(self) -> Mapping[str, Any] | None:
        return self.state

    def checkpoint_due(self, step: int, total: int) -> bool:
        return step == self.keep_at

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        self.kept.append(state)

    def save(self, data: bytes, *, name: str, media_type: str, **rest: Any) -> File:
        digest = hashlib.sha256(data).hexdigest()
        self.saved[digest] = data
        return File(name=name, media_type=media_type, digest=digest, size=len(data), **rest)


@dataclass(frozen=True)
class Kit:
    """One model on the shelf: a diffusers pipeline, and recipes for its parts."""

    pipeline: Any
    family: str
    shelf: Shelf
    denoiser: ModelRef[Any]
    text: ModelRef[Any]
    vae: ModelRef[Any]

    @property
    def context(self) -> BenchContext:
        return BenchContext(self.shelf)


def stocked(pipeline: Any, family: str) -> Kit:
    """Puts a pipeline's parts on a shelf, as the store would lease them."""
    shelf = Shelf()
    tokenizers = tuple(t for t in (pipeline.tokenizer, getattr(pipeline, "tokenizer_2", None)) if t is not None)
    parts = ("text_encoder", "text_encoder_2")
    modules = {part: getattr(pipeline, part) for part in parts if getattr(pipeline, part, None) is not None}
    for module in (pipeline.unet, pipeline.vae, *modules.values()):
        module.eval()
    shelf.put("Denoiser", family, pipeline.unet, {"scheduler": dict(pipeline.scheduler.config)})
    shelf.put("TextEncoder", family, SimpleNamespace(tokenizers=tokenizers, modules=modules))
    shelf.put("VAE", family, pipeline.vae)
    return Kit(
        pipeline,
        family,
        shelf,
        recipe("Denoiser", family, family),
        recipe("TextEncoder", family, family),
        recipe("VAE", family, family),
    )


def sources(batch: int, seed: int = SEED) -> list[Any]:
    """One generator an image, as the sampler seeds them."""
    import torch

    return [torch.Generator().manual_seed(seed + place) for place in range(batch)]


def swapped(kit: Kit, sampler: Any, scheduler: Any = "model", batch: int = 1) -> Any:
    """The pipeline's own scheduler swapped for another class, as diffusers does it."""
    from safelight.diffusion.samplers import make_scheduler

    made = make_scheduler(kit.shelf.held["Denoiser", kit.family].settings["scheduler"], sampler, scheduler)
    wanted = {key: made.config[key] for key in made.config if not key.startswith("_")}
    found = type(made).from_config(kit.pipeline.scheduler.config, **wanted)
    if sampler == "dpmpp_sde":
        found.noise_sampler_seed = [SEED + place for place in range(batch)]
    return found


def pipeline_parts(kit: Kit) -> dict[str, Any]:
    """What another pipeline class is made of, from the kit's own."""
    if kit.family == "sdxl":
        return kit.pipeline.components
    return {**kit.pipeline.components, "requires_safety_checker": False}


def distance(one: Any, other: Any) -> float:
    return float((one - other).abs().max())


def said(kit: Kit, prompt: str) -> Any:
    """The conditioning of a prompt."""
    from safelight_nodes import text

    return text.encode(kit.text, text=prompt, ctx=kit.context)


def sampled(kit: Kit, ctx: BenchContext | None = None, **more: Any) -> Any:
    """The latent that `sampling.sample` makes: four steps of euler on an empty latent, unless `more` says otherwise."""
    from safelight_nodes import latent, sampling

    given: dict[str, Any] = {
        "model": kit.denoiser,
        "positive": more.pop("positive", None) or said(kit, "a red apple"),
        "negative": said(kit, "dark photo"),
        "latent": more.pop("start", None) or latent.empty(kit.vae, ctx=kit.context),
        "steps": 4,
        "seed": 7,
        "sampler": "euler",
        **more,
    }
    return sampling.sample(**given, ctx=ctx or kit.context)


def codes(caught: Any) -> list[tuple[str, str | None]]:
    """Code and port of every problem of a caught ProblemError."""
    return [(problem.code, problem.port) for problem in caught.value.problems]
