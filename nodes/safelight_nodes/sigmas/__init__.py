"""Noise levels as values: made, changed, drawn."""
