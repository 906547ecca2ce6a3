"""Flux.3 and its distilled version: https://github.com/black-forest-labs."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
