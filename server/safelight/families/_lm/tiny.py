"""Language models and a tokenizer with a chat template in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_WORDS = (
    *("a", "an", "the", "of", "on", "in", "and", "with", "red", "green", "blue", "dark", "light"),
    *("apple", "house", "cat", "dog", "photo", "picture", "sky", "sea", "tree"),
)
_MARKS = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def qwen3(width: int, layers: int = 3) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    return Qwen3ForCausalLM(Qwen3Config(**_size(width, layers), head_dim=8)).eval()


def qwen2_vl(width: int, layers: int = 3) -> Any:
    """A Qwen2.5-VL: it also sees, which a prompt alone does not ask of it."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1000000.0}
    seen = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": width,
        "fullatt_block_indexes": [0],
    }
    config = Qwen2_5_VLConfig(text_config={**_size(width, layers), "rope_parameters": rope}, vision_config=seen)
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def qwen3_vl(width: int, layers: int = 3) -> Any:
    """A Qwen3-VL without its head."""
    from transformers import Qwen3VLConfig, Qwen3VLModel

    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "mrope_interleaved": True, "rope_theta": 5000000.0}
    seen = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": width,
        "deepstack_visual_indexes": [0],
        "num_position_embeddings": 16,
    }
    read = {**_size(width, layers), "head_dim": 8, "rope_parameters": rope}
    return Qwen3VLModel(Qwen3VLConfig(text_config=read, vision_config=seen)).eval()


def _size(width: int, layers: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer()),
        "hidden_size": width,
        "intermediate_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 8,
        "num_key_value_heads": width // 16,
        "max_position_embeddings": 2048,
        "bos_token_id": None,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }


def tokenizer() -> Any:
    """Knows some words, every byte, and the marks of a chat."""
    from transformers import Qwen2Tokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    vocabulary = {token: place for place, token in enumerate(["<|endoftext|>", *letters])}
    merges: list[tuple[str, str]] = []
    for word in _WORDS:
        built = "\u0120"
        for letter in word:
            if built + letter not in vocabulary:
                vocabulary[built + letter] = len(vocabulary)
                merges.append((built, letter))
            built += letter
    made: Any = Qwen2Tokenizer(vocab=vocabulary, merges=merges, additional_special_tokens=list(_MARKS))  # pyright: ignore[reportArgumentType]
    made.chat_template = _CHAT
    return made


def write_tokenizer(folder: Path) -> None:
    tokenizer().save_pretrained(folder)
