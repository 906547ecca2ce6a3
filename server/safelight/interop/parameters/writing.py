"""The text of A1111 for a finished image: what the checked graph says of the sampler that made it.

Only what is typed in is told. What a model, a loop or a computation decides is not known here, and left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from safelight.graph.keys import eager
from safelight.graph.ports import PARAMETER
from safelight.graph.structure import Graph, GraphNode

from ..comfyui.rules.formulas import FORMULAS
from ..naming import Trail
from .a1111 import sampler_name, schedule_name
from .settings import ENDINGS, Hires, Settings

_SAMPLERS = ("sampling.sample", "sampling.sample_part")
_LORAS = {"models.apply_lora": "text_weight", "models.apply_lora_to_model": ""}
"""Where each says how much the LoRA counts in the text encoders."""
_ENCODERS = ("text.encode", "text.encode_schedule")
_MIXED = ("text.zero_out", "text.combine", "text.concatenate", "text.average")
"""What they give is not what one prompt says."""

_TWO = ("first", "second")
_LARGER = {"latent.resize": "scale", "upscale.apply": "factor"}
_VALUES = tuple(f"values.{name}" for name in ("integer", "number", "text", "toggle", "seed"))


def parameters_of(trail: Trail, place: int = 0) -> str:
    """The text for the file number `place` of a node, given by its trail; empty where no sampler leads to it."""
    said = settings_of(trail, place)
    return written(said) if said is not None else ""


def settings_of(trail: Trail, place: int = 0) -> Settings | None:
    """The settings of the closest sampler before a node; None where there is none."""
    for graph, number in trail:
        for within, found in _before(graph, number):
            if within.nodes[found].kind.spec.id in _SAMPLERS:
                return _Found(within, found, place).said
    return None


def written(said: Settings) -> str:
    """Settings as A1111 writes them. LoRAs are tags behind the prompt."""
    tags = [
        f"<lora:{_bare(file)}:{weight:g}>"
        if weight == text_weight
        else f"<lora:{_bare(file)}:{text_weight:g}:{weight:g}>"
        for file, weight, text_weight in said.loras
    ]
    lines = [" ".join(filter(None, (said.prompt, *tags)))]
    if said.negative:
        lines.append(f"Negative prompt: {said.negative}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in _pairs(said) if value))
    return "\n".join(lines).replace("\0", "")


def _pairs(said: Settings) -> Iterator[tuple[str, str]]:
    yield "Steps", str(said.steps or "")
    yield "Sampler", sampler_name(said.sampler)
    yield "Schedule type", schedule_name(said.scheduler)
    yield "RNG", "CPU"  # where noise is drawn here
    yield "CFG scale", f"{said.guidance:g}" if said.guidance else ""
    yield "Seed", "" if said.seed is None else str(said.seed)
    yield "Size", f"{said.width}x{said.height}" if said.width and said.height else ""
    yield "Model", _bare(said.model)
    yield "VAE", PurePosixPath(said.vae).name
    yield "Denoising strength", f"{said.denoise:g}" if said.denoise < 1 else ""
    yield "Clip skip", str(said.clip_skip + 1) if said.clip_skip else ""
    if said.variation is not None:
        seed, strength = said.variation
        yield "Variation seed", str(seed)
        yield "Variation seed strength", f"{strength:g}"
    if said.refiner is not None:
        yield "Refiner", _bare(said.refiner[0])
        yield "Refiner switch at", f"{said.refiner[1]:g}"
    if said.hires is not None:
        yield "Hires upscale", f"{said.hires.scale:g}"
        yield "Hires steps", str(said.hires.steps or "")
        yield "Hires upscaler", PurePosixPath(_bare(said.hires.upscaler)).name or "Latent"


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(mark in value for mark in ',:\n"') else value


def _bare(file: str) -> str:
    """A model's name: that of its file without folder and ending; a hub id stays whole."""
    path = PurePosixPath(file)
    return path.stem if path.suffix in ENDINGS else file


