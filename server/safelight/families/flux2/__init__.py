"""Flux.2, Klein and dev: https://github.com/black-forest-labs/flux2."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
