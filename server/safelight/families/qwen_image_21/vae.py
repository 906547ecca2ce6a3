"""The autoencoder of Qwen-Image 2.1: red, green, blue and opacity."""

from __future__ import annotations

from dataclasses import dataclass

from safelight.families._vaes.qwen import QwenCodec


@dataclass(frozen=True)
class QwenImage21Codec(QwenCodec):
    @property
    def opacity(self) -> bool:
        return True

    @property
    def native_size(self) -> tuple[int, int]:
        return 1024, 1024
