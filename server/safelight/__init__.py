"""Safelight: a node-based workflow editor for diffusion models."""
