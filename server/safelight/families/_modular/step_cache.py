"""A transformer that leaves out most of its blocks in steps that change little: the first-block cache of diffusers.

The first block is run in every step. Where what it adds differs from what it added before by less than a threshold, a
part of its size, the others are left out, and what they added before is added again. Nothing of it lasts beyond a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any


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
    def attached(self, threshold: float) -> Iterator[None]:
        from diffusers import FirstBlockCacheConfig  # pyright: ignore[reportPrivateImportUsage]

        transformer = self._transformer
        # A method that is put back by its hook stays in the instance, where copies of it would find the original's.
        before = {module: vars(module).get("forward") for module in transformer.modules()}
        transformer.enable_cache(FirstBlockCacheConfig(threshold=threshold))
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
def cached_steps(transformers: Iterable[Any], threshold: float) -> Iterator[list[StepCache]]:
    """Within it, the transformers are run so; with a threshold of 0, as ever."""
    found = [StepCache(transformer) for transformer in transformers] if threshold else []
    with ExitStack() as stack:
        for one in found:
            stack.enter_context(one.attached(threshold))
        yield found
