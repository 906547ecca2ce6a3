"""Krea 2 and its turbo: https://huggingface.co/krea."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
