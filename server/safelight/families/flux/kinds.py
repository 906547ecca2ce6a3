"""The kinds of Flux.1 beside dev and schnell."""

PIXELS = 64
"""Pixels of a cell."""
FILL = 64 + 64 + 4 * PIXELS
"""Channels of a Fill: a token of the latent, one of the image around the hole, and the pixels of its cells."""
KONTEXT = ("FluxKontextPipeline", "FluxKontextInpaintPipeline")
