"""ControlNets in one file, in both layouts, give the very module of their folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_models
from models.original_layout import write_original_controlnet
from models.recipes import module, ref
from safelight.families import Families, load_families
from safelight.families._unet.family import UNetFamily
from safelight.families._unet.tiny import unet_config
from safelight.models import ModelStore
from safelight.sdk import ProblemError

LAYOUTS = ("original", "bare", "diffusers", "half")


@pytest.fixture(params=["sd1", "sd2", "sdxl"])
def both(request: Any, tmp_path: Path, make_store: Callable[..., ModelStore]) -> Any:
    """A store with a ControlNet as a folder, and that folder. Only what shapes do not tell is that of the tiny one."""
    family: Any = request.param
    folder = tiny_models.tiny_controlnet(tmp_path / "models" / "folder", family)
    there = load_families()
    small = {}
    for name in ("sd1", "sd2", "sdxl", "sdxl_refiner"):
        full = there[name]
        assert isinstance(full, UNetFamily)
        small[name] = replace(full, unet={**full.unet, **unet_config(full)})
    return make_store(tmp_path, families=Families({name: lambda name=name: small[name] for name in small})), folder


def written(folder: Path, layout: str) -> Path:
    file = folder.parent / f"{layout}.safetensors"
    if layout in ("original", "bare"):
        return write_original_controlnet(folder, file, 1, "control_model." if layout == "original" else "")
    weights = load_file(folder / "diffusion_pytorch_model.safetensors")
    save_file({name: tensor.half() if layout == "half" else tensor for name, tensor in weights.items()}, file)
    return file


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_is_the_folder(both: Any, layout: str) -> None:
    store, folder = both
    name = written(folder, layout).name
    found, wanted = store.describe(name), store.describe("folder")
    assert (found.kind, found.family) == ("controlnet", wanted.family)
    with store.lease(ref(store, "ControlNet", "folder")) as whole, store.lease(ref(store, "ControlNet", name)) as got:
        expected, given = module(whole), module(got)
        told = ("sample_size", "_class_name", "_diffusers_version", "_name_or_path", "_use_default_values")
        for key, value in expected.config.items():
            if key not in told and value is not None:
                same = given.config[key]
                plain = [list(one) if isinstance(one, tuple) else one for one in (value, same)]
                assert plain[0] == plain[1] or _spread(*plain), (key, value, same)
        for key, tensor in expected.state_dict().items():
            assert torch.allclose(given.state_dict()[key], tensor, atol=2e-3 if layout == "half" else 0), key


def _spread(one: Any, other: Any) -> bool:
    """Whether a number for all blocks was told for each."""
    return isinstance(other, list) and set(other) == {one}


def test_a_file_that_lacks_weights_says_so(both: Any) -> None:
    store, folder = both
    for layout, lost in (("original", "zero_convs.0.0.weight"), ("diffusers", "controlnet_mid_block.weight")):
        file = written(folder, layout)
        weights = load_file(file)
        file.unlink()
        save_file({name: tensor for name, tensor in weights.items() if not name.endswith(lost)}, file)
        with pytest.raises(ProblemError) as caught, store.lease(ref(store, "ControlNet", file.name)):
            pass
        assert caught.value.problems[0].code in ("model_incomplete", "weights_mismatch")
