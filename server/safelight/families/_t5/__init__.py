"""The text encoder T5, which several families read prompts with."""
