"""Damaged files of whole models and denoisers: each is told with a remedy, where it is chosen or where it is loaded."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from families import written
from families.resuming import workflow
from families.test_file_matrix import ALL, Home, as_released, small, write_encoder
from families.test_file_matrix import home as home  # noqa: PLC0414  a fixture
from safelight.cli import main
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.models import ModelStore
from safelight.sdk import ProblemError
from safelight_nodes import models

PLAIN = {"SAFELIGHT_DEVICE": "cpu", "HF_HUB_OFFLINE": "1"}
SCALED = "layers.0.self_attn.k_proj"
"""A matrix of the text encoder of Z-Image."""


def problems(home: Home, file: str) -> list[str]:
    """What choosing a file and loading its parts raises; anything else than a Problem with a remedy ends the test."""
    environment = Environment.read({**PLAIN, "HF_HUB_CACHE": str(home.root / "hub")})
    store = ModelStore(
        home.root, fingerprint=Fingerprints(None).digest, environment=environment, families=home.store.families
    )
    home = Home(home.family, home.root, store)
    found: list[str] = []
    try:
        loaded = models.load(model=file, precision="float32", ctx=home.ctx)
    except ProblemError as error:
        assert all(problem.hint for problem in error.problems)
        return [problem.code for problem in error.problems]
    for part in (loaded.model, loaded.text, loaded.vae):
        try:
            with store.lease(part):
                pass
        except ProblemError as error:
            assert all(problem.hint for problem in error.problems)
            found += [problem.code for problem in error.problems]
    return found


UNREAD = ("lm_head.weight",)
"""Tensors that nothing looks at."""


@pytest.mark.in_turn
def test_each_tensor_that_is_missing_or_odd_is_told(home: Home) -> None:
    """The configuration of such a file is what its shapes say: where one is odd, it may be none."""
    home.whole(lambda given: given)
    file = home.root / "models" / "whole.safetensors"
    whole = load_file(file)
    kinds = {re.sub(r"\d+", "N", name): name for name in whole}
    silent: list[str] = []
    for name in kinds.values():
        for odd in (None, torch.zeros(()), torch.zeros(0, *whole[name].shape[1:])):
            rest = {key: tensor for key, tensor in whole.items() if key != name}
            save_file(rest if odd is None else {**rest, name: odd}, file)
            if not problems(home, file.name) and not name.endswith(UNREAD):
                silent.append(f"{name} as {odd if odd is None else tuple(odd.shape)}")
    save_file(whole, file)
    assert problems(home, file.name) == []
    assert silent == []


@pytest.fixture(scope="module")
def z_image(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("z_image")
    folder = ALL["z_image"].tiny(root / "models" / "mine", 1)
    as_released("z_image", folder)
    with pytest.MonkeyPatch.context() as patch:
        small(patch, "z_image", folder)
        for name, value in {"DEVICE": "cpu", "PRECISION": "float32", "HOME": str(root)}.items():
            patch.setenv(f"SAFELIGHT_{name}", value)
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HUB_CACHE", str(root / "hub"))
        yield root


def run(root: Path, capsys: pytest.CaptureFixture[str], **nodes: Any) -> tuple[int, str]:
    """The exit code of `safelight run`, and what it says; the parts of `nodes` are loaded by nodes of their own."""
    document = workflow()
    document["nodes"]["sample"]["values"]["steps"] = 1
    document["nodes"]["load"]["values"]["model"] = nodes.pop("whole", "mine")
    for name, (sort, values, ports) in nodes.items():
        document["nodes"][name] = {"type": sort, "values": values}
        links = [link for link in document["links"] if link["to"] not in ports]
        document["links"] = [*links, *({"from": f"{name}.model", "to": port} for port in ports)]
    file = root / "flow.json"
    file.write_text(json.dumps(document))
    code = main(["run", str(file), "--output", str(root / "output")])
    out, err = capsys.readouterr()
    return code, out + err


def eight(root: Path, change: Callable[[dict[str, torch.Tensor], str], None]) -> None:
    """Writes the whole model in scaled eight bits; `change` damages it, and is told the matrix."""
    file = root / "models" / "whole.safetensors"
    written.write_whole(ALL["z_image"], root / "models" / "mine", file)
    given = load_file(file)
    rest = {name: tensor for name, tensor in given.items() if name.startswith("first_stage_model.")}
    made = rest | written.eight_bits(
        {name: tensor for name, tensor in given.items() if name not in rest}, torch.float8_e4m3fn, True
    )
    change(made, next(name.removesuffix(".weight") for name in made if name.endswith(f"{SCALED}.weight")))
    save_file({name: tensor.contiguous() for name, tensor in made.items()}, file)


SCALES: dict[str, Callable[[dict[str, torch.Tensor], str], None]] = {
    "negative": lambda given, name: given.update({f"{name}.scale_weight": torch.tensor(-1.0)}),
    "zero": lambda given, name: given.update({f"{name}.scale_weight": torch.tensor(0.0)}),
    "no number": lambda given, name: given.update({f"{name}.scale_weight": torch.tensor(float("nan"))}),
    "of another shape": lambda given, name: given.update({f"{name}.scale_weight": torch.ones(3)}),
    "truth values": lambda given, name: given.update({f"{name}.weight": given[f"{name}.weight"].float() > 0}),
    "missing": lambda given, name: given.__delitem__(f"{name}.weight"),
}


@pytest.mark.parametrize("damage", SCALES)
def test_eight_bits(z_image: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    eight(z_image, SCALES[damage])
    code, said = run(z_image, capsys, whole="whole.safetensors")
    assert code in (1, 2) and "whole.safetensors" in said and "Traceback" not in said


def header_of(base: bytes, name: str) -> tuple[int, int]:
    """Where the name of a tensor and its number format stand in a GGUF file."""
    encoded = name.encode()
    at = base.index(struct.pack("<Q", len(encoded)) + encoded) + 8
    (axes,) = struct.unpack_from("<I", base, at + len(encoded))
    return at, at + len(encoded) + 4 + 8 * axes


QUERY, OTHER = "layers.0.attention.out.weight", "layers.0.attention.qkv.weight"
GGUF: dict[str, Callable[[bytes], tuple[int, bytes]]] = {
    **{
        f"type {kind}": lambda base, kind=kind: (header_of(base, QUERY)[1], struct.pack("<I", kind))
        for kind in (0, 1, 2, 14, 30, 99)
    },
    "the place of another": lambda base: (
        header_of(base, QUERY)[1] + 4,
        base[(at := header_of(base, OTHER)[1] + 4) : at + 8],
    ),
    "an odd place": lambda base: (header_of(base, QUERY)[1] + 4, b"\x01"),
    "two of a name": lambda base: (header_of(base, OTHER)[0], QUERY.encode()),
    "many tensors": lambda base: (8, struct.pack("<Q", 9_999_999)),
    "many pairs": lambda base: (16, struct.pack("<Q", 9_999_999)),
    "a long text": lambda base: (base.index(b"general.architecture") + 24, struct.pack("<Q", 1 << 40)),
}
"""Where bytes are overwritten, and with what."""


@pytest.mark.parametrize("damage", GGUF)
def test_gguf(z_image: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gguf")
    file = z_image / "models" / "diffusion_models" / "it.gguf"
    written.write_gguf(written.denoiser(ALL["z_image"], z_image / "models" / "mine"), file, "Q8_0", "z_image")
    base = file.read_bytes()
    at, new = GGUF[damage](base)
    file.write_bytes(base[:at] + new + base[at + len(new) :])
    denoiser = ("models.load_denoiser", {"model": "diffusion_models/it.gguf"}, ["sample.model"])
    code, said = run(z_image, capsys, denoiser=denoiser)
    assert code == 2 and "it.gguf" in said and "download it again" in said and "Traceback" not in said


def test_a_text_encoder_with_fewer_tokens_than_its_tokenizer(z_image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gguf")
    few = z_image / "few"
    few.mkdir()
    weights = load_file(z_image / "models" / "mine" / "text_encoder" / "model.safetensors")
    name = next(key for key in weights if key.endswith("embed_tokens.weight"))
    save_file({**weights, name: weights[name][:8].clone()}, few / "model.safetensors")
    write_encoder(few, z_image / "models" / "few.gguf", "qwen3")
    ports = ["said.encoder", "unsaid.encoder"]
    text = ("models.load_text_encoders", {"first": "few.gguf", "family": "z_image"}, ports)
    code, said = run(z_image, capsys, text=text)
    assert code == 1 and "knows 8 tokens" in said and "Traceback" not in said
