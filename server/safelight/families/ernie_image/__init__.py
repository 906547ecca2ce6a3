"""ERNIE-Image: https://huggingface.co/baidu/ERNIE-Image."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
