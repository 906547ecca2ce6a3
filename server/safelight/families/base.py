"""What a model family is: one object that says how its models are told, loaded and called.

A family is a folder `safelight/families/NAME` whose `__init__` has it as `FAMILY`, or an object that an installed
distribution names under the entry point group `safelight.families`. Nothing outside asks for a family by name. Making
the object imports nothing heavy: torch, diffusers and transformers are imported inside its methods.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from safelight.sdk.context import DenoiserModel, TextModel
from safelight.sdk.leased import Presets, VAEModel
from safelight.sdk.models import ModelRef
from safelight.sdk.problem import Problem, ProblemError

from .files import Header, Vocabulary

if TYPE_CHECKING:
    import torch

Rows = tuple[tuple[float, float, float], ...]
_BLOCK = re.compile(r"(?:^|\.)(\w*blocks|layers)\.(\d+)\.")
FileKind = Literal[
    "pipeline",
    "unet",
    "vae",
    "controlnet",
    "lora",
    "ip_adapter",
    "image_encoder",
    "embedding",
    "text_encoder",
    "upscaler",
    "foreign",
    "reader",
    "preprocessor",
    "gan",
    "variational",
    "motion",
]
"""What a folder or file holds; `unet` is any denoiser alone, `foreign` a pipeline of diffusers that no family knows,
`reader` a model of transformers that reads images or texts, `variational` an autoencoder with one flat vector,
`motion` a motion module of AnimateDiff."""


@dataclass(frozen=True)
class LatentSpace:
    """The shape and scale of a family's latents.

    Families of one `name` exchange latents. A cell stands for `downsampling` pixels along one side and for `frames`
    frames of a video. Samplers see `(encoded - shift) * scaling`; what a VAE's own configuration says goes before.
    `rgb` is a linear map from channels to red, green and blue (0..1) for previews, a row a channel and a last one that
    is added to all; empty where none is known. `alike` is the name of another space whose autoencoders look the same
    in a file, and are computed in the same way.
    """

    name: str
    channels: int = 4
    downsampling: int = 8
    frames: int = 1
    scaling: float = 1.0
    shift: float = 0.0
    rgb: Rows = ()
    alike: str = ""


class Folder(Protocol):
    """A folder in the layout of diffusers, while it is told what it is.

    `index` is its `model_index.json`; empty for a folder of one component, whose configuration is that of the part "".
    """

    @property
    def name(self) -> str: ...
    @property
    def index(self) -> Mapping[str, Any]: ...

    def config(self, part: str) -> Mapping[str, Any]:
        """A part's `config.json` (`scheduler_config.json` of a scheduler); empty when there is none."""
        ...


@dataclass(frozen=True)
class Parts:
    """The subfolders of a pipeline that a family reads.

    `weights` have a configuration and weights, `tokenizers` the files of one, `settings` a configuration alone.
    `denoiser` is the one of `weights` that is the denoiser; text encoders are those whose names begin so. `beside` are
    those of `weights` that are loaded together with a "Denoiser" or "TextEncoder", and run with it.
    """

    weights: tuple[str, ...]
    tokenizers: tuple[str, ...] = ()
    settings: tuple[str, ...] = ("scheduler",)
    denoiser: str = "unet"
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)


class Files(Protocol):
    """The files of a model that is being loaded, and how its weights are to lie in memory.

    `kind` is what it holds, `single` that it is a whole model in one file (the part ""), in its makers' own layout.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> FileKind: ...
    @property
    def family(self) -> str: ...
    @property
    def single(self) -> bool: ...
    @property
    def parts(self) -> Iterable[str]: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def device(self) -> torch.device: ...

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part; empty when it has none."""
        ...

    def latent_rgb(self) -> Rows:
        """The preview rows that lie beside the model (`latent_rgb.json`); empty when there are none."""
        ...

    def folder(self, part: str) -> Path:
        """Where the files of a part lie, such as a tokenizer's."""
        ...

    def header(self, part: str = "") -> Header:
        """Names, shapes and metadata of a part's (first) file of weights."""
        ...

    def vocabulary(self, part: str = "") -> Vocabulary | None:
        """The tokenizer inside a part's file of weights; None when it has none."""
        ...

    def tensors(self, part: str = "", prefix: str | tuple[str, ...] = "") -> dict[str, Any]:
        """The tensors of a part whose names begin so, in the wanted type and on the wanted device."""
        ...

    def empty(self, make: Callable[[], Any]) -> Any:
        """What `make` builds with all tensors on the meta device: nothing is allocated or initialised."""
        ...

    def build(self, part: str, make: Callable[[], Any]) -> Any:
        """The module that `make` makes, built without allocating anything, with the part's weights in it.

        It is in evaluation mode, and nothing in it asks for gradients. Raises ProblemError when they do not fit.
        """
        ...

    def filled(self, make: Callable[[], Any], given: Mapping[str, Any]) -> Any:
        """As `build`, from tensors that have been renamed to what the module calls them."""
        ...


@dataclass
class Loaded:
    """A component in memory.

    `modules` are the torch modules it consists of, by the part of the model they are: they are measured and moved
    between devices. `settings` are what belongs to it and is no weights (`scheduler`, `tokenizers`, `latent_rgb`).
    """

    modules: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """A loaded component during one lease, to make the object from that the lease gives. `ref` is what was leased."""

    ref: ModelRef[Any]
    modules: Mapping[str, Any]
    settings: Mapping[str, Any]
    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class Lora:
    """A LoRA by the names that diffusers has for it: `state` begins with the part (`unet.`, `transformer.`,
    `text_encoder.`)."""

    state: Mapping[str, Any]
    alphas: Mapping[str, Any] = field(default_factory=dict)
    metadata: Any = None


