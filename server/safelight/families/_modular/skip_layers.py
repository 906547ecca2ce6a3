"""Skip-layer guidance: away from what the transformer predicts for the positive prompt without some of its blocks.

As in `StableDiffusion3Pipeline` of diffusers, whose makers at Stability AI brought it with Stable Diffusion 3.5:
https://github.com/Stability-AI/sd3.5. The idea is that of Hyung et al. 2024, https://arxiv.org/abs/2411.18664.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safelight.diffusion.modular import made_quietly
from safelight.sdk.models import chosen_layers

if TYPE_CHECKING:
    from safelight.sdk import Guider


def skip_layer_guider(asked: Guider, scale: float, rescale: float, blocks: Sequence[str], *, compared: bool) -> Any:
    """Guidance against a negative prompt of strength `scale`, and in a part of the steps also by leaving out blocks.

    Step i of n is one of them where n * start < i < n * end, so the first step never is. Without a negative prompt
    (`compared`) nothing is left out either.

    Args:
        blocks: the names of the transformer's blocks, in their order, as users name them.

    Raises:
        ProblemError: `bad_blocks`, for blocks that are not there.
    """
    from diffusers.guiders.classifier_free_guidance import ClassifierFreeGuidance
    from diffusers.guiders.guider_utils import GuiderOutput, rescale_noise_cfg

    class SkipLayers(ClassifierFreeGuidance):
        """Its third call is for the positive prompt again; `left_out` are the blocks that this call is to skip."""

        _input_predictions: Any = ["pred_cond", "pred_uncond", "pred_less"]  # noqa: RUF012  diffusers wants a list
        skipped: tuple[int, ...] = ()

        @property
        def left_out(self) -> tuple[int, ...]:
            return self.skipped if self._count_prepared == 3 else ()

        @property
        def is_conditional(self) -> bool:
            return self._count_prepared != 2

        @property
        def num_conditions(self) -> int:
            return super().num_conditions + self._skips()

        def prepare_inputs(self, data: Any) -> Any:
            sides = [0, 1, 0][: self.num_conditions]
            return [
                self._prepare_batch(data, side, name)
                for side, name in zip(sides, self._input_predictions, strict=False)
            ]

        def forward(self, pred_cond: Any, pred_uncond: Any = None, pred_less: Any = None) -> Any:
            if pred_less is None:
                return super().forward(pred_cond, pred_uncond)
            pred = pred_uncond + self.guidance_scale * (pred_cond - pred_uncond)
            pred = pred + (pred_cond - pred_less) * asked.scale
            if self.guidance_rescale > 0:
                pred = rescale_noise_cfg(pred, pred_cond, self.guidance_rescale)
            return GuiderOutput(pred=pred, pred_cond=pred_cond, pred_uncond=pred_uncond)

        def _skips(self) -> bool:
            steps, step = self._num_inference_steps, self._step
            inside = steps * asked.start < step < steps * asked.end
            return inside and bool(self.skipped) and asked.scale != 0 and self._is_cfg_enabled()

    numbers = {str(place): block for place, block in enumerate(blocks)}
    skipped = tuple(int(place) for place in chosen_layers(asked.layers, numbers))
    found = made_quietly(lambda: SkipLayers(guidance_scale=scale, guidance_rescale=rescale, enabled=compared))
    found.skipped = skipped
    return found


@contextmanager
def skipping(transformer: Any, guider: Any) -> Iterator[None]:
    """Within it the transformer leaves out the blocks that the guider wants left out of a call, if it wants any."""
    if not hasattr(guider, "left_out"):
        yield
        return

    def skip(module: Any, args: Any, given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        del module
        return args, {**given, "skip_layers": list(guider.left_out)} if guider.left_out else given

    hook = transformer.register_forward_pre_hook(skip, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()
