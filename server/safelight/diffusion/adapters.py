"""IP-Adapters during a run: their attention processors in the denoiser, and its own put back afterwards.

Source: Ye et al. 2023, https://arxiv.org/abs/2308.06721.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from safelight.sdk import Adapter, Conditioning, Context, Problem, ProblemError

from .latents import expanded

if TYPE_CHECKING:
    from torch import Tensor


class Adapters:
    """The IP-Adapters of a run; `processors` are those installed. Without any, every method passes things through."""

    def __init__(
        self,
        adapters: Sequence[Adapter] = (),
        tokens: Sequence[tuple[Tensor, Tensor]] = (),
        processors: Sequence[Any] = (),
    ) -> None:
        self._adapters = adapters
        self._tokens = tokens
        self._processors = processors
        self._scales: list[float] | None = None

    def context(self, text: Tensor, sides: Sequence[bool], batch: int) -> Any:
        """The text, and the projected images beside it as the installed processors take them.

        The projection is made once, so the denoiser is given its result instead of the embeddings.
        """
        if not self._adapters:
            return text
        import torch

        images = [
            torch.cat([expanded(wanted if side else unwanted, batch) for side in sides])
            for wanted, unwanted in self._tokens
        ]
        return text, images

    def set_window(self, window: tuple[float, float]) -> None:
        """Turns each adapter on inside its own range of the schedule."""
        if not self._adapters:
            return
        scales = [
            adapter.scale if window[0] >= adapter.start and window[1] <= adapter.end else 0.0
            for adapter in self._adapters
        ]
        if scales != self._scales:
            self._scales = scales
            for processor in self._processors:
                processor.scale = list(scales)


@contextmanager
def installed_adapters(
    ctx: Context, unet: Any, family: str, positive: Conditioning, negative: Conditioning | None, batch: int
) -> Iterator[Adapters]:
    """Puts the adapters' processors into the denoiser for the block.

    The adapters of the positive conditioning are used. The unguided half looks at the images of the same adapter on
    the negative conditioning if there is one, else at the adapter's own empty image.
    """
    adapters = positive.adapters
    _check(family, positive, negative, batch)
    if not adapters:
        yield Adapters()
        return
    before = dict(unet.attn_processors)
    with ExitStack() as stack:
        weights = [stack.enter_context(ctx.models.lease(adapter.model)).component for adapter in adapters]
        processors = _converted(adapters, lambda: unet._convert_ip_adapter_attn_to_diffusers(weights))
        _require_filled(adapters, processors.values())
        try:
            tokens = []
            for adapter, weight in zip(adapters, weights, strict=True):
                given = weight["image_proj"]
                projection = _converted((adapter,), partial(unet._convert_ip_adapter_image_proj_to_diffusers, given))
                _require_filled((adapter,), (projection,))
                projection.to(unet.device, unet.dtype)
                unwanted = _negative(adapter, negative)
                tokens.append(tuple(_project(projection, side, unet) for side in (adapter.embeddings, unwanted)))
            unet.set_attn_processor(dict(processors))
            for processor in processors.values():
                if hasattr(processor, "to_k_ip"):
                    processor.to(unet.device, unet.dtype)
            yield Adapters(adapters, tokens, [p for p in processors.values() if hasattr(p, "to_k_ip")])
        finally:
            unet.set_attn_processor(before)


def _converted(adapters: Sequence[Adapter], make: Callable[[], Any]) -> Any:
    """What diffusers makes of adapters' weights.

    Raises:
        ProblemError: `weights_mismatch`, when it looks for weights that are not there, or of another shape.
    """
    try:
        return make()
    except (KeyError, ValueError, RuntimeError) as error:
        raise _unfit(adapters, str(error).strip("'")) from error


def _require_filled(adapters: Sequence[Adapter], modules: Iterable[Any]) -> None:
    """Raises `weights_mismatch` when a file had nothing for a weight of the modules made from it."""
    found = (module.named_parameters() for module in modules if hasattr(module, "named_parameters"))
    lacking = [name for each in found for name, parameter in each if parameter.is_meta]
    if lacking:
        raise _unfit(adapters, ", ".join(lacking[:3]))


def _unfit(adapters: Sequence[Adapter], what: str) -> ProblemError:
    names = " or ".join(repr(adapter.model.source.name) for adapter in adapters)
    message = f"The weights of the IP-Adapter {names} are not those that this model needs: {what}."
    hint = "Get its file again, and look whether it was made for this family of models."
    return ProblemError(Problem(code="weights_mismatch", message=message, hint=hint, port="positive"))


def _project(projection: Any, images: Tensor, unet: Any) -> Tensor:
    """(B, images, ...) embeddings to (B, images, tokens, channels)."""
    flat = images.to(unet.device, unet.dtype).flatten(0, 1)
    return projection(flat).unflatten(0, images.shape[:2])


def _negative(adapter: Adapter, negative: Conditioning | None) -> Tensor:
    for other in negative.adapters if negative else ():
        if other.model == adapter.model and other.embeddings.shape[1:] == adapter.embeddings.shape[1:]:
            return other.embeddings
    return adapter.negative


def _check(family: str, positive: Conditioning, negative: Conditioning | None, batch: int) -> None:
    problems = []
    for adapter in positive.adapters:
        if adapter.model.family and adapter.model.family != family:
            message = f"The IP-Adapter is of the family {adapter.model.family}, and the model of {family}."
            hint = f"Choose an IP-Adapter for {family}."
            problems.append(Problem(code="wrong_family", message=message, hint=hint, port="positive"))
        if adapter.embeddings.shape[0] not in (1, batch):
            message = f"The IP-Adapter is for {adapter.embeddings.shape[0]} images, and the latent holds {batch}."
            problems.append(Problem(code="wrong_batch", message=message, hint="Give one, or as many.", port="positive"))
    own = [adapter.model for adapter in positive.adapters]
    for adapter in negative.adapters if negative else ():
        if adapter.model not in own:
            problems.append(
                Problem(
                    code="adapter_on_negative_only",
                    message="The negative conditioning has an IP-Adapter that the positive one does not have.",
                    hint="Apply it to the positive conditioning as well.",
                    port="negative",
                )
            )
    if problems:
        raise ProblemError(problems)
