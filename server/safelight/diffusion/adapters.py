"""IP-Adapters during a run: their attention processors in the denoiser, and its own put back afterwards.

Source: Ye et al. 2023, https://arxiv.org/abs/2308.06721.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from safelight.sdk import Adapter, Conditioning, Context, Latent, Problem, ProblemError
from safelight.sdk.models import block_factor, covers, unknown_block

from .adapter_kinds import AttentionLora, looks_at, project_faces
from .latents import expanded, on_canvas

if TYPE_CHECKING:
    from torch import Tensor


class Adapters:
    """The IP-Adapters of a run; `processors` are those installed, each with the block that it is in.

    Without any, every method passes things through.
    """

    def __init__(
        self,
        adapters: Sequence[Adapter] = (),
        tokens: Sequence[tuple[Tensor, Tensor]] = (),
        processors: Sequence[tuple[str, Any]] = (),
        masks: Sequence[Tensor | None] = (),
        loras: Sequence[AttentionLora] = (),
    ) -> None:
        self._adapters = adapters
        self._tokens = tokens
        self._processors = processors
        self._loras = loras
        self._masks = list(masks) if any(mask is not None for mask in masks) else None
        self._scales: list[float] | None = None

    def arguments(self) -> dict[str, Any] | None:
        """What the denoiser hands on to the processors: where each adapter counts."""
        return None if self._masks is None else {"ip_adapter_masks": self._masks}

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
        scales = [adapter.scale if covers(adapter.start, adapter.end, window) else 0.0 for adapter in self._adapters]
        if scales != self._scales:
            self._scales = scales
            for adapter, scale, lora in zip(self._adapters, scales, self._loras, strict=True):
                lora.weight = adapter.lora if scale else 0.0
            for block, processor in self._processors:
                processor.scale = [
                    scale * block_factor(adapter.blocks, block)
                    for adapter, scale in zip(self._adapters, scales, strict=True)
                ]


@contextmanager
def installed_adapters(
    ctx: Context,
    unet: Any,
    family: str,
    positive: Conditioning,
    negative: Conditioning | None,
    latent: Latent,
    blocks: Callable[[Iterable[str]], Mapping[str, str]],
) -> Iterator[Adapters]:
    """Puts the adapters' processors into the denoiser for the block.

    `blocks` tells the block of each of the denoiser's layers.

    The adapters of the positive conditioning are used. The unguided half looks at the images of the same adapter on
    the negative conditioning if there is one, else at the adapter's own empty image.
    """
    adapters = positive.adapters
    check(family, positive, negative, latent.samples.shape[0])
    if not adapters:
        yield Adapters()
        return
    before = dict(unet.attn_processors)
    with ExitStack() as stack:
        weights = [stack.enter_context(ctx.models.lease(adapter.model)).component for adapter in adapters]
        processors = converted(adapters, lambda: unet._convert_ip_adapter_attn_to_diffusers(weights))
        require_filled(adapters, processors.values())
        try:
            tokens = []
            for adapter, weight in zip(adapters, weights, strict=True):
                given = weight["image_proj"]
                projection = converted((adapter,), partial(unet._convert_ip_adapter_image_proj_to_diffusers, given))
                require_filled((adapter,), (projection,))
                projection.to(unet.device, unet.dtype)
                unwanted = unguided(adapter, negative)
                sides = (adapter.embeddings, unwanted)
                project = partial(_project, projection, adapter, weight, unet)
                tokens.append(converted((adapter,), lambda project=project, sides=sides: tuple(map(project, sides))))
            unet.set_attn_processor(dict(processors))
            for processor in processors.values():
                if hasattr(processor, "to_k_ip"):
                    processor.to(unet.device, unet.dtype)
            names = {name: name.removesuffix(".processor") + ".to_q" for name in processors}
            placed = blocks(names.values())
            for adapter in adapters:
                problem = unknown_block(adapter.blocks, set(placed.values()), "the IP-Adapter")
                if problem is not None:
                    raise ProblemError(problem.at(port="positive"))
            loras = [AttentionLora() for _ in adapters]
            for adapter, weight, lora in zip(adapters, weights, loras, strict=True):
                converted((adapter,), partial(stack.enter_context, lora.beside(unet, weight["ip_adapter"])))
            used = [(placed[names[name]], one) for name, one in processors.items() if hasattr(one, "to_k_ip")]
            yield Adapters(adapters, tokens, used, [_mask(adapter, latent, unet) for adapter in adapters], loras)
        finally:
            unet.set_attn_processor(before)


def _mask(adapter: Adapter, latent: Latent, unet: Any) -> Tensor | None:
    """Where an adapter counts, (1, images, height, width) on the canvas: the same for all of its images."""
    if adapter.mask is None:
        return None
    planes = on_canvas(adapter.mask.coverage[:, None].float(), latent)
    return planes.expand(1, adapter.embeddings.shape[1], *planes.shape[-2:]).to(unet.device, unet.dtype)


def converted(adapters: Sequence[Adapter], make: Callable[[], Any]) -> Any:
    """What diffusers makes of adapters' weights.

    Raises:
        ProblemError: `weights_mismatch`, when it looks for weights that are not there, or of another shape.
    """
    try:
        return make()
    except (KeyError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        raise unfit(adapters, str(error).strip("'")) from error


def require_filled(adapters: Sequence[Adapter], modules: Iterable[Any]) -> None:
    """Raises `weights_mismatch` when a file had nothing for a weight of the modules made from it."""
    found = (module.named_parameters() for module in modules if hasattr(module, "named_parameters"))
    lacking = [name for each in found for name, parameter in each if parameter.is_meta]
    if lacking:
        raise unfit(adapters, ", ".join(lacking[:3]))


def unfit(adapters: Sequence[Adapter], what: str) -> ProblemError:
    names = " or ".join(repr(adapter.model.source.name) for adapter in adapters)
    message = f"The weights of the IP-Adapter {names} are not those that this model needs: {what}."
    hint = "Get its file again, and look whether it was made for this family of models."
    return ProblemError(Problem(code="weights_mismatch", message=message, hint=hint, port="positive"))


def _project(projection: Any, adapter: Adapter, weights: Mapping[str, Any], unet: Any, images: Tensor) -> Tensor:
    """(B, images, ...) embeddings to (B, images, tokens, channels)."""
    flat = images.to(unet.device, unet.dtype).flatten(0, 1)
    looks = looks_at(weights["image_proj"])
    found = project_faces(projection, flat, adapter.shortcut) if looks.faces and looks.image else projection(flat)
    return found.unflatten(0, images.shape[:2])


def unguided(adapter: Adapter, negative: Conditioning | None) -> Tensor:
    """What the unguided half looks at in place of the adapter's images."""
    for other in negative.adapters if negative else ():
        if other.model == adapter.model and other.embeddings.shape[1:] == adapter.embeddings.shape[1:]:
            return other.embeddings
    return adapter.negative


def check(family: str, positive: Conditioning, negative: Conditioning | None, batch: int) -> None:
    """Raises ProblemError for adapters that do not fit the model, the batch or each other."""
    problems = []
    for adapter in positive.adapters:
        if adapter.model.family and adapter.model.family != family:
            message = f"The IP-Adapter is of the family {adapter.model.family}, and the model of {family}."
            hint = f"Choose an IP-Adapter for {family}."
            problems.append(Problem(code="wrong_family", message=message, hint=hint, port="positive"))
        if adapter.embeddings.shape[0] not in (1, batch):
            message = f"The IP-Adapter is for {adapter.embeddings.shape[0]} images, and the latent holds {batch}."
            problems.append(Problem(code="wrong_batch", message=message, hint="Give one, or as many.", port="positive"))
        masks = 1 if adapter.mask is None else adapter.mask.coverage.shape[0]
        if masks != 1:
            message = f"The IP-Adapter has {masks} masks, and takes one for all images."
            hint = "Give one mask, or make the images one after the other."
            problems.append(Problem(code="wrong_batch", message=message, hint=hint, port="positive"))
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
