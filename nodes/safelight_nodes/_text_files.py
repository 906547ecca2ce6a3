"""Texts from files of the input folder."""

from __future__ import annotations

from pathlib import Path

from safelight.sdk import ProblemError

from ._refusal import refusal

LARGEST = 64 << 20
"""Bytes of a text that is read."""


def read_text_file(path: Path, shown: str) -> str:
    """The text of a file in UTF-8 (with a byte order mark or not) or UTF-16; `shown` is how messages call it.

    Raises:
        ProblemError: `text_unreadable`, when it is no text, too large, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise _unreadable(shown, error.strerror or str(error)) from error
    if len(data) > LARGEST:
        raise _unreadable(shown, f"it has more than {LARGEST >> 20} MB")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except ValueError:
        raise _unreadable(shown, "it is not UTF-8 text") from None
    if "\0" in text:
        raise _unreadable(shown, "it holds NUL characters, as texts do not")
    return text.replace("\r\n", "\n")


def _unreadable(shown: str, why: str) -> ProblemError:
    message, hint = f"{shown} cannot be read: {why}.", "Save it as UTF-8 text, or choose another file."
    return refusal(code="text_unreadable", message=message, hint=hint, port="file", value=shown)
