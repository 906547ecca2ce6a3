"""Whole models in one file give the same components as their folders.

The configurations of the releases are replaced by those of the tiny models; the way through names is the real one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_models
from models.original_layout import unet_name, write_original
from models.recipes import module, ref
from safelight.families import Families, Header, TensorEntry, load_families
from safelight.families._clip import towers
from safelight.families._unet.family import UNetFamily
from safelight.families._unet.loading import UNKNOWN, prediction
from safelight.families._unet.shapes import unet_config
from safelight.families._unet.tiny import unet_config as tiny_unet_config
from safelight.models import ModelStore
from safelight.sdk import ProblemError


def tiny(folder: Path, part: str) -> dict[str, Any]:
    config = json.loads((folder / part / "config.json").read_text())
    return {key: value for key, value in config.items() if not key.startswith("_") and key != "architectures"}


@pytest.fixture(params=["sd1", "sdxl"])
def both(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_store: Callable[..., ModelStore]) -> Any:
    """A store with a model as a folder and as a file, and the model's family."""
    from transformers import CLIPTokenizer

    family: str = request.param
    folder = (tiny_models.tiny_sdxl if family == "sdxl" else tiny_models.tiny_sd1)(tmp_path / "models" / "folder")
    write_original(folder, tmp_path / "models" / "one.safetensors", family, layers=1)
    full = load_families()[family]
    assert isinstance(full, UNetFamily)
    small = replace(
        full,
        unet=tiny(folder, "unet"),
        vae_config={**full.vae_config, **tiny(folder, "vae")},
        towers=tuple(replace(tower, config=tiny(folder, tower.part)) for tower in full.towers),
    )
    # Its header has shapes that no release has.
    monkeypatch.setattr("safelight.families._unet.detect._is_checkpoint", lambda *_: True)
    # Its vocabulary is as small as it is.
    monkeypatch.setattr(
        "safelight.families._clip.towers.clip_tokenizer",
        lambda pad: CLIPTokenizer.from_pretrained(folder / "tokenizer", pad_token=pad, model_max_length=77),
    )
    # A VAE may be of any of several families.
    others = {name: lambda name=name: replace(small, id=name) for name in ("sd1", "sdxl")}
    return make_store(tmp_path, families=Families({family: lambda: small} | others)), family


def test_each_component_is_that_of_the_folder(both: Any) -> None:
    store, family = both
    assert store.describe("one.safetensors").kind == "pipeline"
    for kind in ("Denoiser", "VAE", "TextEncoder"):
        with store.lease(ref(store, kind, "folder")) as wanted, store.lease(ref(store, kind, "one.safetensors")) as got:
            pairs = list(zip(got.component.modules.values(), wanted.component.modules.values(), strict=True))
            if kind == "TextEncoder":
                assert len(pairs) == (2 if family == "sdxl" else 1)
                for one, other in zip(got.component.tokenizers, wanted.component.tokenizers, strict=True):
                    texts = ("a red apple", "")
                    assert one(texts, padding="max_length") == other(texts, padding="max_length")
            for component, model in pairs:
                given, expected = component.state_dict(), model.state_dict()
                assert given.keys() == expected.keys()
                assert all(torch.equal(given[name], tensor) for name, tensor in expected.items())
            if kind == "Denoiser":
                scheduler = got.settings["scheduler"]
                assert scheduler["prediction_type"] == "epsilon"
                for key in ("beta_start", "beta_end", "beta_schedule", "steps_offset"):
                    assert scheduler[key] == wanted.settings["scheduler"][key]