@dataclass(frozen=True, eq=False)
class Family(ABC):
    """One model family.

    `id` is what recipes and values carry, `title` what users read, `architectures` how the metadata of files made for
    it begin (`modelspec.architecture`, `ss_base_model_version`). `presets` are the settings that suit it. One that
    `caches_steps` has a denoiser whose steps can be left out in part (`ModelRef.step_cache`); models of one that
    `wraps` can take images as continuing at their edges (`ModelRef.wraps`), denoisers of one that `moves` take a motion
    module (`ModelRef.motion`).
    """

    id: str
    title: str
    latent: LatentSpace
    presets: Presets
    architectures: tuple[str, ...] = ()
    caches_steps: bool = False
    wraps: bool = False
    moves: bool = False

    @property
    def space(self) -> str:
        return self.latent.name

    @property
    def alike(self) -> str:
        return self.latent.alike

    @property
    def frames(self) -> int:
        return self.latent.frames

    @property
    def pipeline(self) -> str:
        """See `sdk.FamilyFacts`; empty where there is none."""
        return ""

    @property
    def in_two(self) -> bool:
        return False

    # What it is told by. Each may raise `unsupported(...)` for what is of the family and still cannot be run.

    @abstractmethod
    def is_pipeline(self, folder: Folder) -> bool:
        """Whether a folder with a `model_index.json` is a model of this family."""

    @abstractmethod
    def parts(self, folder: Folder) -> Parts:
        """What is read of such a folder."""

    def component(self, folder: Folder) -> FileKind | None:
        """What a folder of one component is (`folder.config("")`), if it is of this family."""
        del folder
        return None

    def claims(self, kind: FileKind, name: str, header: Header) -> bool:
        """Whether a file of weights of this kind is, or may be, of this family, told by its names and shapes.

        A file that several families claim is of none, until the user says which.
        """
        del kind, name, header
        return False

    def text_sorts(self) -> tuple[tuple[str, bool], ...]:
        """Its text encoders as they lie in files of their own (keys of `TEXT_ENCODERS`), in their order, and
        whether it does without; empty when they are not read so."""
        return ()

    # What it loads, and what a lease of it gives.

    @abstractmethod
    def load(self, kind: str, files: Files) -> Loaded:
        """Loads a component: `kind` is that of the recipe (`Denoiser`, `TextEncoder`, `VAE`, `ControlNet`)."""

    def prefixes(self, kind: str) -> tuple[str, ...]:
        """How the names of a component's tensors begin in a whole model's file; it tells how large the component is."""
        del kind
        return ("",)

    def step_bytes(self, files: Files, shape: Sequence[int], itemsize: int) -> int:
        """Bytes of activations of one step on latents of `shape`, with guidance, as far as the files of a denoiser
        tell it before they are loaded; 0 where they do not."""
        del files, shape, itemsize
        return 0

    @abstractmethod
    def denoiser(self, held: Held) -> DenoiserModel: ...

    @abstractmethod
    def text_encoder(self, held: Held) -> TextModel: ...

    @abstractmethod
    def vae(self, held: Held) -> VAEModel: ...

    # LoRA.

    def read_lora(self, name: str, tensors: Mapping[str, Any], modules: Mapping[str, Any]) -> Lora:
        """A LoRA's tensors by the names that diffusers has for them. `modules` are those it is laid beside.

        ValueError, KeyError, AttributeError and RuntimeError are told as a file that cannot be read.
        """
        del tensors, modules
        message = f"The LoRA {name!r} cannot be used: models of the family {self.title} take none yet."
        raise ProblemError(Problem(code="lora_unfit", message=message, hint="Take the node out.", value=name))

    def layer_names(self, part: str, module: Any, names: Iterable[str]) -> dict[str, str]:
        """The layers `names` of a part of the model by what files of changes call them, with dots as underscores."""
        del module
        found = {name.replace(".", "_"): name for name in names}
        if not part.startswith("text_encoder"):
            return found
        # Some versions of transformers have this level, and files have it or not.
        level = "text_model_"
        bare = {name.removeprefix(level): layer for name, layer in found.items()}
        return {f"{level}{name}": layer for name, layer in bare.items()} | bare

    def fused_names(self, part: str, module: Any, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The layers of a part that files of changes call as the model's makers do, with dots as underscores: what each
        is here, which may be several of `names`, one after another along its outputs."""
        del part, module, names
        return {}

    def block_names(self, part: str, module: Any, names: Iterable[str]) -> dict[str, str]:
        """The layers `names` of a part by the block that each belongs to, as users name it: a word and a number
        (`block4`), or a word. Layers outside of all blocks are `base`."""
        del part, module
        found = {name: _BLOCK.search(name) for name in names}
        words = {name: "single" if one and one[1].startswith("single") else "block" for name, one in found.items()}
        return {name: f"{words[name]}{one[2]}" if one else "base" for name, one in found.items()}

    def attach_lora(self, part: str, module: Any, lora: Lora, adapter: str) -> None:
        """Lays what the LoRA has for a part beside the module's weights, under the name `adapter`, by peft.

        ValueError, KeyError and RuntimeError are told as a LoRA that does not fit.
        """
        raise NotImplementedError

    # Tests.

    @abstractmethod
    def tiny(self, folder: Path, seed: int = 0) -> Path:
        """Writes a random miniature in diffusers layout: the same classes, files and names of tensors, only narrow."""


def unsupported(name: str, what: str, hint: str = "") -> ProblemError:
    """For a file or folder that cannot be run; `what` goes on after its name ('is a refiner')."""
    return ProblemError(Problem(code="unsupported_family", message=f"{name!r} {what}.", hint=hint, value=name))
