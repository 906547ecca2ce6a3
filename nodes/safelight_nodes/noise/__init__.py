"""Noise as a value: made, blended, put into latents."""
