"""Models in the shared cache: a machine that lacks one fetches it, and takes no other file for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cache.shared_tools import KEY, OPTIONS, Machine, change, objects
from cli.safelight_command import Command
from safelight.app import Studio
from safelight.engine.cache.shared import send_model
from safelight.engine.cache.shared.models import ENDINGS, head_path, read_head
from safelight.engine.cache.shared.seal import MODEL, ModelFile, ModelHead, Refused, sealed
from safelight.sdk import ProblemError

torch = pytest.importorskip("torch")

Open = Callable[..., Machine]
NAME = "upscalers/tiny.safetensors"


def weights(folder: Path, name: str = NAME, seed: int = 0) -> Path:
    from safetensors.torch import save_file

    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({"w": torch.rand(100, 100, generator=torch.Generator().manual_seed(seed))}, path)
    return path


def lora(folder: Path, name: str) -> Path:
    """A file that is known to be a model."""
    from safetensors.torch import save_file

    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora"
    save_file({f"{part}_A.weight": torch.zeros(4, 32), f"{part}_B.weight": torch.zeros(32, 4)}, path)
    return path


def test_a_model_comes_whole(machine: Open, bucket: str, tmp_path: Path) -> None:
    path = weights(tmp_path / "first")
    options = replace(OPTIONS, url=bucket)
    head = send_model(options, NAME, path)
    assert [file.length for file in head.files] == [path.stat().st_size]
    second = machine("second", bucket)
    assert second.cache.fetch_model(NAME, tmp_path / "models")
    assert (tmp_path / "models" / NAME).read_bytes() == path.read_bytes()
    assert not second.cache.fetch_model("upscalers/other.safetensors", tmp_path / "models")
    assert not list((tmp_path / "models" / ".downloads").glob("team-*/*")), "nothing is left of the way"
    assert second.shared.bytes_down >= path.stat().st_size


def test_a_folder_comes_without_what_nobody_needs(machine: Open, bucket: str, tmp_path: Path) -> None:
    root = tmp_path / "first" / "checkpoints" / "small"
    for name in ("unet/model.safetensors", "vae/model.safetensors"):
        weights(root, name)
    (root / "model_index.json").write_text("{}")
    (root / "unet" / "weights.bin").write_bytes(b"a pickle")
    (root / "setup.py").write_text("print('no')")
    send_model(replace(OPTIONS, url=bucket), "checkpoints/small", root)
    second = machine("second", bucket)
    assert second.cache.fetch_model("checkpoints/small", tmp_path / "models")
    there = tmp_path / "models" / "checkpoints" / "small"
    found = sorted(path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file())
    assert found == ["model_index.json", "unet/model.safetensors", "vae/model.safetensors"]


def test_a_folder_whose_weights_are_pickles_is_refused(bucket: str, tmp_path: Path) -> None:
    """What arrived would be configurations alone."""
    root = tmp_path / "checkpoints" / "small"
    weights(root, "unet/model.safetensors")
    for name in ("vae/config.json", "vae/weights.bin", "unet/old.ckpt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"{}")
    with pytest.raises(ProblemError, match=r"vae/weights\.bin are") as caught:
        send_model(replace(OPTIONS, url=bucket), "checkpoints/small", root, (".bin", ".ckpt"))
    assert caught.value.problems[0].code == "unsafe_weights" and not objects(bucket)


def test_the_second_time_nothing_is_sent(bucket: str, tmp_path: Path) -> None:
    options = replace(OPTIONS, url=bucket)
    path = weights(tmp_path / "first")
    send_model(options, NAME, path)
    before = objects(bucket)
    send_model(options, NAME, path)
    assert objects(bucket) == before and len(before) == 2


def test_wrong_bytes_and_signatures_are_refused(machine: Open, bucket: str, tmp_path: Path) -> None:
    options = replace(OPTIONS, url=bucket)
    send_model(options, NAME, weights(tmp_path / "first"))
    files = [path for path in objects(bucket) if "/models/files/" in path]
    data = bytearray(objects(bucket)[files[0]])
    data[-1] ^= 1
    change(bucket, files[0], bytes(data))
    second = machine("second", bucket)
    assert not second.cache.fetch_model(NAME, tmp_path / "models") and second.shared.refused == 1
    assert not (tmp_path / "models" / NAME).exists()
    stranger = machine("stranger", bucket, key=b"a key of somebody else, long enough")
    assert not stranger.cache.fetch_model(NAME, tmp_path / "models") and stranger.shared.refused == 1
    # One model's files are not another's.
    change(bucket, head_path("upscalers/other.safetensors"), objects(bucket)[head_path(NAME)])
    assert not second.cache.fetch_model("upscalers/other.safetensors", tmp_path / "models")
    assert second.shared.refused == 2


@pytest.mark.parametrize(
    "path",
    [
        "../evil.safetensors",
        "/etc/evil.safetensors",
        "loras/x/../../../evil.safetensors",
        "loras/other.safetensors",
        "loras/x/weights.bin",
        "loras/x/code.py",
        "loras/x/C:evil.safetensors",
        "loras/x/a\\b.safetensors",
        "loras/x//a.safetensors",
    ],
)
def test_a_member_places_no_file_elsewhere_and_none_of_other_sorts(path: str) -> None:
    head = sealed(KEY, MODEL, "loras/x", ModelHead((ModelFile(path, 1, "0" * 64),)))
    with pytest.raises(Refused):
        read_head(KEY, "loras/x", head)
    with pytest.raises(Refused):
        read_head(KEY, "loras/x", sealed(KEY, MODEL, "loras/x", ModelHead(())))


def test_pickles_are_not_sent(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"a pickle")
    with pytest.raises(ProblemError) as caught:
        send_model(replace(OPTIONS, url=bucket), "checkpoints/x.ckpt", tmp_path / "x.ckpt")
    assert caught.value.problems[0].code == "unsafe_weights" and ".safetensors" in ENDINGS and not objects(bucket)


def test_a_workflow_finds_the_model_that_the_team_has_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    monkeypatch.setenv("SAFELIGHT_TEAM_KEY", KEY.decode())
    monkeypatch.setenv("SAFELIGHT_SHARED_CACHE", bucket)
    monkeypatch.setenv("SAFELIGHT_DEVICE", "cpu")
    monkeypatch.setenv("SAFELIGHT_PRECISION", "float32")
    first = Command(tmp_path / "first")
    path = lora(tmp_path / "first" / "home" / "models", "loras/ink.safetensors")
    told = first.json("models", "send", "loras/ink.safetensors")
    assert told["files"] == 1 and told["bytes"] == path.stat().st_size
    (problem,) = first.json("models", "send", "starter", code=2)["problems"]
    assert problem["code"] == "wrong_model"
    with Studio.open(tmp_path / "second") as studio:
        with pytest.raises(ProblemError):
            studio.models.find("loras/blood.safetensors", "lora")
        found = studio.models.find("loras/ink.safetensors", "lora")
        assert found.name == "loras/ink.safetensors" and found.fingerprint
    with Studio.open(tmp_path / "first" / "home") as studio:
        assert studio.models.find("loras/ink.safetensors", "lora").fingerprint == found.fingerprint, "one key for both"
    with Studio.open(tmp_path / "third", shared_cache="") as studio, pytest.raises(ProblemError):
        studio.models.find("loras/ink.safetensors", "lora")
