"""Anima: https://huggingface.co/circlestone-labs/Anima."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
