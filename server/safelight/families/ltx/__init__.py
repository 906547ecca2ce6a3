"""LTX-Video, text and image to video: https://arxiv.org/abs/2501.00103."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
