"""Autoencoders that several families share, each with its latents and its miniature."""
