"""Ideogram 4: https://huggingface.co/ideogram-ai."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
