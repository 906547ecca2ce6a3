"""What files are, told from their first bytes, names and shapes: what is not run is named."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from safelight.families import load_families
from safelight.models.layout import Reader
from safelight.sdk import ProblemError

LDM = "model.diffusion_model."
ENTRY = {f"{LDM}input_blocks.0.0.weight": (320, 4, 3, 3)}
LABELS = {f"{LDM}label_emb.0.0.weight": (1280, 2816)}
ATTENTION = "input_blocks.{}.1.transformer_blocks.0.attn2.to_k.weight"
VAE = {"decoder.up.0.block.0.conv1.weight": (128, 256, 3, 3), "encoder.conv_in.weight": (128, 3, 3, 3)}
WRONG = "unsupported_family"


def write(file: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    """A file of safetensors with these tensors, of no bytes: a header is all that is looked at."""
    header = json.dumps({n: {"dtype": "F16", "shape": s, "data_offsets": [0, 0]} for n, s in shapes.items()}).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    return file


def names(*given: str) -> dict[str, tuple[int, ...]]:
    return dict.fromkeys(given, (4, 4))


@pytest.mark.parametrize(
    ("shapes", "code", "said"),
    [
        (names("double_blocks.0.img_attn.norm.key_norm.scale", "double_blocks.0.img_attn.qkv.weight"), WRONG,
         "a Flux.1 model in one file"),
        (names(f"{LDM}double_blocks.0.img_attn.norm.key_norm.scale"), WRONG, "a Flux.1 model in one"),
        (names("double_stream_modulation_img.lin.weight", "double_blocks.0.img_attn.qkv.weight"), WRONG, "Flux.2"),
        (names("distilled_guidance_layer.in_proj.weight", "double_blocks.0.img_attn.norm.key_norm.scale"), WRONG,
         "Chroma"),
        (names("joint_blocks.0.context_block.adaLN_modulation.1.bias"), WRONG, "Stable Diffusion 3 model in one"),
        (names(f"{LDM}head.modulation", f"{LDM}patch_embedding.weight"), WRONG, "a Wan 2.1 model"),
        (names("transformer_blocks.0.img_mod.1.weight", "txt_norm.weight"), WRONG, "Qwen-Image"),
        ({"noise_refiner.0.attention_norm1.weight": (1,), "cap_embedder.1.weight": (3840, 2560)}, WRONG, "Z-Image"),
        ({"noise_refiner.0.attention_norm1.weight": (1,), "cap_embedder.1.weight": (2304, 2304)}, WRONG, "Lumina"),
        (names(f"{LDM}patchify_proj.weight", f"{LDM}transformer_blocks.0.scale_shift_table"), WRONG, "LTX-Video"),
        (names("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.weight"), WRONG, "HunyuanVideo"),
        (names("clip_txt_mapper.weight"), WRONG, "Stable Cascade"),
        (names("blocks.0.scale_shift_table", "y_embedder.y_embedding"), WRONG, "PixArt"),
        (names("encoder.block.0.layer.0.SelfAttention.q.weight"), WRONG, "T5"),
        (names("text_model.encoder.layers.0.self_attn.q_proj.weight", "x"), WRONG, "CLIP text encoder"),
        (names("conv_first.weight", "body.0.rdb1.conv1.weight"), WRONG, "ESRGAN"),
        (names("a.hada_w1_a", "a.hada_w1_b"), WRONG, "LoHa"),
        ({"control_model.input_hint_block.0.weight": (16, 3, 3, 3),
          "control_model." + ATTENTION.format(1): (320, 768)}, WRONG, "ControlNet of Stable Diffusion 1, in one file"),
        ({"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
          "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": (640, 2048)}, WRONG,
         "a ControlNet of Stable Diffusion XL, in one file"),
        ({"input_blocks.0.0.weight": (320, 4, 3, 3), ATTENTION.format(4): (640, 2048)}, WRONG,
         "a UNet alone of Stable Diffusion XL"),
        ({**ENTRY, **LABELS, LDM + ATTENTION.format(4): (768, 1280)}, WRONG, "refiner"),
        ({**ENTRY, f"{LDM}label_emb.0.0.weight": (1280, 2048), LDM + ATTENTION.format(1): (320, 1024)}, WRONG,
         "unCLIP"),
        ({**ENTRY, **LABELS, LDM + ATTENTION.format(4): (640, 2048), "edm_mean": (4,)}, WRONG, "Playground"),
        ({**VAE, "decoder.conv_in.weight": (512, 16, 3, 3)}, WRONG, "16 channels"),
        (names("double_stream_modulation_img.lora_A.weight", "b"), "lora_unfit", "made for Flux.2"),
        (names("diffusion_model.blocks.0.self_attn.q.lora_A.weight", "b"), "lora_unfit", "made for Wan"),
        (names("transformer.transformer_blocks.0.img_mlp.net.2.lora_A.weight"), "lora_unfit", "made for Qwen-Image"),
        (names("something.weight", "else.weight"), "not_a_model", "no file of weights that is known"),
    ],
)  # fmt: skip
def test_what_is_not_run_is_named(tmp_path: Path, shapes: dict[str, tuple[int, ...]], code: str, said: str) -> None:
    with pytest.raises(ProblemError) as caught:
        Reader(load_families(), lambda _: True).read("m", write(tmp_path / "m.safetensors", shapes))
    (problem,) = caught.value.problems
    assert problem.code == code and said in problem.message, problem.message


def test_an_xl_without_its_text_encoders_is_one(tmp_path: Path) -> None:
    file = write(tmp_path / "m.SAFETENSORS", {**ENTRY, **LABELS, LDM + ATTENTION.format(4): (640, 2048)})
    found = Reader(load_families(), lambda _: True).read("m", file)
    assert (found.kind, found.family) == ("pipeline", "sdxl")


@pytest.mark.parametrize("ending", ["safetensors", "SafeTensors", "ckpt", "gguf", "txt"])
@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "weights_damaged", "Git LFS"),
        (b"<!DOCTYPE html><html>login</html>", "weights_damaged", "a web page"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 20) + b"general.architecture" + struct.pack("<IQ", 8, 4) + b"flux",
         "unsupported_weights", "a GGUF file of flux"),
    ],
    ids=["lfs", "html", "gguf"],
)  # fmt: skip
def test_files_of_other_sorts_are_named(tmp_path: Path, ending: str, content: bytes, code: str, said: str) -> None:
    file = tmp_path / f"m.{ending}"
    file.write_bytes(content)
    with pytest.raises(ProblemError) as caught:
        Reader(load_families(), lambda _: True, allow_pickle=True).read("m", file)
    (problem,) = caught.value.problems
    assert problem.code == code and said in problem.message
