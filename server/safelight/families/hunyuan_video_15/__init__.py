"""HunyuanVideo 1.5, text and image to video: https://github.com/Tencent-Hunyuan/HunyuanVideo-1.5."""

from __future__ import annotations

from .family import FAMILY

__all__ = ["FAMILY"]
