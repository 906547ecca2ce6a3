"""Names in the order in which people count: image2 before image10."""

from __future__ import annotations


def natural_key(text: str) -> list[int | str]:
    """What a text is sorted by: numbers in it by their size, letters without their case.

    Digits and the rest alternate, so that equal places hold equal kinds.
    """
    import re

    parts = re.split(r"([0-9]{1,18})", text)
    return [int(part) if place % 2 else part.casefold() for place, part in enumerate(parts)]
