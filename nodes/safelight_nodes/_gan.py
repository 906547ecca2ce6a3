"""The generator of a GAN out of a lease, and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk import GAN, Context, Image, ModelRef, ProblemError

from ._refusal import refusal

if TYPE_CHECKING:
    from torch import Tensor

_IMAGENET = 1000


class Generator(NamedTuple):
    """A network in evaluation mode, which makes images of `side` pixels of `latent` random numbers. `classes` are the
    names of what it tells apart, in their order; empty: nothing."""

    network: Any
    side: int
    latent: int
    classes: tuple[str, ...]

    def latents(self, seeds: Sequence[int], truncation: float) -> Tensor:
        """Random numbers (B, latent) of seeds, as this network takes them; styles are truncated later."""
        from ._training.gan.drawing import latents, scaled_latents

        if hasattr(self.network, "styles"):
            return latents(seeds, self.latent)
        if hasattr(self.network, "truncate"):
            self.network.truncate(truncation)
            return scaled_latents(seeds, self.latent, truncation)
        return latents(seeds, self.latent, truncation)

    def labels(self, label: str, count: int) -> Tensor | None:
        """The class of each image: those that are named, in turn; with none named, all of them.

        Raises:
            ProblemError: `not_a_choice`, at `label`.
        """
        import torch

        names = self.classes
        wanted = [one.strip() for one in label.split(",") if one.strip()]
        if wanted and not names:
            message, hint = "This generator knows no classes.", "Leave the class empty."
            raise refusal(code="not_a_choice", message=message, hint=hint, port="label", value=label)
        if not names:
            return None
        places = self._places()
        for one in wanted:
            if one not in places:
                more = f" and {len(names) - 20} more" if len(names) > 20 else ""
                message, hint = f"{one!r} is no class of this generator.", f"It knows {', '.join(names[:20])}{more}."
                raise refusal(code="not_a_choice", message=message, hint=hint, port="label", value=label)
        numbers = [places[one] for one in wanted] or list(range(len(names)))
        return torch.tensor([numbers[place % len(numbers)] for place in range(count)])

    def _places(self) -> dict[str, int]:
        """The number of each name. Where there are a thousand classes without names, they are those of ImageNet."""
        found = {name: number for number, name in reversed([*enumerate(self.classes)])}
        if len(self.classes) == _IMAGENET and self.classes[0] == "0":
            from torchvision.models import ResNet50_Weights

            known: list[str] = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
            found = {name: number for number, name in reversed([*enumerate(known)])} | found
        return found


@contextmanager
def leased(ctx: Context, model: ModelRef[GAN]) -> Iterator[Generator]:
    """The generator of a recipe.

    Raises:
        ProblemError: `model_incomplete`, when weights and configuration do not fit each other.
    """
    try:
        with ctx.models.lease(model) as lease:
            yield made(lease.component["generator"], lease.settings["config"], model.source.name)
    except ProblemError as error:
        raise ProblemError(problem.at(port=problem.port or "model") for problem in error.problems) from None


def made(tensors: dict[str, Tensor], config: dict[str, Any], name: str) -> Generator:
    """The network of tensors and a configuration; it shares the tensors."""
    import torch

    from ._published_gans.networks import generator as published
    from ._training.gan.networks import generator
    from ._training.gan.shapes import Shape

    try:
        if "published" in config:
            network = published(tensors, config).eval().requires_grad_(False)
            return Generator(network, network.side, network.latent, tuple(map(str, range(network.classes))))
        shape = Shape.of(config)
        with torch.device("meta"):
            network = generator(shape)
        network.load_state_dict(tensors, strict=True, assign=True)
    except (ValueError, LookupError, TypeError, ArithmeticError, RuntimeError) as error:
        message = f"The weights of {name!r} do not make up a generator: {str(error).splitlines()[0][:200]}"
        hint = "Copy or download it again, or train it again."
        raise refusal(code="model_incomplete", message=message, hint=hint, port="model", value=name) from error
    return Generator(network.eval().requires_grad_(False), shape.side, shape.latent, shape.classes)


def image(found: Tensor) -> Image:
    """(B, 3, H, W) in 0..1 as an image."""
    return Image(found.movedim(1, -1).contiguous())


def seeds(first: int, count: int) -> Sequence[int]:
    return range(first, first + count)
