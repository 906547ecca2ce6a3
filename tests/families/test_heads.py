"""Attention heads that the positions of a family do not fill are told at the door, before anything is loaded."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from families import written
from models.test_families import Folder, header
from node_bench import BenchContext, codes
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families import load_families
from safelight.families._modular.detect import odd_heads
from safelight.families._modular.family import ModularFamily
from safelight.models import ModelStore
from safelight.sdk import ProblemError
from safelight_nodes import models

FAMILIES = {name: family for name, family in load_families().items() if isinstance(family, ModularFamily)}
FOLDERS: dict[str, dict[str, Any]] = {
    "flux": {"attention_head_dim": 16, "axes_dims_rope": [16, 56, 56]},
    "flux2": {"attention_head_dim": 128, "axes_dims_rope": [32, 32, 32]},
    "flux3": {"attention_head_dim": 128, "axes_dims_rope": [64, 64, 64, 64]},
    "krea2": {"attention_head_dim": 64, "axes_dims_rope": [32, 48, 48]},
    "qwen_image": {"attention_head_dim": 16, "axes_dims_rope": [5, 5, 6]},
    "qwen_image_21": {"attention_head_dim": 128, "axes_dims_rope": "many"},
    "ernie_image": {"hidden_size": 3072, "num_attention_heads": 48, "rope_axes_dim": [32, 48, 48]},
    "hunyuan_video_15": {"attention_head_dim": 128, "rope_axes_dim": [16, 56]},
    "z_image": {"dim": 3840, "n_heads": 60, "axes_dims": [32, 48, 48]},
}


def defaults(family: ModularFamily) -> dict[str, Any]:
    import diffusers

    made: Any = getattr(diffusers, family.transformer)
    return {name: one.default for name, one in inspect.signature(made.__init__).parameters.items()}


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_published_sizes_fit(name: str) -> None:
    assert odd_heads(defaults(FAMILIES[name])) == ""


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder(name: str) -> None:
    family = FAMILIES[name]
    config = {"_class_name": family.transformer, "in_channels": family.channels, **FOLDERS[name]}
    with pytest.raises(ProblemError, match="attention heads have") as caught:
        family.component(Folder({}, top=config))
    (problem,) = caught.value.problems
    assert problem.code == "unsupported_family" and "config.json" in problem.hint
    rotary = {key for key in defaults(family) if "axes" in key and "lens" not in key}
    assert rotary <= set(config), "each family whose configuration names axes is here"


def test_every_family_with_axes_has_a_row() -> None:
    with_axes = {name for name, family in FAMILIES.items() if any("axes" in key for key in defaults(family))}
    assert with_axes == set(FOLDERS)


@pytest.mark.parametrize("name", ["flux", "z_image"])
def test_a_single_file(name: str, tmp_path: Path) -> None:
    """Of heads of 16 channels, as a miniature has them: its shapes do not tell how axes share them."""
    importlib.import_module(f"safelight.families.{name}.tiny").write(FAMILIES[name], tmp_path / "folder", 1)
    written.write_whole(FAMILIES[name], tmp_path / "folder", tmp_path / "models" / "whole.safetensors")
    environ = Environment.read({"SAFELIGHT_DEVICE": "cpu", "HF_HUB_CACHE": str(tmp_path / "hub")})
    ctx = BenchContext(ModelStore(tmp_path, fingerprint=Fingerprints(None).digest, environment=environ))
    with pytest.raises(ProblemError, match="16 channels") as caught:
        models.load(model="whole.safetensors", ctx=ctx)
    assert codes(caught) == [("unsupported_family", "model")]
    assert "folder in the layout of diffusers" in caught.value.problems[0].hint


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("wan", {"patch_embedding.weight": (24, 16, 1, 2, 2), "head.modulation": (1, 2, 24)}),
        (
            "sd3",
            {"pos_embed.proj.weight": (32, 16, 2, 2), "transformer_blocks.0.attn.add_k_proj.weight": (32, 32)},
        ),
    ],
)
def test_a_file_narrower_than_one_head(name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    names = next(wanted for wanted in FAMILIES[name].signs.names if set(wanted) & set(shapes))
    with pytest.raises(ProblemError, match="no whole attention head"):
        FAMILIES[name].claims("unet", "it", header({**dict.fromkeys(names, (1,)), **shapes}))
