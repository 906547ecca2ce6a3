"""Inputs that are computed only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lazy(Generic[T]):
    """An input of a choice node: the branch behind it runs when `get` is called, and only then.

    A node with lazy inputs may be called more than once in a run, each time with one more branch ready, so it
    must be light and decide from its other inputs alone.
    """

    __slots__ = ("_get",)

    def __init__(self, get: Callable[[], T]) -> None:
        self._get = get

    def get(self) -> T:
        return self._get()

    @classmethod
    def of(cls, value: T) -> Lazy[T]:
        """A lazy input that is already there, for calling a node in a test."""
        return cls(lambda: value)
