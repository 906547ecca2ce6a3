"""Language models (Qwen3, Qwen2.5-VL, ...) that several families read prompts with."""
