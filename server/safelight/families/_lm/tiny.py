"""Language models and a tokenizer with a chat template in miniature, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_WORDS = (
    *("a", "an", "the", "of", "on", "in", "and", "with", "red", "green", "blue", "dark", "light"),
    *("apple", "house", "cat", "dog", "photo", "picture", "sky", "sea", "tree"),
)
_EYES = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_MARKS = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", *_EYES)
_CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for one in message['content'] %}{{ one['text'] }}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}"
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
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    marks: dict[str, Any] = dict(zip(names, tokenizer().convert_tokens_to_ids(list(_EYES)), strict=True))
    text = {**_size(width, layers), "rope_parameters": rope}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=seen, **marks)
    return Qwen2_5_VLForConditionalGeneration(config).eval()


def qwen3_vl(width: int, layers: int = 3, *, head: bool = False) -> Any:
    """A Qwen3-VL, with its head or without."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLModel

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
    config = Qwen3VLConfig(text_config=read, vision_config=seen)
    return (Qwen3VLForConditionalGeneration(config) if head else Qwen3VLModel(config)).eval()


def gemma3(width: int, layers: int) -> Any:
    """A Gemma3 that also sees, with its head."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    read = {
        "vocab_size": len(gemma_tokenizer()) + 1,
        "hidden_size": width,
        "intermediate_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "query_pre_attn_scalar": 8,
        "layer_types": ["sliding_attention", "full_attention"] * (layers // 2),
    }
    seen = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    config = Gemma3Config(
        text_config=read, vision_config=seen, mm_tokens_per_image=4, image_token_index=len(gemma_tokenizer())
    )
    return Gemma3ForConditionalGeneration(config).eval()


def gemma_tokenizer() -> Any:
    """Knows the letters, one by one."""
    from transformers import GemmaTokenizer

    marks = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581")
    letters = [*marks, *(chr(code) for code in range(33, 127)), *(f"<0x{byte:02X}>" for byte in range(256))]
    return GemmaTokenizer(vocab={letter: place for place, letter in enumerate(letters)}, merges=[])


def mistral3(width: int, layers: int = 3) -> Any:
    """A Mistral3 without its head, whose half that reads is a Ministral3."""
    from transformers import Mistral3Config, Mistral3Model

    rope = {
        "rope_type": "yarn",
        "rope_theta": 1000000.0,
        "factor": 16.0,
        "original_max_position_embeddings": 128,
        "llama_4_scaling_beta": 0.1,
    }
    read = {**_size(width, layers), "model_type": "ministral3", "head_dim": 8, "rope_parameters": rope}
    seen = {
        "model_type": "pixtral",
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    return Mistral3Model(Mistral3Config(text_config=read, vision_config=seen)).eval()


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


def write_processor(folder: Path) -> None:
    """That of a Qwen2.5-VL: images of few pixels, and the tokenizer."""
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    size = {"shortest_edge": 28 * 28, "longest_edge": 112 * 112}
    made: Any = Qwen2VLProcessor(Qwen2VLImageProcessor(size=size), tokenizer(), Qwen2VLVideoProcessor())
    made.save_pretrained(folder)


def seeing_processor() -> Any:
    """That of a Qwen3-VL."""
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    size = {"shortest_edge": 32 * 32, "longest_edge": 112 * 112}
    processors = Qwen2VLImageProcessor(size=size), tokenizer(), Qwen3VLVideoProcessor()
    return Qwen3VLProcessor(*processors, chat_template=_CHAT)
