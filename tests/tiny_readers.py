"""Tiny models of transformers that read images or texts: one that describes, one that writes, one that embeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = ["a", "the", "red", "green", "blue", "apple", "pear", "cat", "dog", "on", "table", "photo", "of", "with", "and"]
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[BOS]"]


def _tokenizer(framed: bool) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: place for place, word in enumerate([*_SPECIAL, *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if framed:
        frame = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
        made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=frame)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        bos_token="[BOS]", eos_token="[SEP]", model_max_length=32,
    )  # fmt: skip


def tiny_writer(folder: Path, seed: int = 0) -> Path:
    """A GPT-2."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    size = len(WORDS) + len(_SPECIAL)
    config = GPT2Config(
        vocab_size=size, n_embd=16, n_layer=1, n_head=2, n_positions=32, bos_token_id=4, eos_token_id=3, pad_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    _tokenizer(framed=False).save_pretrained(folder)
    return folder


def tiny_describer(folder: Path, seed: int = 0) -> Path:
    """A BLIP."""
    import torch
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    torch.manual_seed(seed)
    text = {
        "vocab_size": len(WORDS) + len(_SPECIAL), "hidden_size": 16, "encoder_hidden_size": 16, "projection_dim": 8,
        "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32,
        "bos_token_id": 4, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 16, "patch_size": 8,
    }  # fmt: skip
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=8)
    BlipForConditionalGeneration(config).save_pretrained(folder)
    images = BlipImageProcessor(size={"height": 16, "width": 16})
    BlipProcessor(images, _tokenizer(framed=True)).save_pretrained(folder)
    return folder


def tiny_embedder(folder: Path, seed: int = 0) -> Path:
    """A CLIP."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

    torch.manual_seed(seed)
    shared = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {
        **shared, "vocab_size": len(WORDS) + len(_SPECIAL), "max_position_embeddings": 32,
        "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0,
    }  # fmt: skip
    vision = {**shared, "image_size": 16, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    CLIPProcessor(images, _tokenizer(framed=True)).save_pretrained(folder)
    return folder
