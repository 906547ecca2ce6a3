"""Qwen-Image Layered: takes an image apart into layers, which are denoised together
(Yin et al., https://arxiv.org/abs/2512.15603)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from safelight.sdk import Problem, ProblemError

from .denoiser import QwenImageDenoiser

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.families._modular.denoiser import Work
    from safelight.families._modular.family import ModularFamily
    from safelight.families.base import Held
    from safelight.sdk.leased import Presets, SampleRequest

MADE = "QwenImageLayeredPipeline"


class LayeredDenoiser(QwenImageDenoiser):
    """Its latents are (B, C, 1 + layers, h, w): the image as a whole, and then its layers."""

    draws = False
    from_images = False
    axes = 5
    takes = "latents of layers", "latent.empty_layers"

    def __init__(self, family: ModularFamily, held: Held, presets: Presets) -> None:
        super().__init__(family, held, presets)
        self.sees = 1

    def packed(self, latents: Tensor) -> Tensor:
        """The layers of an image one behind the other."""
        batch, _, layers = latents.shape[:3]
        tokens = super().packed(latents.transpose(1, 2).flatten(0, 1))
        return tokens.unflatten(0, (batch, layers)).flatten(1, 2)

    def unpacked(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        each = prod(size) // self.family.cells**2
        layers = latents.unflatten(1, (-1, each))
        return super().unpacked(layers.flatten(0, 1), size).unflatten(0, layers.shape[:2]).transpose(1, 2)

    def finished(self, latents: Tensor, size: tuple[int, int]) -> Tensor:
        del size
        return latents

    def looked_at(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        return {"image_latents": super().looked_at(work, size)["image_latents"].transpose(1, 2)}

    def _start(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        given = super()._start(work, size)
        # The blocks take the size of the image that they look at.
        del given["height"], given["width"]
        return {**given, "layers": work.noise.shape[2] - 1}

    def _blocks(self, work: Work) -> Any:
        import diffusers

        del work
        library: Any = diffusers
        return library.QwenImageLayeredAutoBlocks().sub_blocks["denoise"]

    def _refuse(self, request: SampleRequest) -> None:
        super()._refuse(request)
        if not request.fresh:
            hint = "Let denoise be 1: the layers are made of noise alone."
            raise ProblemError(self.cannot("layers to start from", hint, "latent"))
        if request.positive.shown is None:
            message = "This model takes an image apart, and the conditioning shows it none."
            hint = "Put guide.edit between the positive prompt and the sampler, with the encoded image."
            raise ProblemError(Problem(code="shown_missing", message=message, hint=hint, port="positive"))

    def _check_seen(self, request: SampleRequest) -> None:
        super()._check_seen(request)
        shown = request.positive.shown
        if shown is not None and shown.planes.shape[-2:] != request.latent.samples.shape[-2:]:
            message = "The image that the conditioning shows is of another size than the layers."
            hint = "Connect one encoded image to guide.edit and to latent.empty_layers."
            raise ProblemError(Problem(code="wrong_size", message=message, hint=hint, port="latent"))
