"""The parts of LTX-2 beside those of all."""

from __future__ import annotations

CONNECTORS, SOUND = "connectors", "audio_vae"
"""What makes of a prompt one reading for the video and one for its sound; and what tells how long that is."""
