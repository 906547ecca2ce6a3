"""Stable Diffusion 3 and 3.5: https://arxiv.org/abs/2403.03206."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
