"""Flux.1, dev and schnell: https://github.com/black-forest-labs/flux."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
