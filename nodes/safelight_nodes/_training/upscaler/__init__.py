"""Upscalers: networks that learn to make images two or four times larger."""
