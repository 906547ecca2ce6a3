"""Keeps libraries that print while they load from printing."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Progress bars and remarks of diffusers, transformers and peft are held back in the block; errors are raised.

    Their settings are put back afterwards. They are the process's own, so one block at a time.
    """
    import diffusers.utils.logging as of_diffusers
    import transformers.utils.logging as of_transformers

    levels = [(library, library.get_verbosity()) for library in (of_diffusers, of_transformers)]
    bars = [library for library in (of_diffusers, of_transformers) if library.is_progress_bar_enabled()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library, _ in levels:
            library.set_verbosity(logging.CRITICAL)
        for library in bars:
            library.disable_progress_bar()
        try:
            yield
        finally:
            for library, level in levels:
                library.set_verbosity(level)
            for library in bars:
                library.enable_progress_bar()