def test_a_file_without_a_part_says_so(both: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    store, _ = both
    weights = load_file(tmp_path / "models" / "one.safetensors")
    save_file({name: t for name, t in weights.items() if "model.diff" in name}, tmp_path / "models" / "u.safetensors")
    for kind, said in (("VAE", "no VAE"), ("TextEncoder", "no text encoder")):
        with pytest.raises(ProblemError) as caught, store.lease(ref(store, kind, "u.safetensors")):
            pass
        assert said in caught.value.problems[0].message
    with store.lease(ref(store, "Denoiser", "u.safetensors")):
        pass


def test_a_vae_in_one_file(both: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    store, family = both
    weights = load_file(tmp_path / "models" / "one.safetensors")
    name = "sdxl_vae.safetensors" if family == "sdxl" else "vae.safetensors"
    start = "first_stage_model."
    save_file(
        {key.removeprefix(start): tensor for key, tensor in weights.items() if key.startswith(start)},
        tmp_path / "models" / name,
    )
    assert (store.describe(name).kind, store.describe(name).family) == ("vae", "")
    with store.lease(ref(store, "VAE", "folder")) as wanted, store.lease(ref(store, "VAE", name)) as got:
        expected = module(wanted).state_dict()
        assert all(torch.equal(tensor, expected[key]) for key, tensor in module(got).state_dict().items())
        # Its name tells no scale; what it is used with does.
        assert module(got).config.scaling_factor is None


def test_velocity_is_told_by_the_file(both: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    store, _ = both
    weights = load_file(tmp_path / "models" / "one.safetensors")
    save_file({**weights, "v_pred": torch.tensor([])}, tmp_path / "models" / "v.safetensors")
    with store.lease(ref(store, "Denoiser", "v.safetensors")) as lease:
        assert lease.settings["scheduler"]["prediction_type"] == "v_prediction"


def test_zero_terminal_snr_is_told_by_the_file(both: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    store, _ = both
    weights = load_file(tmp_path / "models" / "one.safetensors")
    marks = {"v_pred": torch.tensor([]), "ztsnr": torch.tensor([])}
    save_file({**weights, **marks}, tmp_path / "models" / "z.safetensors")
    with store.lease(ref(store, "Denoiser", "z.safetensors")) as lease:
        told = lease.settings["scheduler"]
    assert (told["rescale_betas_zero_snr"], told["timestep_spacing"]) == (True, "trailing")
    with store.lease(ref(store, "Denoiser", "one.safetensors")) as lease:
        assert "rescale_betas_zero_snr" not in lease.settings["scheduler"]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("archive", [False, True])
def test_a_pickle_is_read_where_it_is_allowed(
    both: Any, tmp_path: Path, make_store: Callable[..., ModelStore], wrapped: bool, archive: bool
) -> None:
    from safetensors.torch import load_file

    store, _ = both
    weights = load_file(tmp_path / "models" / "one.safetensors")
    kept = {"state_dict": weights, "epoch": 3, "optimizer": {"lr": 0.1}} if wrapped else weights
    torch.save(kept, tmp_path / "models" / "kept.ckpt", _use_new_zipfile_serialization=archive)
    with pytest.raises(ProblemError) as caught:
        store.find("kept.ckpt")
    (problem,) = caught.value.problems
    assert problem.code == "unsafe_weights" and "safelight models convert" in problem.hint
    allowed = make_store(tmp_path, environ={"SAFELIGHT_ALLOW_PICKLE": "1"}, families=store.families)
    for kind in ("Denoiser", "VAE"):
        with (
            allowed.lease(ref(allowed, kind, "one.safetensors")) as wanted,
            allowed.lease(ref(allowed, kind, "kept.ckpt")) as got,
        ):
            expected = module(wanted).state_dict()
            assert all(torch.equal(tensor, expected[key]) for key, tensor in module(got).state_dict().items())


def test_a_pickle_that_would_run_code_is_not_run(tmp_path: Path, make_store: Callable[..., ModelStore]) -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "models").mkdir()
    torch.save({"state_dict": {"emb_params": torch.ones(1, 768)}, "x": Bad()}, tmp_path / "models" / "bad.pt")
    store = make_store(tmp_path, environ={"SAFELIGHT_ALLOW_PICKLE": "1"})
    with pytest.raises(ProblemError) as caught, store.lease(ref(store, "Embedding", "bad.pt")):
        pass
    assert caught.value.problems[0].code == "unsafe_weights" and not (tmp_path / "ran").exists()


def test_version_2_has_to_say_what_it_predicts() -> None:
    family = load_families()["sd2"]
    assert isinstance(family, UNetFamily)
    entry = "model.diffusion_model.input_blocks.0.0.weight"

    def told(channels: int, **metadata: str) -> str:
        names = {key.replace("__", "."): value for key, value in metadata.items()}
        return prediction(family, Header({entry: TensorEntry("F16", (320, channels, 3, 3), (0, 0))}, names, 8))

    assert told(4) == UNKNOWN
    assert told(4, modelspec__prediction_type="v") == "v_prediction"
    assert told(4, modelspec__prediction_type="epsilon") == "epsilon"
    assert told(9) == told(5) == "epsilon", "inpainting and depth were released so alone"


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_the_configurations_are_those_of_the_releases(family: str) -> None:
    """Numbers of parameters as published, in millions: the UNet's, the text encoders', the VAE's."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from safelight.models.files import empty

    def millions(make: Callable[[], Any]) -> float:
        return round(sum(parameter.numel() for parameter in empty(make).parameters()) / 1e6, 2)

    found = load_families()[family]
    assert isinstance(found, UNetFamily)
    unet = millions(lambda: UNet2DConditionModel(**found.unet))
    assert unet == {"sd1": 859.52, "sd2": 865.91, "sdxl": 2567.46}[family]
    assert millions(lambda: AutoencoderKL(**found.vae_config)) == 83.65
    assert millions(lambda: CLIPTextModel(CLIPTextConfig(**towers.CLIP_L))) == 123.06
    assert millions(lambda: CLIPTextModel(CLIPTextConfig(**towers.CLIP_H))) == 340.39
    assert millions(lambda: CLIPTextModelWithProjection(CLIPTextConfig(**towers.CLIP_BIG_G))) == 694.66


LAYOUTS: dict[str, dict[str, Any]] = {
    # As SSD-1B, as Segmind Vega, as KOALA, with three levels each.
    "uneven": {
        "layers_per_block": 2,
        "transformer_layers_per_block": [1, [2, 2], [3, 3]],
        "reverse_transformer_layers_per_block": [[3, 3, 4], [2, 1, 1], 1],
        "mid_block_type": "UNetMidBlock2D",
    },
    "shallow": {
        "layers_per_block": 2,
        "transformer_layers_per_block": [1, 1, [2, 2]],
        "reverse_transformer_layers_per_block": [[2, 2, 2], 1, 1],
        "mid_block_type": "UNetMidBlock2D",
    },
    "one layer": {"layers_per_block": 1, "transformer_layers_per_block": [1, 2, 3], "mid_block_type": None},
    "refined": {"layers_per_block": 1, "transformer_layers_per_block": [1, 2, 3]},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layers_that_were_cut_out_are_seen_in_the_names(layout: str) -> None:
    """Every tensor of the smaller denoiser finds its place, and none is left over."""
    from diffusers import UNet2DConditionModel
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    levels = {
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "block_out_channels": (8, 16, 16),
        "norm_num_groups": 4,
        "attention_head_dim": (2, 4, 4),
    }
    sdxl = load_families()["sdxl"]
    assert isinstance(sdxl, UNetFamily)
    small = {**tiny_unet_config(sdxl), **levels, "layers_per_block": 2, "transformer_layers_per_block": (1, 2, 10)}
    with torch.device("meta"):
        unet = UNet2DConditionModel(**{**small, **LAYOUTS[layout]})
    attentive = {0, 1}
    state = {
        f"model.diffusion_model.{unet_name(name, LAYOUTS[layout]['layers_per_block'], attentive)}": tensor
        for name, tensor in unet.state_dict().items()
    }
    header = Header({name: TensorEntry("F32", tuple(t.shape), (0, 0)) for name, t in state.items()}, {}, 8)
    config = unet_config(replace(sdxl, unet=small), "m", header, "model.diffusion_model.")
    given = convert_ldm_unet_checkpoint(state, config)
    with torch.device("meta"):
        made = UNet2DConditionModel(**config).state_dict()
    wanted = unet.state_dict()
    assert {name: tensor.shape for name, tensor in made.items()} == {name: t.shape for name, t in wanted.items()}
    assert given.keys() == wanted.keys()


def test_layers_in_an_order_of_no_model_are_refused() -> None:
    sdxl = load_families()["sdxl"]
    assert isinstance(sdxl, UNetFamily)
    odd = {"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)}
    odd |= {f"model.diffusion_model.input_blocks.{place}.0.x": (1,) for place in range(1, 9)}
    odd["model.diffusion_model.input_blocks.4.1.transformer_blocks.0.x"] = (1,)
    header = Header({name: TensorEntry("F32", shape, (0, 0)) for name, shape in odd.items()}, {}, 8)
    with pytest.raises(ProblemError) as caught:
        unet_config(sdxl, "m", header, "model.diffusion_model.")
    assert caught.value.problems[0].code == "unsupported_family"


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pickle_is_converted(tmp_path: Path, wrapped: bool) -> None:
    from safetensors.torch import load_file

    from safelight.models.converting import converted

    weights = {"a.weight": torch.rand(3, 2), "b.bias": torch.rand(4).half()}
    torch.save({"state_dict": weights, "epoch": 3} if wrapped else weights, tmp_path / "kept.ckpt")
    made = load_file(converted(tmp_path / "kept.ckpt"))
    assert made.keys() == weights.keys() and all(torch.equal(made[name], one) for name, one in weights.items())
    with pytest.raises(ProblemError) as caught:
        converted(tmp_path / "kept.ckpt")
    assert caught.value.problems[0].code == "name_taken"


def test_what_cannot_be_converted_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    from safelight.models.converting import converted

    class Bad:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"a": torch.ones(1), "x": Bad()}, tmp_path / "bad.pt")
    torch.save({"a": torch.ones(99)}, tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:300])
    (tmp_path / "junk.pt").write_bytes(b"abc")
    (tmp_path / "some.txt").write_bytes(b"abc")
    torch.save({"n": 3}, tmp_path / "none.pt")
    there = sorted(path.name for path in tmp_path.iterdir())
    for name, code in (
        ("bad.pt", "unsafe_weights"),
        ("cut.pt", "weights_damaged"),
        ("junk.pt", ""),
        ("none.pt", "not_a_model"),
        ("some.txt", "wrong_model"),
        ("no.pt", "file_missing"),
    ):
        with pytest.raises(ProblemError) as caught:
            converted(tmp_path / name)
        assert code in ("", caught.value.problems[0].code)
    assert sorted(path.name for path in tmp_path.iterdir()) == there


@pytest.mark.parametrize("layout", ["bare", "diffusion_model.", "diffusers", "gguf"])
def test_a_denoiser_alone(both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    from safetensors.torch import load_file, save_file

    store, _ = both
    monkeypatch.setattr("safelight.families._unet.detect._is_unet", lambda *_: True)
    monkeypatch.setattr("safelight.families._unet.detect._is_checkpoint", lambda *_: False)
    models, start = tmp_path / "models", "model.diffusion_model."
    whole = load_file(models / "one.safetensors")
    bare = {name.removeprefix(start): tensor for name, tensor in whole.items() if name.startswith(start)}
    name = "alone.gguf" if layout == "gguf" else "alone.safetensors"
    if layout == "diffusers":
        (models / name).write_bytes((models / "folder/unet/diffusion_pytorch_model.safetensors").read_bytes())
    elif layout == "gguf":
        _write_gguf(models / name, bare)
    else:
        save_file({layout.replace("bare", "") + key: tensor for key, tensor in bare.items()}, models / name)
    assert store.describe(name).kind == "unet"
    with store.lease(ref(store, "Denoiser", "folder")) as wanted, store.lease(ref(store, "Denoiser", name)) as got:
        given, expected = module(got).state_dict(), module(wanted).state_dict()
        assert given.keys() == expected.keys()
        assert all(torch.equal(given[key], tensor) for key, tensor in expected.items())


def _write_gguf(file: Path, tensors: dict[str, torch.Tensor]) -> None:
    """In float32, with kernels flattened, as quantisers do whose blocks do not fit into them."""
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(file, "sd1")
    for name, tensor in tensors.items():
        if tensor.dim() == 4:
            writer.add_array(f"comfy.gguf.orig_shape.{name}", list(tensor.shape))
        writer.add_tensor(name, (tensor.flatten(1) if tensor.dim() == 4 else tensor).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
