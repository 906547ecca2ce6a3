"""A table of adapters' files: kind, layout, names, family; right ones do what their formula says, wrong and damaged
ones have a Problem of their own."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_models
from models.recipes import ref
from safelight.families._unet.original import original_names
from safelight.models import ModelStore
from safelight.models.changes import layers
from safelight.sdk import Patch, ProblemError

STRENGTH = 0.7
Made = tuple[dict[str, torch.Tensor], Callable[[torch.Tensor], torch.Tensor], torch.Tensor | None]
"""What a file has for a layer, the changed weight as a formula of its own, and the difference of the bias."""


def low(shape: torch.Size, rank: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Factors of a difference, and the difference."""
    up, down = torch.randn(shape[0], rank) * 0.3, torch.randn(rank, *shape[1:]) * 0.3
    return up, down, torch.einsum("or,r...->o...", up, down)


def pair(shape: torch.Size) -> Made:
    up, down, made = low(shape)
    tail = [1] * (len(shape) - 2)
    tensors = {"lora_up.weight": up.reshape(*up.shape, *tail), "lora_down.weight": down, "alpha": torch.tensor(1.0)}
    return tensors, lambda weight: weight + STRENGTH * made / 2, None


def core(shape: torch.Size) -> Made:
    out, inner, high, wide = shape
    up, middle, down = torch.randn(out, 2, 1, 1), torch.randn(2, 3, high, wide), torch.randn(3, inner, 1, 1)
    made = torch.einsum("op,pqhw,qi->oihw", up[..., 0, 0], middle, down[..., 0, 0])
    return (
        {"lora_up.weight": up, "lora_mid.weight": middle, "lora_down.weight": down, "alpha": torch.tensor(3.0)},
        lambda weight: weight + STRENGTH * made,
        None,
    )


def loha(shape: torch.Size) -> Made:
    (a, b, one), (c, d, two) = low(shape), low(shape)
    tensors = {"hada_w1_a": a, "hada_w1_b": b.flatten(1), "hada_w2_a": c, "hada_w2_b": d.flatten(1)}
    return {**tensors, "alpha": torch.tensor(1.0)}, lambda weight: weight + STRENGTH * one * two / 2, None


def loha_core(shape: torch.Size) -> Made:
    out, inner, high, wide = shape
    tensors: dict[str, torch.Tensor] = {}
    made = torch.ones(shape)
    for number in (1, 2):
        middle, a, b = torch.randn(2, 2, high, wide), torch.randn(2, out), torch.randn(2, inner)
        tensors |= {f"hada_t{number}": middle, f"hada_w{number}_a": a, f"hada_w{number}_b": b}
        made = made * torch.einsum("ro,rshw,si->oihw", a, middle, b)
    return {**tensors, "alpha": torch.tensor(2.0)}, lambda weight: weight + STRENGTH * made, None


