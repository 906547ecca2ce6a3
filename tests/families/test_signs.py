"""Whole models in one file and relatives that cannot be run are told for what they are, family by family."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from node_bench import BenchContext, codes
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.families import load_families
from safelight.families._modular.family import ModularFamily
from safelight.models import ModelStore
from safelight.sdk import ProblemError
from safelight_nodes import models

FAMILIES = {name: family for name, family in load_families().items() if isinstance(family, ModularFamily)}
FILES = [(name, names) for name, family in FAMILIES.items() if family.signs.get for names in family.signs.names]
RELATIVES = [(name, made) for name, family in FAMILIES.items() for made in family.others]


@pytest.fixture
def ctx(tmp_path: Path) -> BenchContext:
    (tmp_path / "models").mkdir()
    environ = {"SAFELIGHT_DEVICE": "cpu", "HF_HUB_CACHE": str(tmp_path / "hub")}
    return BenchContext(
        ModelStore(tmp_path, fingerprint=Fingerprints(None).digest, environment=Environment.read(environ))
    )


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize(("name", "names"), FILES)
def test_one_file_of_a_family_of_folders(
    name: str, names: tuple[str, ...], prefix: str, ctx: BenchContext, tmp_path: Path
) -> None:
    save_file({prefix + key: torch.zeros(4, 4) for key in names}, tmp_path / "models" / "whole.safetensors")
    with pytest.raises(ProblemError) as caught:
        models.load(model="whole.safetensors", ctx=ctx)
    assert codes(caught) == [("unsupported_family", "model")]
    problem = caught.value.problems[0]
    assert f"is a {FAMILIES[name].title} model in one file" in problem.message
    assert FAMILIES[name].signs.get in problem.hint


@pytest.mark.parametrize(("name", "made"), RELATIVES)
def test_a_relative(name: str, made: str, ctx: BenchContext, tmp_path: Path) -> None:
    folder = tmp_path / "models" / "relative"
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": made}))
    with pytest.raises(ProblemError) as caught:
        models.load(model="relative", ctx=ctx)
    assert codes(caught) == [("unsupported_family", "model")]
    assert FAMILIES[name].others[made] in caught.value.problems[0].message
