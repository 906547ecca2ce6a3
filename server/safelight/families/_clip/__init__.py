"""CLIP's text towers, which several families read prompts with."""