def kron(one: torch.Tensor, two: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    blocks = [torch.cat([entry * two for entry in row], dim=1) for row in one]
    return torch.cat(blocks).reshape(shape)


def lokr(shape: torch.Size) -> Made:
    one, two = torch.randn(2, 4) * 0.3, torch.randn(shape[0] // 2, shape[1] // 4, *shape[2:]) * 0.3
    made = kron(one, two, shape)
    # alpha means nothing where nothing has a rank
    return (
        {"lokr_w1": one, "lokr_w2": two, "alpha": torch.tensor(8.0)},
        lambda weight: weight + STRENGTH * made,
        None,
    )


def lokr_factors(shape: torch.Size) -> Made:
    one = torch.randn(4, 2)
    a, b, two = low(torch.Size((shape[0] // 4, shape[1] // 2, *shape[2:])), 3)
    made = kron(one, two, shape) * 1.5 / 3
    tensors = {"lokr_w1": one, "lokr_w2_a": a, "lokr_w2_b": b.flatten(1), "alpha": torch.tensor(1.5)}
    return tensors, lambda weight: weight + STRENGTH * made, None


def turned(shape: torch.Size) -> Made:
    size = shape[0] // 4
    blocks = torch.randn(4, size, size) * 0.1

    def changed(weight: torch.Tensor) -> torch.Tensor:
        parts = []
        for block, rows in zip(blocks, weight.flatten(1).chunk(4), strict=True):
            skew = block - block.T
            turn = torch.linalg.solve(torch.eye(size) - skew, torch.eye(size) + skew)
            # (I + Q) and the inverse of (I - Q) commute; files turn by the transpose
            parts.append(rows + STRENGTH * (turn.T @ rows - rows))
        return torch.cat(parts).reshape(shape)

    return {"oft_blocks": blocks, "alpha": torch.tensor(0.0)}, changed, None


def dora(shape: torch.Size, along: int = 0) -> Made:
    tensors, plain, _ = pair(shape)
    wanted = [1] * len(shape)
    wanted[along] = shape[along]
    magnitude = torch.rand(wanted) + 0.5
    axes = [axis for axis in range(len(shape)) if axis != along]

    def changed(weight: torch.Tensor) -> torch.Tensor:
        moved = plain(weight)
        return magnitude * moved / moved.pow(2).sum(axes, keepdim=True).sqrt()

    return {**tensors, "dora_scale": magnitude}, changed, None


def dora_inputs(shape: torch.Size) -> Made:
    return dora(shape, along=1)


def whole(shape: torch.Size) -> Made:
    made, bias = torch.randn(shape) * 0.2, torch.randn(shape[0])
    return {"diff": made, "diff_b": bias}, lambda weight: weight + STRENGTH * made, STRENGTH * bias


def bias_only(shape: torch.Size) -> Made:
    bias = torch.randn(shape[0])
    return {"diff_b": bias}, lambda weight: weight, STRENGTH * bias


def norm(shape: torch.Size) -> Made:
    made, bias = torch.randn(shape), torch.randn(shape)
    return {"w_norm": made, "b_norm": bias}, lambda weight: weight + STRENGTH * made, STRENGTH * bias


LINEAR, CONV, NORM = torch.nn.Linear, torch.nn.Conv2d, (torch.nn.LayerNorm, torch.nn.GroupNorm)
RIGHT: list[tuple[Callable[[torch.Size], Made], Any, str, str]] = [
    *((layout, LINEAR, "kohya", "sd1") for layout in
      (pair, loha, lokr, lokr_factors, turned, dora, dora_inputs, whole, bias_only)),
    *((layout, CONV, "kohya", "sd1") for layout in
      (pair, core, loha, loha_core, lokr, lokr_factors, turned, dora, whole, bias_only)),
    (norm, NORM, "kohya", "sd1"),
    (norm, NORM, "original", "sdxl"),
    (loha, LINEAR, "original", "sdxl"),
    (loha, CONV, "original", "sdxl"),
    (whole, CONV, "dotted original", "sd2"),
    (lokr, LINEAR, "dotted", "sdxl"),
    (lokr, LINEAR, "lycoris", "sd2"),
    (dora, LINEAR, "dotted", "sd2"),
    (lokr, LINEAR, "lycoris", "flux"),
    (dora, LINEAR, "dotted", "flux"),
    (loha, LINEAR, "kohya", "sd3"),
    (dora, LINEAR, "dotted", "sd3"),
]  # fmt: skip
NAMES: dict[str, Callable[[str], str]] = {
    "kohya": lambda name: "lora_unet_" + name.replace(".", "_"),
    "original": lambda name: "lora_unet_" + name.replace(".", "_"),
    "lycoris": lambda name: "lycoris_" + name.replace(".", "_"),
    "dotted": lambda name: "diffusion_model." + name,
    "dotted original": lambda name: "diffusion_model." + name,
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("adapters")
    for family in ("sd1", "sd2", "sdxl", "sd3", "flux"):
        tiny_models.FAMILIES[family].tiny(home / "models" / family, 3)
    return home


TOLD = {
    "sd1": "stable-diffusion-v1",
    "sd2": "stable-diffusion-v2-768-v",
    "sdxl": "stable-diffusion-xl-v1-base",
    "sd3": "stable-diffusion-3",
    "flux": "flux-1-dev",
}


def write(tensors: dict[str, torch.Tensor], file: Path, family: str) -> None:
    """Shapes as narrow as these tell no family; metadata does, as in most files."""
    save_file(tensors, file, {"modelspec.architecture": f"{TOLD[family]}/lora"})


def change(
    module: Any, layout: Callable[[torch.Size], Made], kind: Any, naming: str, pattern: str = ""
) -> tuple[dict[str, Any], Any]:
    """A file's tensors for three layers of a kind, and what is expected of each by its name."""
    fit = [
        name
        for name, layer in layers(module).items()
        if isinstance(layer, kind) and layer.weight is not None and (layer.bias is not None or pattern)
        and "embed" not in name
        and all(size % 4 == 0 for size in layer.weight.shape[:2]) and name not in ("conv_in", "conv_out")
    ]  # fmt: skip
    called = {name: name for name in fit}
    if "original" in naming:
        made = original_names(layers(module), module.config.layers_per_block)
        called = {name: original for original, name in made if name in called}
    tensors: dict[str, torch.Tensor] = {}
    expected = {}
    for name in [name for name in fit if name in called and re.search(pattern, name)][:3]:
        layer = layers(module)[name]
        parts, weight, bias = layout(layer.weight.shape)
        tensors |= {f"{NAMES[naming](called[name])}.{end}": tensor.contiguous() for end, tensor in parts.items()}
        if layer.bias is not None:
            expected[name] = (weight(layer.weight), layer.bias if bias is None else layer.bias + bias)
    assert tensors
    return tensors, expected


def given_to(layer: Any) -> torch.Tensor:
    if isinstance(layer, torch.nn.Conv2d):
        return torch.randn(2, layer.in_channels, 6, 6)
    if isinstance(layer, torch.nn.GroupNorm):
        return torch.randn(2, layer.num_channels, 6, 6)
    return torch.randn(2, 5, layer.weight.shape[-1])


@pytest.mark.parametrize(
    ("layout", "kind", "naming", "family"),
    RIGHT,
    ids=[f"{row[0].__name__}-{getattr(row[1], '__name__', 'norm')}-{row[2]}-{row[3]}" for row in RIGHT],
)
def test_right_ones_are_their_formula(
    everything: Path, make_store: Callable[..., ModelStore], layout: Any, kind: Any, naming: str, family: str
) -> None:
    store = make_store(everything)
    bare = ref(store, "Denoiser", family)
    torch.manual_seed(7)
    with store.lease(bare) as lease, torch.no_grad():
        (module,) = lease.component.modules.values()
        tensors, expected = change(module, layout, kind, naming)
        file = everything / "models" / f"{layout.__name__}_{naming}_{family}.safetensors"
        write(tensors, file, family)
        given = {name: given_to(layers(module)[name]) for name in expected}
        before = {name: layers(module)[name](given[name]) for name in expected}
        wanted = {
            name: torch.func.functional_call(layers(module)[name], {"weight": weight, "bias": bias}, given[name])
            for name, (weight, bias) in expected.items()
        }
    with store.lease(bare.patched(Patch("lora", store.find(file.name), STRENGTH))) as lease, torch.no_grad():
        (module,) = lease.component.modules.values()
        assert not lease.settings["warnings"]
        for name in expected:
            found = module.get_submodule(name)(given[name])
            assert (found - wanted[name]).abs().max() <= 2e-6 * wanted[name].abs().max(), name
            assert not torch.allclose(found, before[name], atol=1e-3)
    with store.lease(bare) as lease, torch.no_grad():
        (module,) = lease.component.modules.values()
        assert all(torch.equal(module.get_submodule(name)(given[name]), before[name]) for name in expected)


@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3"])
def test_text_encoders_take_them(everything: Path, make_store: Callable[..., ModelStore], family: str) -> None:
    store = make_store(everything)
    bare = ref(store, "TextEncoder", family)
    torch.manual_seed(8)
    tensors: dict[str, torch.Tensor] = {}
    expected: list[tuple[str, str, Any, Any]] = []
    with store.lease(bare) as lease, torch.no_grad():
        for part, module in lease.component.modules.items():
            if part == "text_encoder_3":
                continue
            start = {"text_encoder": "lora_te_" if family == "sd1" else "lora_te1_", "text_encoder_2": "lora_te2_"}
            name = next(name for name in layers(module) if name.endswith("layers.1.mlp.fc1"))
            layer = module.get_submodule(name)
            parts, weight, _ = loha(layer.weight.shape)
            flat = "text_model_" + name.removeprefix("text_model.").replace(".", "_")
            tensors |= {f"{start[part]}{flat}.{end}": tensor for end, tensor in parts.items()}
            given = given_to(layer)
            expected.append((part, name, given, torch.nn.functional.linear(given, weight(layer.weight), layer.bias)))
    file = everything / "models" / f"text_{family}.safetensors"
    write(tensors, file, family)
    with store.lease(bare.patched(Patch("lora", store.find(file.name), STRENGTH))) as lease, torch.no_grad():
        for part, name, given, wanted in expected:
            found = lease.component.modules[part].get_submodule(name)(given)
            assert torch.allclose(found, wanted, atol=1e-5)


def made_for(
    store: ModelStore, family: str, layout: Any = loha, kind: Any = LINEAR, pattern: str = ""
) -> dict[str, torch.Tensor]:
    with store.lease(ref(store, "Denoiser", family)) as lease, torch.no_grad():
        (module,) = lease.component.modules.values()
        return change(module, layout, kind, "kohya", pattern)[0]


def test_mixed_layouts_of_one_file_act_together_and_what_does_not_fit_is_named(
    everything: Path, make_store: Callable[..., ModelStore]
) -> None:
    store = make_store(everything)
    torch.manual_seed(9)
    tensors = {
        **made_for(store, "sd1", pair),
        **made_for(store, "sd1", loha, CONV),
        **made_for(store, "sd1", norm, NORM),
        "lora_unet_down_blocks_9_attentions_0_proj_in.diff_b": torch.ones(4),
    }
    wide = next(name for name in tensors if name.endswith("w_norm"))
    tensors[wide] = torch.ones(3)
    save_file(tensors, everything / "models" / "mixed.safetensors")
    patch = Patch("lora", store.find("mixed.safetensors"))
    with store.lease(ref(store, "Denoiser", "sd1").patched(patch)) as lease:
        (problem,) = lease.settings["warnings"]
    assert problem.level == "warning" and problem.code == "lora_unfit" and "8 of 10 changes" in problem.message
    assert "down_blocks_9" in problem.message and wide.removesuffix(".w_norm") in problem.message


@pytest.mark.parametrize(
    ("layout", "given", "family"),
    [
        (loha, "sdxl", "sd1"),
        (lokr, "sd1", "sdxl"),
        (whole, "sdxl", "sd2"),
        (dora, "flux", "sd3"),
        (pair, "flux", "sd1"),
    ],
)
def test_those_of_another_model_are_refused_and_leave_nothing(
    everything: Path, make_store: Callable[..., ModelStore], layout: Any, given: str, family: str
) -> None:
    store = make_store(everything)
    file = everything / "models" / f"wrong_{layout.__name__}_{given}.safetensors"
    only = r"mid_block.*attn2\.to_k|single_transformer_blocks"
    save_file(made_for(store, given, layout, LINEAR, only), file)
    bare = ref(store, "Denoiser", family)
    with pytest.raises(ProblemError) as caught, store.lease(bare.patched(Patch("lora", store.find(file.name)))):
        pass
    assert caught.value.problems[0].code in ("lora_unfit", "wrong_family")
    with store.lease(bare) as lease:
        (module,) = lease.component.modules.values()
        assert not any(layer._forward_hooks for layer in module.modules())


def test_a_value_that_is_not_finite_is_left_out(everything: Path, make_store: Callable[..., ModelStore]) -> None:
    store = make_store(everything)
    tensors = made_for(store, "sd1", whole)
    name = next(name for name in tensors if name.endswith(".diff"))
    tensors[name] = tensors[name] * float("nan")
    save_file(tensors, everything / "models" / "nan.safetensors")
    patch = Patch("lora", store.find("nan.safetensors"))
    with store.lease(ref(store, "Denoiser", "sd1").patched(patch)) as lease:
        assert "2 of 3" in lease.settings["warnings"][0].message


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def page(file: Path) -> None:
    file.write_bytes(b"<!doctype html><html>login</html>")


def pointer(file: Path) -> None:
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def other(file: Path) -> None:
    file.unlink()
    save_file({"something.weight": torch.ones(2, 2), "else.weight": torch.ones(2)}, file)


def endless(file: Path) -> None:
    file.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")


@pytest.mark.parametrize("kind", ["lora", "controlnet", "ip_adapter", "embedding"])
@pytest.mark.parametrize(
    ("harm", "code"),
    [(cut, "weights_damaged"), (page, "weights_damaged"), (pointer, "weights_damaged"), (other, "not_a_model"),
     (endless, "weights_damaged")],
)  # fmt: skip
def test_damaged_ones_are_told(
    tmp_path: Path, make_store: Callable[..., ModelStore], kind: str, harm: Callable[[Path], None], code: str
) -> None:
    (tmp_path / "models" / "embeddings").mkdir(parents=True)
    file = tmp_path / "models" / "embeddings" / "adapter.safetensors"
    if kind == "lora":
        tiny_models.tiny_lora(file, "sd1")
    elif kind == "embedding":
        save_file({"emb_params": torch.ones(2, 768)}, file)
    else:
        making = tiny_models.tiny_controlnet if kind == "controlnet" else tiny_models.tiny_ip_adapter
        found = making(tmp_path / "made", "sd1")
        save_file(load_file(next(found.glob("*.safetensors"))), file)
    assert make_store(tmp_path).describe(f"embeddings/{file.name}").problem is None
    assert make_store(tmp_path).describe(f"embeddings/{file.name}").kind == kind
    harm(file)
    with pytest.raises(ProblemError) as caught:
        make_store(tmp_path).find("adapter" if kind == "embedding" else f"embeddings/{file.name}", kind)
    assert caught.value.problems[0].code == code


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_another_weight_or_a_controlnet_reads_no_other_weights(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    from safelight.models import weights

    read: list[str] = []
    real = weights._safetensors

    def counted(file: Path, *rest: Any) -> Any:
        read.append("/".join(file.parts[-2:]))
        return real(file, *rest)

    monkeypatch.setattr(weights, "_safetensors", counted)
    bare = ref(store, "Denoiser", family)
    lora = store.find(f"lora/{family}.safetensors")
    with store.lease(bare.patched(Patch("lora", lora, 0.5))):
        pass
    assert read == ["unet/diffusion_pytorch_model.safetensors", f"lora/{family}.safetensors"]
    for recipe in (bare.patched(Patch("lora", lora, 0.9)), bare, bare.patched(Patch("lora", lora, 0.5))):
        with store.lease(recipe):
            pass
    assert len(read) == 2
    with store.lease(bare), store.lease(ref(store, "ControlNet", f"control/{family}")):
        pass
    assert read[2:] == [f"{family}/diffusion_pytorch_model.safetensors"]
