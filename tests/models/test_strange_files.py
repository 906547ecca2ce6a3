"""Files that are not what they seem: each is told for what it is, and none stops the list of the others."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from safelight.families import load_families
from safelight.models import headers, pickles
from safelight.models.converting import converted
from safelight.models.library import Library
from safelight.models.weights import Target, tensors
from safelight.sdk import ProblemError

NESTED = b"[" * 200_000
TARGET = Target(torch.float16, torch.device("cpu"))


def safetensors(given: Mapping[str, tuple[str, tuple[int, ...], int]]) -> bytes:
    """Tensors by name: type, shape and bytes each, all ones."""
    entries: dict[str, Any] = {}
    end = 0
    for name, (dtype, shape, size) in given.items():
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": (end, end + size)}
        end += size
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + b"\1" * end


def text(said: str) -> bytes:
    return struct.pack("<Q", len(said)) + said.encode()


def gguf(metadata: bytes = b"", tensor: tuple[tuple[int, ...], int] | None = None) -> bytes:
    """A GGUF file with one entry of metadata, or one tensor `a.weight` of a shape and a number format."""
    given = b""
    if tensor is not None:
        shape, kind = tensor
        given = text("a.weight") + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, 0)
    count = struct.pack("<IQQ", 3, int(tensor is not None), int(bool(metadata)))
    return b"GGUF" + count + metadata + given + bytes(4096)


def problem(file: Path, data: bytes) -> Any:
    file.write_bytes(data)
    with pytest.raises(ProblemError) as told:
        list(tensors([file], TARGET))
    return told.value.problems[0]


def alignment(kind: int, value: bytes) -> bytes:
    return gguf(text("general.alignment") + struct.pack("<I", kind) + value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (alignment(8, text("abc")), "aligned to 'abc'"),
        (alignment(5, struct.pack("<i", -32)), "aligned to '-32'"),
        (alignment(6, struct.pack("<f", float("nan"))), "aligned to 'nan'"),
        (gguf(text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 20_000), "not a whole GGUF"),
        (gguf(tensor=((33,), 8)), "blocks of 32 do not hold"),
    ],
)
def test_a_gguf_file_of_odd_numbers_is_damaged(tmp_path: Path, data: bytes, said: str) -> None:
    told = problem(tmp_path / "odd.gguf", data)
    assert told.code == "weights_damaged"
    assert said in told.message


@pytest.mark.parametrize("kind", [0, 8])
def test_a_gguf_tensor_may_be_empty(tmp_path: Path, kind: int) -> None:
    file = tmp_path / "empty.gguf"
    file.write_bytes(gguf(tensor=((0,), kind)))
    assert [(name, tuple(one.shape)) for name, one in tensors([file], TARGET)] == [("a.weight", (0,))]


def pickled(folder: Path, old: bool) -> bytes:
    file = folder / "made.pt"
    torch.save({"a": torch.zeros(3)}, file, _use_new_zipfile_serialization=not old)
    return file.read_bytes()


def test_files_by_another_name_are_told(tmp_path: Path) -> None:
    whole = safetensors({"a.weight": ("F32", (4,), 16)})
    for name, data, said, ending in (
        ("a.gguf", whole, "a safetensors file", ".safetensors"),
        ("a.ckpt", whole, "a safetensors file", ".safetensors"),
        ("a.safetensors", gguf(), "a GGUF file", ".gguf"),
        ("a.safetensors", pickled(tmp_path, old=False), "a pickle of weights", ".ckpt"),
        ("b.gguf", pickled(tmp_path, old=True), "a pickle of weights", ".ckpt"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ProblemError, match=f"{said} by another name") as told:
            headers.read_header(tmp_path / name)
        assert told.value.problems[0].hint == f"Give it the ending {ending}."
    with pytest.raises(ProblemError, match="a safetensors file by another name"):
        converted((tmp_path / "a.ckpt").rename(tmp_path / "d.ckpt"))
    with pytest.raises(ProblemError, match="is an archive") as told:
        (tmp_path / "c.safetensors").write_bytes(b"Rar!\x1a\x07\x00" + bytes(100))
        headers.read_header(tmp_path / "c.safetensors")
    assert "Unpack it" in told.value.problems[0].hint


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"a.weight": ("I8", (2, 2), 4), "a.weight_scale": ("F32", (), 4)}, "whole numbers"),
        ({"a.weight": ("U8", (2, 2), 4), "a.weight_scale_2": ("F32", (), 4)}, "NVFP4"),
        ({"a.weight": ("F8_E4M3", (2, 2), 4), "a.weight_scale_inv": ("F32", (1, 1), 4)}, "each block of fp8"),
        ({"a.weight": ("F8_E4M3", (2, 2), 4), "a.weight_scale": ("F32", (3,), 12)}, "scales of (3,)"),
        ({"a.weight": ("F8_E4M3", (4, 4), 16), "a.weight_scale": ("F32", (2, 2), 16)}, "scales of (2, 2)"),
    ],
)
def test_scales_that_are_not_read_stop_the_loading(tmp_path: Path, beside: dict[str, Any], said: str) -> None:
    told = problem(tmp_path / "scaled.safetensors", safetensors(beside))
    assert told.code == "unsupported_weights"
    assert said in told.message


def test_no_file_stops_the_list(tmp_path: Path) -> None:
    home = tmp_path / "models"
    for name in ("deep/config.json", "index/model_index.json", "noted.json"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(NESTED)
    (home / "noted.safetensors").write_bytes(safetensors({"lllite_a.weight": ("F32", (4,), 16)}))
    (home / "head.safetensors").write_bytes(struct.pack("<Q", len(NESTED)) + NESTED)
    told = {entry.name: entry for entry in Library((home,), digest=str, cache=tmp_path / "hub").list_models()}
    codes = {name: getattr(told[name].problem, "code", "") for name in ("deep", "index", "head.safetensors")}
    assert codes == {"deep": "config_damaged", "index": "config_damaged", "head.safetensors": "weights_damaged"}
    assert "noted.safetensors" in told


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"weight_map": {"a": 3, "b": ["x"]}}, "config_damaged", "index.json"),
        ({"weight_map": {}}, "config_damaged", "index.json"),
        ({}, "config_damaged", "index.json"),
        ({"weight_map": {"a": "gone-00002-of-00002.safetensors"}}, "model_incomplete", "gone-00002"),
        ({"weight_map": {"a": "../../vae/diffusion_pytorch_model.safetensors"}}, "model_incomplete", "../../vae"),
    ],
)
def test_an_index_of_shards_that_names_none_or_missing_ones_is_told(
    tmp_path: Path, given: dict[str, Any], code: str, said: str
) -> None:
    folder = load_families()["flux"].tiny(tmp_path / "models" / "mine") / "transformer"
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(given))
    library = Library((tmp_path / "models",), digest=str, cache=tmp_path / "hub")
    told = {entry.name: entry.problem for entry in library.list_models()}["mine"]
    assert told is not None and told.code == code and said in told.message


def test_dictionaries_within_themselves_are_no_weights(tmp_path: Path) -> None:
    many: dict[str, Any] = {"t": torch.zeros(1)}
    for _ in range(18):
        many = {"a": many, "b": many}
    round_: dict[str, Any] = {}
    round_["again"] = round_
    wide = {f"{number}": many for number in range(4)}
    for given, code in ((round_, "again"), (wide, "wide")):
        file = tmp_path / f"{code}.pt"
        torch.save(given, file)
        for read in (pickles.shapes, pickles.load):
            with pytest.raises(ProblemError, match="not a whole pickle"):
                read(file)
