"""A transformer that leaves out most of its blocks in some steps, by the caches of diffusers.

First block: it is run in every step. Where what it adds differs from what it added before by less than a threshold, a
part of its size, the others are left out, and what they added before is added again.

Forecast (TaylorSeer, Liu et al., https://arxiv.org/abs/2503.06923): one of so many steps is computed. For the others,
what the last block gives is continued along its last change, and no block is run.

Nothing of either lasts beyond a run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safelight.sdk import ModelRef

FIRST_STEPS = 3
"""Steps at the beginning that are computed before any is forecast: what is drawn is decided there."""
_BLOCKS = ("blocks", "transformer_blocks", "single_transformer_blocks")
"""How transformers call their lists of blocks, in the order in which they run."""


class StepCache:
    """What one transformer keeps from step to step, of each of the calls that a step makes (with the prompt, and with
    the negative one)."""

    def __init__(self, transformer: Any) -> None:
        self._transformer = transformer
        self._step = -1
        self._calls = 0

    def at(self, step: int) -> None:
        """Told before each step. One that is made again starts from nothing: it may have been half done."""
        if step <= self._step:
            self._transformer._reset_stateful_cache()
        self._step, self._calls = step, 0

    @contextmanager
    def attached(self, config: Any) -> Iterator[None]:
        transformer = self._transformer
        # A method that is put back by its hook stays in the instance, where copies of it would find the original's.
        before = {module: vars(module).get("forward") for module in transformer.modules()}
        transformer.enable_cache(config)
        forward = transformer.forward

        @wraps(forward)
        def counted(*args: Any, **given: Any) -> Any:
            # Blocks name their calls in few families, so they are told apart by their order.
            self._calls += 1
            with transformer.cache_context(str(self._calls)):
                return forward(*args, **given)

        transformer.forward = counted
        try:
            yield
        finally:
            transformer.disable_cache()
            for module, own in before.items():
                vars(module).pop("forward", None)
                if own is not None:
                    module.forward = own


@contextmanager
def cached_steps(transformers: Iterable[Any], ref: ModelRef[Any]) -> Iterator[list[StepCache]]:
    """Within it, the transformers are run as the recipe says; where it says nothing, as ever."""
    import diffusers as library

    diffusers: Any = library
    found: list[StepCache] = []
    with ExitStack() as stack:
        for transformer in transformers if ref.step_cache or ref.step_forecast else ():
            if ref.step_forecast:
                config = _forecast(transformer, ref.step_forecast)
            else:
                config = diffusers.FirstBlockCacheConfig(threshold=ref.step_cache)
            found.append(StepCache(transformer))
            stack.enter_context(found[-1].attached(config))
        yield found


def _forecast(transformer: Any, interval: int) -> Any:
    import diffusers as library
    import torch

    diffusers: Any = library
    *others, last = [
        re.escape(f"{name}.{place}") for name in _BLOCKS for place in range(len(getattr(transformer, name, ())))
    ]
    return diffusers.TaylorSeerCacheConfig(
        cache_interval=interval,
        disable_cache_before_step=FIRST_STEPS,
        max_order=1,
        taylor_factors_dtype=torch.float32,
        cache_identifiers=[last],
        skip_predict_identifiers=others,
    )
