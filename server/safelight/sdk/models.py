"""Model recipes: what travels on a link instead of weights.

A `ModelRef` says where weights come from, which part of them is meant, how they are to be held and what is patched
onto them. It is small, frozen and hashable, so it can be compared, saved and sent to another machine; only the model
store (`ctx.models.lease`) turns it into something that computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

from .marker import added, value
from .problem import Problem, ProblemError


class Kind:
    """Base of the markers that say what a recipe yields when it is leased."""


class Denoiser(Kind):
    """Takes the noise out of a latent: a UNet or a transformer, with its scheduler's settings."""


class TextEncoder(Kind):
    """All tokenizers and text encoders of a family, leased together."""


class VAE(Kind):
    """Turns images into latents and back."""


class ControlNet(Kind):
    """Guides a denoiser by an image of edges, depth, poses, ..."""


class IPAdapter(Kind):
    """Guides a denoiser by an image's embedding, through extra attention weights."""


class Motion(Kind):
    """Lets a denoiser of images draw the frames of a video: attention over time beside its own layers."""


class ImageEncoder(Kind):
    """Turns an image into an embedding (a CLIP image encoder with its preprocessor)."""


class Embedding(Kind):
    """Vectors that stand for words in a prompt (textual inversion): `vectors`, for each text encoder one (n, width)."""


class Upscaler(Kind):
    """Makes images larger, or mends them: a network from images to images."""


class GAN(Kind):
    """Makes images of random numbers in one step: the generator of a generative adversarial network.

    A lease gives its tensors by name (`generator`), and its `config` among the settings.
    """


class Variational(Kind):
    """A variational autoencoder whose latent is one flat vector: draws images, scores and compares them."""


class Pipeline(Kind):
    """A whole pipeline of diffusers that no family knows, run by itself."""


class Reader(Kind):
    """A model of transformers with its processor, run by itself: it describes images, writes texts, or embeds both."""


class Preprocessor(Kind):
    """Reads an image for others: its edges, depth, poses, faces or segments."""


K = TypeVar("K", bound=Kind)
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@value
@dataclass(frozen=True)
class Source:
    """Where weights lie.

    `place` is `starter`, `hub` (name is `org/name`), `folder` (diffusers layout) or `file` (one safetensors file).
    `fingerprint` is a digest of the files themselves: two recipes are equal only if their weights are.
    """

    place: Literal["starter", "hub", "folder", "file"]
    name: str
    revision: str = ""
    fingerprint: str = ""


@value
@dataclass(frozen=True)
class Patch:
    """A change to weights, applied in order when the recipe is leased. Today: a LoRA with its weight.

    `blocks` are factors of the weight for parts of a denoiser, by the names that its family has for them (`in4`, or
    `in` for all that are called so). From `start` to `end` (0..1 of the schedule) is when it is on. `part` is the one
    denoiser that it is for, of a model of two; empty for all parts.
    """

    type: Literal["lora"]
    source: Source
    weight: float = 1.0
    blocks: tuple[tuple[str, float], ...] = ()
    start: float = 0.0
    end: float = 1.0
    part: str = added("")

    @property
    def ranged(self) -> bool:
        """Whether it is on for a part of the steps only."""
        return self.start > 0 or self.end < 1

    def on(self, window: tuple[float, float]) -> bool:
        """Whether it is on in a part (from, to) of the schedule."""
        return covers(self.start, self.end, window)


def covers(start: float, end: float, window: tuple[float, float]) -> bool:
    """Whether a range of the schedule (0..1) holds the whole of a part (from, to) of it."""
    return window[0] >= start and window[1] <= end


def block_factor(blocks: tuple[tuple[str, float], ...], block: str) -> float:
    """What `blocks` say of a block: what is said of just this one (`in4`) goes before what is said of all that are
    called so (`in`); 1 for one of which nothing is said."""
    told = dict(blocks)
    return told.get(block, told.get(block.rstrip("0123456789"), 1.0))


