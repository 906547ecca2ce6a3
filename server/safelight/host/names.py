"""What people call things by: a line of text."""

from __future__ import annotations

import unicodedata

from safelight.sdk.problem import Problem, ProblemError


def one_line(text: str, most: int, code: str, what: str, without: str = "") -> str:
    """The text with single blanks, in Unicode's composed form.

    Raises:
        ProblemError: `code`, when nothing is left of it, it is longer than `most` characters, or has control characters
            or one of `without` in it; `what` is what it was to be, as "the name of a board".
    """
    clean = " ".join(unicodedata.normalize("NFC", text).split())
    strange = any(mark in without or unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") for mark in clean)
    if strange or not 1 <= len(clean) <= most:
        message = f"{text[: most + 20]!r} cannot be {what}."
        hint = f"Use up to {most} characters of one line{', without commas' if without else ''}."
        raise ProblemError(Problem(code=code, message=message, hint=hint, value=text[: most + 20]))
    return clean
