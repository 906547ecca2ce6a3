"""Model recipes: what travels on a link instead of weights.

A `ModelRef` says where weights come from, which part of them is meant, how they are to be held and what is patched
onto them. It is small, frozen and hashable, so it can be compared, saved and sent to another machine; only the model
store (`ctx.models.lease`) turns it into something that computes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

from .marker import value


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


class ImageEncoder(Kind):
    """Turns an image into an embedding (a CLIP image encoder with its preprocessor)."""


class Embedding(Kind):
    """Vectors that stand for words in a prompt (textual inversion): `vectors`, for each text encoder one (n, width)."""


class Pipeline(Kind):
    """A whole pipeline of diffusers that no family knows, run by itself."""


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
    """A change to weights, applied in order when the recipe is leased. Today: a LoRA with its weight."""

    type: Literal["lora"]
    source: Source
    weight: float = 1.0


@value
@dataclass(frozen=True)
class ModelRef(Generic[K]):
    """A recipe for one component. `K` tells type checkers, `kind` tells the graph, what it yields.

    `component` is the subfolder of the diffusers layout (`unet`, `vae`, ...; empty for the top). `precision` `auto`
    leaves the choice to the store, which knows the device. `schedule` are settings of a denoiser's noise schedule, by
    the names of diffusers, that go before those of its files. `beside` are further files that one
    component is read from, as text encoders that lie in files of their own.
    """

    kind: str
    family: str
    source: Source
    component: str = ""
    precision: Precision = "auto"
    patches: tuple[Patch, ...] = ()
    schedule: tuple[tuple[str, str | bool], ...] = ()
    beside: tuple[Source, ...] = ()

    def patched(self, patch: Patch) -> ModelRef[K]:
        """A new recipe with one more patch at the end."""
        return replace(self, patches=(*self.patches, patch))