def unknown_block(
    blocks: tuple[tuple[str, float], ...], there: set[str], what: str, does: str = "is weighed by"
) -> Problem | None:
    """The problem (`bad_blocks`) of blocks that a denoiser with those of `there` does not have; `what` `does` something
    with them."""
    kinds = there | {block.rstrip("0123456789") for block in there}
    unknown = [block for block, _ in blocks if block not in kinds]
    if not unknown:
        return None
    message = f"This model has no block {unknown[0]!r}, which {what} {does}."
    hint = f"There are {', '.join(sorted(there, key=_in_order))}; without its number a word stands for all of them."
    return Problem(code="bad_blocks", message=message, hint=hint, value=unknown[0])


def chosen_layers(layers: tuple[str, ...], placed: Mapping[str, str]) -> list[str]:
    """The names in `placed`, each with the block that it is in, whose blocks a guider names in its `layers`.

    Raises:
        ProblemError: `bad_blocks`, when a block is not there.
    """
    problem = unknown_block(tuple((layer, 1.0) for layer in layers), set(placed.values()), "the guider", "names")
    if problem is not None:
        raise ProblemError(problem.at(port="guider"))
    return [name for name, block in placed.items() if block in layers or block.rstrip("0123456789") in layers]


def _in_order(block: str) -> tuple[str, int]:
    word = block.rstrip("0123456789")
    return word, int(block[len(word) :] or 0)


MemoryWay = Literal["auto", "whole", "swap", "offload"]
"""How a component is held. `auto` is `whole`, which makes others wait in main memory where there is no room beside
them, and `offload` where it does not fit by itself. `swap` leaves the device as soon as nobody uses it; `offload` waits
in main memory and comes to the device in pieces. None of them changes what is computed."""


@value
@dataclass(frozen=True)
class Running:
    """How a component is held and run, where a recipe says it. `storage` keeps weights in 8 bits between calls."""

    memory: MemoryWay = "auto"
    storage: Literal["full", "float8", "int8"] = "full"


Wraps = Literal["", "x", "y", "both"]
"""Which edges of an image meet: the left and the right one (`x`), the upper and the lower one (`y`), both, or none."""


@value
@dataclass(frozen=True)
class ModelRef(Generic[K]):
    """A recipe for one component. `K` tells type checkers, `kind` tells the graph, what it yields.

    `component` is the subfolder of the diffusers layout (`unet`, `vae`, ...; empty for the top). `precision` `auto`
    leaves the choice to the store, which knows the device. `schedule` are settings of a denoiser's noise schedule, by
    the names of diffusers, that go before those of its files. `beside` are further files that one
    component is read from, as text encoders that lie in files of their own. `running` says how it is held and run.
    `step_cache` lets a denoiser leave out most of a step that changes less than this part of the one before (0: off).
    With `step_forecast`, it computes one of so many steps, and forecasts what the others give (0: off).
    `wraps` lets a denoiser or a VAE take images as continuing at their edges. With `motion` a denoiser takes a batch of
    latents as the frames of one video; `motion_strength` says how much the frames count for each other (1: as learned).
    """

    kind: str
    family: str
    source: Source
    component: str = ""
    precision: Precision = "auto"
    patches: tuple[Patch, ...] = ()
    schedule: tuple[tuple[str, str | bool], ...] = ()
    beside: tuple[Source, ...] = ()
    running: Running = added(Running())  # noqa: RUF009
    step_cache: float = added(0.0)
    step_forecast: int = added(0)
    wraps: Wraps = added("")  # noqa: RUF009
    motion: ModelRef[Motion] | None = added(None)  # noqa: RUF009
    motion_strength: float = added(1.0)

    def patched(self, patch: Patch) -> ModelRef[K]:
        """A new recipe with one more patch at the end."""
        return replace(self, patches=(*self.patches, patch))
