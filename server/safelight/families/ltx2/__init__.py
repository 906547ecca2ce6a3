"""LTX-2, text and image to video: https://github.com/Lightricks/LTX-2."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
