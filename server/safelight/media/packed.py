"""The text of a workflow as it lies in a file: deflated, and bounded when it is read."""

from __future__ import annotations

import zlib

from safelight.sdk.problem import Problem, ProblemError

TEXT_LIMIT = 16 << 20
"""Bytes of text that are read from a file, or written into one."""


def inflate(packed: bytes, limit: int) -> bytes:
    """Raises ProblemError beyond `limit` bytes, zlib.error or ValueError for damaged data."""
    machine = zlib.decompressobj()
    text = machine.decompress(packed, limit + 1)
    if len(text) > limit:
        raise too_much_text()
    if not machine.eof:
        raise ValueError("the text breaks off.")
    return text


def broken(why: str) -> ProblemError:
    """A file whose pieces do not fit together, when a workflow is put into it or taken out."""
    message, hint = f"The file is damaged: {why}.", "Take another copy of the file."
    return ProblemError(Problem(code="image_damaged", message=message, hint=hint))


def too_much_text() -> ProblemError:
    message = f"The text in the file is larger than {TEXT_LIMIT >> 20} MiB."
    hint = "Load the workflow from a JSON file instead."
    return ProblemError(Problem(code="embedded_text_too_large", message=message, hint=hint))
