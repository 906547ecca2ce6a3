"""What a node may ask of the run it is part of. The engine implements these protocols; tests may pass their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar, overload

from .leased import FamilyFacts, Prediction, PreprocessorModel, Presets, SampleRequest, UpscalerModel, VAEModel
from .media import Media
from .models import VAE, Denoiser, ModelRef, Preprocessor, Source, TextEncoder, Upscaler
from .problem import Problem
from .values import File

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from .team import Team
    from .values import Conditioning, Image, Latent

T = TypeVar("T")


C_co = TypeVar("C_co", covariant=True)


class Lease(Protocol[C_co]):
    """A component in memory, held until the `with` block ends.

    `component` is what the recipe's family gives for its kind (see `leased`); for kinds that no family makes an object
    of, the torch module or tensors themselves. `device` and `dtype` say where and how it computes. `settings` has
    `warnings`: Problems to be told of what is laid on it. Nobody changes a leased component in a way that outlives the
    lease.
    """

    @property
    def component(self) -> C_co: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...


class DenoiserModel(Protocol):
    """A denoiser in memory.

    `modules` are its torch modules by the part of the model they are (`unet`, `transformer`, ...), `scheduler` the
    settings of its noise schedule as its file has them. `samplers` and `schedulers` are those it can be used with; an
    empty tuple stands for all.
    """

    @property
    def family(self) -> FamilyFacts: ...
    @property
    def modules(self) -> Mapping[str, Any]: ...
    @property
    def scheduler(self) -> Mapping[str, Any]: ...
    @property
    def presets(self) -> Presets: ...
    @property
    def samplers(self) -> tuple[str, ...]: ...
    @property
    def schedulers(self) -> tuple[str, ...]: ...

    def sample(self, request: SampleRequest, ctx: Context) -> Latent:
        """Denoises. Reports progress and previews, stops when cancelled, keeps checkpoints and goes on from them.

        Raises:
            ProblemError: the conditioning or the latent does not fit, or asks for what the family cannot do.
        """
        ...

    @property
    def prediction(self) -> Prediction:
        """What it predicts; see `leased`."""
        ...

    def predict(self, noisy: Tensor, levels: Tensor, prompts: Sequence[Conditioning]) -> Tensor:
        """One call for each latent (B, C, h, w) in float32 and its prompt, without guidance: what training compares.

        `levels` (B,) are timesteps of the noise schedule, or for a `flow` the noise's share, 0..1. Where gradients are
        asked for, they flow to the modules and to the prompts. The result has the shape of `noisy`, in float32.

        Raises:
            ProblemError: `model_not_supported`, for one that looks at more than a latent of images and its prompt.
        """
        ...

    def over(self, modules: Mapping[str, Any]) -> Self:
        """The same with other modules of the same parts, such as copies that are trained."""
        ...


class TextModel(Protocol):
    """All tokenizers and text encoders of a model in memory. `modules` are the encoders, by part, in their order."""

    @property
    def family(self) -> FamilyFacts: ...
    @property
    def modules(self) -> Mapping[str, Any]: ...
    @property
    def tokenizers(self) -> tuple[Any, ...]: ...

    def encode(self, text: str, ctx: Context, *, clip_skip: int = 0) -> Conditioning:
        """Encodes a prompt in the syntax of `safelight.sdk.prompt_syntax`.

        Gradients flow to the encoders where they are asked for.

        Raises:
            ProblemError: it asks for what these encoders cannot do; `port` is `text` or `clip_skip`.
        """
        ...

    def over(self, modules: Mapping[str, Any]) -> Self:
        """The same with other modules of the same parts, such as copies that are trained."""
        ...


class Models(Protocol):
    """The door to weights."""

    def find(self, name: str, kind: str = "") -> Source:
        """The source behind a name that a user typed (`starter`, a hub id, a folder or file of the model folders).

        `kind` is that of the `ModelPick` it was typed into, or `embedding` for a name in a prompt. Raises ProblemError
        when it is not there, naming what was searched and how to get it, and when it is of another kind.
        """
        ...

    def family(self, source: Source) -> str:
        """The id of the model family of a source, told by its files; empty for what does not tell."""
        ...

    def encoder(self, source: Source) -> str:
        """Which text encoder a file of its own holds: a key of `TEXT_ENCODERS`; empty for anything else."""
        ...

    @property
    def families(self) -> Mapping[str, FamilyFacts]:
        """The families that there are, by id."""
        ...

    @overload
    def lease(self, ref: ModelRef[Denoiser], scratch: int = 0) -> AbstractContextManager[Lease[DenoiserModel]]: ...
    @overload
    def lease(self, ref: ModelRef[TextEncoder], scratch: int = 0) -> AbstractContextManager[Lease[TextModel]]: ...
    @overload
    def lease(self, ref: ModelRef[VAE], scratch: int = 0) -> AbstractContextManager[Lease[VAEModel]]: ...
    @overload
    def lease(self, ref: ModelRef[Upscaler], scratch: int = 0) -> AbstractContextManager[Lease[UpscalerModel]]: ...
    @overload
    def lease(
        self, ref: ModelRef[Preprocessor], scratch: int = 0
    ) -> AbstractContextManager[Lease[PreprocessorModel]]: ...
    @overload
    def lease(self, ref: ModelRef[Any], scratch: int = 0) -> AbstractContextManager[Lease[Any]]: ...
    def lease(self, ref: ModelRef[Any], scratch: int = 0) -> AbstractContextManager[Lease[Any]]:
        """Loads what the recipe says and keeps it in memory for the block; `scratch` bytes are kept free beside it.

        They stay free of what is leased within the block as well: what is leased together computes together, and the
        largest of the scratches is its common working memory. Leasing a recipe again is free, so that memory can also
        be asked for once everything else is in place.
        """
        ...

    def retry(self, attempt: Callable[[], T], tell: Callable[[Problem], None] = ...) -> T:
        """What `attempt` gives. When memory runs out in it, every model that nobody holds is let go and it is called
        once more, so it must leave nothing half done behind. Where that is not enough, what this thread holds on a
        device comes there in pieces from then on, which is told by a warning, and it is called a last time.
        """
        ...

    def device(self) -> tuple[torch.device, torch.dtype]:
        """What models compute on here, and the precision that is fastest on it without visible harm."""
        ...

    def spread(self, work: Callable[[Context, Team], T], ctx: Context, count: int) -> T:
        """Calls `work` in `count` processes at once, each with a graphics card of its own, and gives what the first of
        them returns; with 1 it is called right here.

        On a machine without a card the processes share its cores. `work` is pickled: a function of a module, or a
        `functools.partial` of one, whose arguments can be pickled. Its context has models, and what a training tells
        and keeps; no files. Raises ProblemError `too_few_devices` and `team_failed`, and whatever `work` raised.
        """
        ...

    def create(self, name: str) -> AbstractContextManager[Path]:
        """A new model: the block writes its files into the folder it is given, which then takes the place of the model
        `name` (a path below the first model folder) in one step. When the block raises, nothing has changed. Of a name
        that ends in .safetensors the block writes that one file, and no folder stays.

        Raises ProblemError when the name leads elsewhere or nothing can be written there.
        """
        ...


class Files(Protocol):
    """The input folder, read only."""

    def path(self, name: str) -> Path:
        """The real path of a file below the input folder; ProblemError when it is missing or points outside."""
        ...


class Context(Protocol):
    """Given to a node that has a parameter of this type; never a port."""

    @property
    def models(self) -> Models: ...

    @property
    def files(self) -> Files: ...

    @property
    def media(self) -> Media: ...

    def progress(
        self,
        step: int,
        total: int,
        preview: Image | None = None,
        curve: Sequence[tuple[int, float]] | None = None,
    ) -> None:
        """Says that `step` of `total` is done. Cheap: call it at every step.

        `curve` are (step, value) points of something that is watched while it falls or rises, such as a loss: the whole
        of it, thinned to a few hundred points. The editor draws it in the node; give it when it has changed visibly.
        """
        ...

    def wants_preview(self) -> bool:
        """Whether anybody looks at previews now; making one is wasted otherwise."""
        ...

    def warn(self, problem: Problem) -> None:
        """Tells of something that does not stop the node, such as a file of which only a part could be used."""
        ...

    def check_cancelled(self) -> None:
        """Raises Cancelled when the run is to stop. Call it at every step of long work."""
        ...

    def restore(self) -> Mapping[str, Any] | None:
        """The state that an earlier, interrupted run of the very same work left, or None."""
        ...

    def checkpoint_due(self, step: int, total: int) -> bool:
        """Whether the state should be kept now: the run's interval has passed, or it is being cancelled."""
        ...

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Keeps the state (scalars, tensors, lists, dictionaries of them) for `restore`; survives a killed process."""
        ...

    def draft(self) -> AbstractContextManager[Path]:
        """Where a large file can be written, for `save` to take over; what is left there goes when the block ends."""
        ...

    def read(self, file: File) -> bytes:
        """The bytes that `save` has kept. Raises ProblemError `output_lost` where they were evicted."""
        ...

    def save(
        self,
        data: bytes | Path,
        *,
        name: str,
        media_type: str,
        width: int = 0,
        height: int = 0,
        keep: bool = True,
        embed: Literal["workflow", "nothing"] = "workflow",
        frames: int = 0,
        seconds: float = 0.0,
    ) -> File:
        """Keeps finished bytes by content and returns the value that names them; the host writes the file.

        A path, of `draft`, stands for the bytes of that file, which is taken over: it never lies in memory.
        """
        ...
