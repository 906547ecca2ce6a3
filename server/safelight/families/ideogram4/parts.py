"""The part of Ideogram 4 beside those of all."""

from __future__ import annotations

SECOND = "unconditional_transformer"
