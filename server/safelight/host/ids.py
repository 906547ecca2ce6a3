"""Ids of what the database counts: a letter that says what it is, and its number."""

from __future__ import annotations


def number_in(given: str, letter: str) -> int | None:
    """The number in an id, or None where it is none of that letter, or more than the database counts to."""
    digits = given[1:]
    fits = given.startswith(letter) and digits.isascii() and digits.isdigit() and len(digits) <= 18
    return int(digits) if fits else None
