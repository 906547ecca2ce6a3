"""Qwen-Image 2.1: https://github.com/QwenLM/Qwen-Image."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
