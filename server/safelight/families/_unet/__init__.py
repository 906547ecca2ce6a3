"""What Stable Diffusion 1, 2 and XL share: UNets with attention to CLIP's embeddings, run by our own loop."""
