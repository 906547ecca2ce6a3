"""LoRAs of which no metadata tell the family: by names, widths and numbers of blocks, in every layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from families.flow_kits import ROWS, flow_kit
from families.test_hunyuan_video import write as write_hunyuan
from families.test_language_loras import lora
from families.test_techniques_resume import ENDS
from safelight.families import Header, TensorEntry, load_families
from safelight_nodes import loras

FAMILIES = load_families()
LAYOUTS = {
    "diffusers": ("transformer.{}.lora_A.weight", "transformer.{}.lora_B.weight"),
    "peft": ("base_model.model.{}.lora_A.weight", "base_model.model.{}.lora_B.weight"),
    "bare": ("{}.lora_A.weight", "{}.lora_B.weight"),
    "bare, kohya": ("{}.lora_down.weight", "{}.lora_up.weight"),
    "model": ("diffusion_model.{}.lora_A.weight", "diffusion_model.{}.lora_B.weight"),
    "model, kohya": ("diffusion_model.{}.lora_down.weight", "diffusion_model.{}.lora_up.weight"),
    "flat": ("lora_unet_{flat}.lora_down.weight", "lora_unet_{flat}.lora_up.weight"),
    "flat, transformer": ("lora_transformer_{flat}.lora_down.weight", "lora_transformer_{flat}.lora_up.weight"),
    "lycoris": ("lycoris_{flat}.lora_down.weight", "lycoris_{flat}.lora_up.weight"),
}
"""How the two factors of a layer are called."""
ATTENTION = ("attn.to_q", "attn.to_out.0")
JOINT = (*ATTENTION, "attn.add_k_proj", "attn.to_add_out")


class Row(NamedTuple):
    """Layers of some published model, and the families that it may be of."""

    families: tuple[str, ...]
    width: int
    blocks: int
    layers: tuple[str, ...]
    first: int = 0


PUBLISHED = (
    Row(("sd3",), 1536, 24, JOINT),
    Row(("sd3",), 1536, 13, (*JOINT, "attn2.to_q", "ff.net.0.proj")),
    Row(("sd3",), 2432, 38, JOINT),
    Row(("flux",), 3072, 19, JOINT),
    Row(("flux",), 3072, 19, ("ff.net.0.proj", "norm1.linear")),
    Row(("qwen_image",), 3072, 60, JOINT),
    Row(("qwen_image",), 3072, 40, ATTENTION, 20),
    Row(("qwen_image",), 3072, 4, (*ATTENTION, "img_mlp.net.0.proj")),
    Row(("qwen_image",), 3072, 19, ("img_mod.1", "txt_mlp.net.2")),
    Row(("qwen_image_21",), 4096, 32, ATTENTION),
    Row(("qwen_image_21",), 4096, 4, (*ATTENTION, "img_mlp.gate_up")),
    Row(("hunyuan_video_15",), 2048, 54, JOINT),
    Row(("krea2",), 6144, 28, ATTENTION),
    Row(("krea2",), 6144, 4, (*ATTENTION, "ff.gate")),
    Row(("flux2",), 4096, 8, (*JOINT, "ff_context.linear_in")),
    Row(("anima",), 1024, 28, ("attn2.to_k",)),
    Row(("anima",), 2048, 28, ("attn1.to_q", "norm1.linear_1")),
    Row(("ltx2",), 4096, 48, ("attn1.to_q", "audio_attn1.to_q")),
    # All that there is in these is alike.
    Row(("anima", "ltx"), 2048, 28, ("attn1.to_q",)),
    Row(("ltx", "ltx2"), 4096, 48, ("attn1.to_q", "attn2.to_k")),
    Row(("flux", "qwen_image"), 3072, 12, JOINT),
    Row(("flux", "flux2", "qwen_image"), 3072, 5, JOINT),
    Row(("flux2", "qwen_image_21"), 4096, 8, ATTENTION),
    Row((), 32, 2, JOINT),
)


def header(layers: dict[str, int], layout: str) -> Header:
    """Of a LoRA of rank 4 for layers that take so many channels in."""
    down = LAYOUTS[layout][0]
    names = {down.format(name, flat=name.replace(".", "_")): (4, width) for name, width in layers.items()}
    return Header({name: TensorEntry("F16", shape, (0, 0)) for name, shape in names.items()}, {}, 8)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{'+'.join(row.families) or 'none'}-{row.blocks}")
def test_published_widths_tell(row: Row, layout: str) -> None:
    blocks = range(row.first, row.first + row.blocks)
    layers = {f"transformer_blocks.{number}.{layer}": row.width for number in blocks for layer in row.layers}
    found = FAMILIES.of_file("lora", "it", header(layers, layout))
    assert tuple(sorted(family.id for family in found)) == row.families


def test_other_changes_tell_by_the_same() -> None:
    """Those of LyCORIS, whose factors multiply to the channels; one that tells no channels is of no family."""
    start = "lycoris_transformer_blocks_59_attn_to_q."
    for shapes, families in (
        ({"lokr_w1": (16, 16), "lokr_w2_a": (192, 4), "lokr_w2_b": (4, 192)}, ["qwen_image"]),
        ({"hada_w1_a": (3072, 4), "hada_w1_b": (4, 3072)}, ["qwen_image"]),
        ({"oft_blocks": (4, 8, 8)}, []),
    ):
        tensors = {start + name: TensorEntry("F16", shape, (0, 0)) for name, shape in shapes.items()}
        found = FAMILIES.of_file("lora", "it", Header(tensors, {}, 8))
        assert [family.id for family in found] == families


MINIATURES = sorted(name for name, family in FAMILIES.items() if hasattr(family, "signs"))


@pytest.fixture(scope="module", params=MINIATURES)
def miniature(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, int]]:
    """A family, and the layers of its transformer with the channels that they take in."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    if name == "hunyuan_video_15":
        write_hunyuan(FAMILIES[name], folder, 1)  # pyright: ignore[reportArgumentType]
    else:
        FAMILIES[name].tiny(folder)
    layers: dict[str, int] = {}
    with safe_open(folder / "transformer" / "diffusion_pytorch_model.safetensors", "pt") as file:
        for key in file.keys():  # noqa: SIM118  no dictionary: it has only keys()
            shape = file.get_slice(key).get_shape()
            if key.endswith(".weight") and len(shape) == 2:
                layers[key.removesuffix(".weight")] = shape[1]
    return name, layers


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_miniature_is_never_told_as_another_family(miniature: tuple[str, dict[str, int]], layout: str) -> None:
    """Its widths tell nothing: it is of its own family by its names, of several, or of none."""
    name, layers = miniature
    attention = {layer: width for layer, width in layers.items() if "attn" in layer or "attention" in layer}
    for given in (layers, attention):
        found = [family.id for family in FAMILIES.of_file("lora", "it", header(given, layout))]
        assert len(found) != 1 or found == [name]


KITS = {row.family: name for name, row in reversed(ROWS.items())}


@pytest.mark.parametrize("name", sorted(set(KITS) & set(ENDS)))
def test_in_every_layout_it_is_laid_beside_the_model_it_fits(name: str, tmp_path: Path) -> None:
    kit = flow_kit(KITS[name], tmp_path)
    state = lora(kit, ENDS[name][:1])
    made: list[Any] = []
    for number, (down, up) in enumerate(LAYOUTS.values()):
        named = {}
        for key, tensor in state.items():
            layer = key.removeprefix("transformer.").removesuffix(".lora_A.weight").removesuffix(".lora_B.weight")
            called = down if ".lora_A." in key else up
            named[called.format(layer, flat=layer.replace(".", "_"))] = tensor
        file = kit.root / "models" / f"{number}.safetensors"
        save_file(named, file)
        assert kit.store.describe(file.name).family in ("", name)
        patched = loras.apply_lora_to_model(kit.loaded().model, lora=file.name, weight=0.8, ctx=kit.ctx)
        made.append(kit.sampled(model=patched, steps=2).samples)
    assert not torch.equal(made[0], kit.sampled(steps=2).samples)
    assert all(torch.equal(one, made[0]) for one in made)
