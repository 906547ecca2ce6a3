"""What the ControlNets of a family are: told by their files, loaded, and asked what they add to the transformer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from safelight.families._original.names import Shapes, shapes_of
from safelight.families.base import Files, Loaded, unsupported
from safelight.sdk import Control, Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families.base import LatentSpace
    from safelight.families.files import Header

Residuals = Mapping[str, "Sequence[Tensor]"]
"""What is added behind each block of the transformer, by the names under which it takes that."""


class Guided(Protocol):
    """The denoiser that ControlNets guide."""

    @property
    def transformer(self) -> Any: ...
    @property
    def latent(self) -> LatentSpace: ...
    def packed(self, latents: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class NetKind(ABC):
    """The ControlNets of one family.

    `made` is their class in diffusers, `names` tensors that every one has. `hole` is what their configuration calls the
    channels of those that see a mask as well, which are refused. One that is `shared` is asked about the positive
    prompt, and what it says counts for the negative one, too. `types` are the kinds of hints that a union tells apart,
    by the number it has for each.
    """

    made: str
    names: tuple[str, ...]
    hole: str = ""
    shared: bool = False
    types: Mapping[str, int] = field(default_factory=dict, hash=False)

    def is_folder(self, name: str, config: Mapping[str, Any]) -> bool:
        if config.get("_class_name") != self.made:
            return False
        self._require_hint_alone(name, config)
        return True

    def is_file(self, name: str, header: Header) -> bool:
        if any(wanted not in header.tensors for wanted in self.names):
            return False
        self._require_hint_alone(name, self.config_of(shapes_of(header)))
        return True

    def load(self, files: Files, complete: Callable[[Any], None]) -> Loaded:
        import diffusers
        import torch

        cls = getattr(diffusers, self.made)

        def finished(module: Any) -> Any:
            with torch.device(files.device):
                complete(module)
            return module

        if files.single:
            config = self.config_of(shapes_of(files.header()))
            return Loaded({"controlnet": files.filled(lambda: finished(cls(**config)), files.tensors())})
        config = files.config("")
        return Loaded({"controlnet": files.build("", lambda: finished(cls.from_config(config)))})

    def _require_hint_alone(self, name: str, config: Mapping[str, Any]) -> None:
        if self.hole and config.get(self.hole):
            raise unsupported(name, "is a ControlNet that sees a mask beside its hint, which is not supported yet")

    @abstractmethod
    def config_of(self, shapes: Shapes) -> dict[str, Any]:
        """The configuration of one whose tensors have these shapes, by the names of diffusers."""

    def sees_pixels(self, net: Any) -> bool:
        """Whether one looks at the hint's pixels rather than at its latent."""
        del net
        return False

    def hint(self, net: Any, guided: Guided, planes: Tensor) -> Tensor:
        """A hint as one takes it. `planes` are its latent (B, C, h, w), or its pixels (B, 3, H, W) in -1..1."""
        return planes if self.sees_pixels(net) else guided.packed(planes)

    @abstractmethod
    def says(
        self, net: Any, guided: Guided, guidance: float, given: Mapping[str, Any], hint: Tensor, mode: int | None
    ) -> Residuals:
        """What one adds at full strength in a call of the transformer that is given this, a tensor for each block.

        Tensors of `given` are of the net's type. `mode` is the number of the hint's kind, for a union.
        """

    def mode(self, net: Any, control: Control) -> int | None:
        """The number of the hint's kind.

        Raises:
            ProblemError: `control_type`: a union must be told a kind that it knows, and others none.
        """
        count = net.config.get("num_mode") or 0
        found = self.types.get(control.type, count)
        if count and found < count:
            return found
        if not count and not control.type:
            return None
        name, known = control.model.source.name, ", ".join(self.types)
        hint = f"Set control_type to one of {known}."
        if not count:
            message = f"The ControlNet {name!r} is not told what its hint is, and takes no control_type."
            hint = "Set control_type to auto."
        elif not control.type:
            message = f"The ControlNet {name!r} is for several kinds of hints (a union), and is not told which this is."
        else:
            message = f"The ControlNet {name!r} does not know hints of the kind {control.type}."
        raise ProblemError(
            Problem(code="control_type", message=message, hint=hint, port="positive", value=control.type or "auto")
        )


def saved_together(title: str) -> str:
    """What a whole pipeline with a ControlNet in it is."""
    return f"is a {title} saved together with a ControlNet: load its folder controlnet by itself, and the plain model"


def for_blocks(parts: Sequence[Tensor] | None, blocks: int, *, repeated: bool = False) -> list[Tensor]:
    """One tensor for each of so many blocks: each part for as many in a row, or (`repeated`) in turn."""
    if not parts:
        return []
    if repeated:
        return [parts[place % len(parts)] for place in range(blocks)]
    in_a_row = -(-blocks // len(parts))
    return [parts[place // in_a_row] for place in range(blocks)]