def _before(graph: Graph, number: int) -> Iterator[tuple[Graph, int]]:
    """The nodes that lead to one, the closest first; what is inside of calls as well."""
    todo, seen = [(graph, number)], {(id(graph), number)}
    for within, one in todo:
        yield within, one
        node = within.nodes[one]
        new = [(node.body.graph, source) for source, _ in node.body.outputs.values()] if node.body else []
        new += [(within, source) for _, wire in eager(node) for source, _ in wire.sources]
        for item in new:
            if (id(item[0]), item[1]) not in seen:
                seen.add((id(item[0]), item[1]))
                todo.append(item)


class _Found:
    """What is typed in at a sampler and before it."""

    def __init__(self, graph: Graph, number: int, place: int) -> None:
        self._graph = graph
        self.said = said = Settings("Safelight")
        denoise = self._typed(number, "denoise")
        first, larger = self._first_pass(number)
        if first is not None:
            said.hires = Hires(larger[0], self._whole(number, "steps"), larger[1])
        sampler = number if first is None else first
        before, step = self._source(sampler, "latent"), self._whole(sampler, "start_step")
        steps = self._whole(sampler, "steps")
        if before is not None and 0 < step < steps and self._kind(before[0]) == "sampling.sample_part":
            # Rounded down: a little more would be a step later.
            said.refiner = (self._loaded(sampler), math.floor(1000 * step / steps) / 1000)
            sampler = before[0]
        said.denoise = denoise if isinstance(denoise, int | float) else 1.0
        said.steps = self._whole(sampler, "steps")
        guidance = self._typed(sampler, "guidance")
        said.guidance = float(guidance) if isinstance(guidance, int | float) else 0.0
        said.sampler, said.scheduler = self._named(sampler, "sampler"), self._named(sampler, "scheduler")
        changes = said.hires is None and 0 < said.denoise < 1 and said.steps > 0
        if changes and self._typed(sampler, "formulas") == FORMULAS:
            # Here the steps that are made, there those of the whole schedule: `a1111` reads it the other way.
            made, said.steps = said.steps, int(said.steps / said.denoise)
            said.denoise = (made - 0.5) / said.steps
        self._seed(sampler, place)
        self._prompts(sampler)
        self._models(sampler)
        self._vae(sampler)

    def _typed(self, number: int, port: str) -> Any:
        """What is typed in at a port, in a node of one value that is linked to it, or at the input of a call."""
        wire = self._graph.nodes[number].wires.get(port)
        if wire is not None and len(wire.sources) == 1:
            source = self._graph.nodes[wire.sources[0][0]]
            plain = source.given or source.kind.spec.id in _VALUES
            wire = source.wires.get(PARAMETER) if plain and not source.off else None
        return wire.value if wire is not None and not wire.sources else None

    def _kind(self, number: int) -> str:
        return self._graph.nodes[number].kind.spec.id

    def _whole(self, number: int, port: str) -> int:
        value = self._typed(number, port)
        return value if isinstance(value, int) and value > 0 else 0

    def _named(self, number: int, port: str) -> str:
        value = self._typed(number, port)
        return value if isinstance(value, str) and value not in ("auto", "model") else ""

    def _source(self, number: int, port: str) -> tuple[int, str] | None:
        """What a port is linked to: one output of a node that is switched on and runs once for it."""
        wire = self._graph.nodes[number].wires.get(port)
        if wire is None or len(wire.sources) != 1 or self._graph.nodes[wire.sources[0][0]].off:
            return None
        return wire.sources[0]

    def _chain(self, number: int, port: str) -> Iterator[tuple[int, GraphNode]]:
        """The nodes that give, and change, what comes in at a port, the last one first."""
        source = self._source(number, port)
        while source is not None:
            number, output = source
            node = self._graph.nodes[number]
            yield number, node
            if node.kind.lazy or node.kind.spec.id in _MIXED:
                return
            source = self._source(number, output)

    def _seed(self, sampler: int, place: int) -> None:
        """Image k of a batch is of the seed + k: files whose place in the batch is not known are told none."""
        said = self.said
        seed = self._typed(sampler, "seed")
        latent, batch = self._source(sampler, "latent"), 0
        if latent is not None and self._kind(latent[0]) == "latent.empty":
            batch = self._whole(latent[0], "batch")
            said.width, said.height = self._whole(latent[0], "width"), self._whole(latent[0], "height")
        mixed = self._source(sampler, "noise")
        if mixed is not None:
            seed = self._mixed(mixed[0])
        if isinstance(seed, int):
            shift = 0 if batch == 1 else place
            said.seed = seed + shift if shift < max(batch, 1) else None
            if said.variation is not None:
                said.variation = (said.variation[0] + shift, said.variation[1]) if said.seed is not None else None

    def _mixed(self, number: int) -> Any:
        """The seed of a noise, or the first of two that are blended."""
        if self._kind(number) != "noise.blend":
            return self._typed(number, "seed")
        seeds = [self._typed(one[0], "seed") if (one := self._source(number, port)) else None for port in _TWO]
        amount = self._typed(number, "amount")
        if isinstance(seeds[1], int) and isinstance(amount, int | float):
            self.said.variation = (seeds[1], float(amount))
        return seeds[0]

    def _prompts(self, sampler: int) -> None:
        said = self.said
        for port in ("positive", "negative"):
            for number, node in self._chain(sampler, port):
                if node.kind.spec.id not in _ENCODERS:
                    continue
                text = self._typed(number, "text")
                source = self._source(number, "text")
                if source is not None and self._kind(source[0]) == "models.apply_prompt_loras":
                    text = self._typed(source[0], "prompt")
                text = text.strip() if isinstance(text, str) else ""
                said.clip_skip = max(said.clip_skip, self._whole(number, "clip_skip"))
                if port == "positive":
                    said.prompt = text
                else:
                    said.negative = text
                break

    def _models(self, sampler: int) -> None:
        for number, node in self._chain(sampler, "model"):
            kind = node.kind.spec.id
            if kind in _LORAS:
                file, weight = self._typed(number, "lora"), self._typed(number, "weight")
                text = self._typed(number, _LORAS[kind]) if _LORAS[kind] else 0.0
                if isinstance(file, str) and isinstance(weight, int | float) and isinstance(text, int | float):
                    self.said.loras.insert(0, (file, float(weight), float(text)))
        self.said.model = self._loaded(sampler)
        if self.said.refiner is not None and self.said.refiner[0] in ("", self.said.model):
            self.said.refiner = None

    def _loaded(self, sampler: int) -> str:
        """The file of a sampler's model."""
        for number, node in self._chain(sampler, "model"):
            if node.kind.spec.id in ("models.load", "models.load_denoiser"):
                file = self._typed(number, "model")
                return file if isinstance(file, str) else ""
        return ""

    def _vae(self, sampler: int) -> None:
        latent = self._source(sampler, "latent")
        found = self._source(latent[0], "vae") if latent is not None else None
        if found is not None and self._kind(found[0]) == "models.load_vae":
            file = self._typed(found[0], "vae")
            self.said.vae = file if isinstance(file, str) and PurePosixPath(file).suffix in ENDINGS else ""

    def _first_pass(self, sampler: int) -> tuple[int | None, tuple[float, str]]:
        """The sampler whose image this one makes larger and samples again, how much larger, and by what network."""
        scale, network = 0.0, ""
        source = self._source(sampler, "latent")
        while source is not None:
            number = source[0]
            kind = self._kind(number)
            if kind in _SAMPLERS:
                return (number if scale > 1 else None), (scale, network)
            if kind in _LARGER and not scale:
                value = self._typed(number, _LARGER[kind])
                scale = float(value) if isinstance(value, int | float) else 0.0
                loaded = self._source(number, "upscaler")
                file = self._typed(loaded[0], "upscaler") if loaded is not None else None
                network = file if isinstance(file, str) else ""
            elif kind not in ("vae.encode", "vae.decode"):
                break
            source = self._source(number, "image") or self._source(number, "latent")
        return None, (0.0, "")
