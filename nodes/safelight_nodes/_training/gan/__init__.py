"""Generative adversarial networks: an architecture a file, the losses, the training, and how images are drawn."""
