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
        (names("distilled_guidance_layer.in_proj.weight", "double_blocks.0.img_attn.norm.key_norm.scale"), WRONG,
         "Chroma"),
        (names(f"{LDM}head.modulation", f"{LDM}patch_embedding.weight"), WRONG, "a Wan that takes 4 channels"),
        ({"noise_refiner.0.attention_norm1.weight": (1,), "cap_embedder.1.weight": (2304, 2304)}, WRONG, "Lumina"),
        (names(f"{LDM}patchify_proj.weight", f"{LDM}transformer_blocks.0.scale_shift_table"), WRONG, "LTX-Video"),
        (names("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.weight"), WRONG, "HunyuanVideo"),
        (names("clip_txt_mapper.weight"), WRONG, "Stable Cascade"),
        (names("blocks.0.scale_shift_table", "y_embedder.y_embedding"), WRONG, "PixArt"),
        (names("text_model.encoder.layers.0.self_attn.q_proj.weight", "x"), WRONG, "CLIP text encoder"),
        (names("lora_unet_blocks_0_self_attn_q.hada_w1_a", "lora_unet_blocks_0_self_attn_q.hada_w1_b"), "lora_unfit",
         "made for Wan"),
        ({"control_model.input_hint_block.0.weight": (16, 3, 3, 3), "difference": ()}, WRONG, "as the difference"),
        ({"input_hint_block.0.weight": (16, 3, 3, 3), "lora_controlnet": (0,)}, "model_incomplete", "Control-LoRA"),
        ({**ENTRY, f"{LDM}label_emb.0.0.weight": (1280, 2048), LDM + ATTENTION.format(1): (320, 1024)}, WRONG,
         "unCLIP"),
        ({**ENTRY, **LABELS, LDM + ATTENTION.format(4): (640, 2048), "edm_mean": (4,)}, WRONG, "Playground"),
        (names("diffusion_model.blocks.0.self_attn.q.lora_A.weight", "b"), "lora_unfit", "made for Wan"),
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
    ],
    ids=["lfs", "html"],
)  # fmt: skip
def test_files_of_other_sorts_are_named(tmp_path: Path, ending: str, content: bytes, code: str, said: str) -> None:
    file = tmp_path / f"m.{ending}"
    file.write_bytes(content)
    with pytest.raises(ProblemError) as caught:
        Reader(load_families(), lambda _: True, allow_pickle=True).read("m", file)
    (problem,) = caught.value.problems
    assert problem.code == code and said in problem.message
