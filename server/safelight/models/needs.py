"""What models need in memory, computed from the headers of their files before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from safelight.diffusion.autoencoder import scratch_bytes
from safelight.families import Families
from safelight.graph.plan import Ask, Size
from safelight.protocol.graph import PlannedMemory
from safelight.sdk.models import ModelRef
from safelight.sdk.problem import ProblemError

from .components import weights_of
from .files import ModelFiles
from .gans import told as gan_told
from .hardware import Numerics
from .headers import read_header
from .layout import Layout
from .library import Library
from .memory import SPARE, Memory
from .weights import stored_bytes

ITEM_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
LEAST_LAYERS = 2
"""Layers that lie on a device at once where a component comes to it layer by layer: one computes, one is copied."""

Way = Literal["whole", "swap", "offload", "lacking"]


class Needs:
    """Answers a plan for one machine and its models. Touches headers and configurations alone."""

    def __init__(self, library: Library, memory: Memory, here: Numerics) -> None:
        self._library = library
        self._memory = memory
        self._here = here

    def __call__(self, asks: Mapping[str, Ask]) -> dict[str, PlannedMemory]:
        """By node, what it needs. A node whose models cannot be read is left out: its run tells why."""
        kind, here = self._here.kind, self._here
        room = max(0, self._memory.room(kind.own, here.memory) - (SPARE if kind.own else 0))
        sizes: dict[ModelRef[Any], tuple[int, int]] = {}
        found: dict[str, tuple[int, int, int]] = {}
        for node, ask in asks.items():
            try:
                moving = [ref.motion for ref in ask.refs if ref.motion is not None]
                parts = [sizes.setdefault(ref, self._size(ref)) for ref in (*ask.refs, *moving)]
                working = max(self._working(ref, ask.size) for ref in ask.refs)
            except (ProblemError, OSError):
                continue
            found[node] = (sum(size for size, _ in parts), max(layer for _, layer in parts), working)
        everything = sum(size for size, _ in sizes.values())
        return {
            node: PlannedMemory(
                device=here.device,
                weights=weights,
                working=working,
                room=room,
                way=way(weights, working, layer, everything, room, kind.own),
            )
            for node, (weights, layer, working) in found.items()
        }

    def _size(self, ref: ModelRef[Any]) -> tuple[int, int]:
        """Bytes of a recipe's weights, patches included, and of its largest tensor."""
        layouts = [self._library.layout(source) for source in (ref.source, *ref.beside)]
        itemsize = ITEM_BYTES[self._precision(ref)]
        size = sum(weight_bytes(ref.kind, layout, itemsize, self._library.families) for layout in layouts)
        for source in {patch.source for patch in ref.patches if patch.weight}:
            files = [file for part in self._library.layout(source).parts.values() for file in part.weights]
            size += stored_bytes(files, itemsize)
        shapes = (
            entry.shape
            for layout in layouts
            for part in weights_of(ref.kind, layout)
            for file in part.weights
            for entry in read_header(file).tensors.values()
        )
        return size, max(map(math.prod, shapes), default=0) * itemsize

    def _working(self, ref: ModelRef[Any], size: Size) -> int:
        """Bytes of the largest step; 0 for what takes little beside its weights."""
        families = self._library.families
        if not ref.family or ref.kind not in ("Denoiser", "VAE"):
            return 0
        family = families.require(ref.family)
        layout = self._library.layout(ref.source)
        files = ModelFiles(layout, None)
        # The autoencoder tells what a model was made for, where its configuration is there.
        native = files.config("vae" if layout.kind == "pipeline" else "").get("sample_size")
        native = native if isinstance(native, int) and (layout.kind != "unet") else 0
        width = size.width or native or family.presets.width
        height = size.height or native or family.presets.height
        if ref.kind == "VAE":
            return scratch_bytes(height, width)
        space = family.latent
        times = [1 + ((size.frames or family.presets.frames) - 1) // space.frames] if space.frames > 1 else []
        shape = (size.batch, space.channels, *times, height // space.downsampling, width // space.downsampling)
        return family.step_bytes(files, shape, ITEM_BYTES[self._precision(ref)])

    def _precision(self, ref: ModelRef[Any]) -> str:
        if ref.precision != "auto":
            return ref.precision
        return self._here.vae if ref.kind == "VAE" else self._here.precision


def weight_bytes(kind: str, layout: Layout, itemsize: int, families: Families) -> int:
    """Bytes that a component of a model takes in memory, at `itemsize` bytes a number.

    Raises:
        ProblemError: `wrong_model`, when the model has nothing of the kind.
    """
    files = [file for part in weights_of(kind, layout) for file in part.weights]
    prefixes: Iterable[str] = ("",)
    if layout.single and layout.kind == "pipeline":
        prefixes = families.require(layout.family or layout.candidates[0]).prefixes(kind)
    elif layout.single and layout.kind == "gan":  # a training's file holds the discriminator and more beside it
        prefixes = (str(gan_told(read_header(files[0])).get("prefix", "")),)
    return stored_bytes(files, itemsize, tuple(prefixes))


def way(weights: int, working: int, layer: int, everything: int, room: int, own: bool) -> Way:
    """How models are held: `weights` of one node with `working` beside them, of `everything` that the run uses."""
    if everything + working <= room:
        return "whole"
    if weights + working <= room:
        return "swap"
    # Without memory of its own, a device has no other place where weights could wait.
    return "offload" if own and LEAST_LAYERS * layer + working <= room else "lacking"
