"""CLIP's text encoders, which several families read prompts with."""
