"""Z-Image and Z-Image-Turbo: https://github.com/Tongyi-MAI/Z-Image."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
