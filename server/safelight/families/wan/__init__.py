"""Wan 2.1 and 2.2, text and image to video: https://arxiv.org/abs/2503.20314."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
