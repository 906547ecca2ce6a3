"""Families, told from configurations and from headers without weights: names and shapes of published files."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.families import Families, Header, TensorEntry, load_families
from safelight.models.adapter_files import adapter_header
from safelight.models.recognise import is_lora
from safelight.sdk import ProblemError

FAMILIES = load_families()


class Folder:
    """A folder in the layout of diffusers, in memory."""

    def __init__(self, index: dict[str, Any], **configs: dict[str, Any]) -> None:
        self.name, self.index, self._configs = "some/model", index, configs

    def config(self, part: str) -> dict[str, Any]:
        return self._configs.get(part or "top", {})


def of(kind: Any, found: Header) -> str:
    """The id of the one family that claims a file; empty when it is none or several."""
    claimed = [family.id for family in FAMILIES.of_file(kind, "m", found)]
    return claimed[0] if len(claimed) == 1 else ""


def header(shapes: dict[str, tuple[int, ...]], **metadata: str) -> Header:
    named = {key.replace("__", "."): value for key, value in metadata.items()}
    return Header({name: TensorEntry("F16", shape, (0, 0)) for name, shape in shapes.items()}, named, 8)


LDM = "model.diffusion_model."
ENTRY = {f"{LDM}input_blocks.0.0.weight": (320, 4, 3, 3)}
ATTENTION = f"{LDM}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
LABELS = {f"{LDM}label_emb.0.0.weight": (1280, 2816)}
KOHYA = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight"
PEFT = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight"


@pytest.mark.parametrize(
    ("config", "family"),
    [
        ({"cross_attention_dim": 768, "attention_head_dim": 8}, "sd1"),
        ({"cross_attention_dim": 768, "in_channels": 9}, "sd1"),
        ({"cross_attention_dim": 1024, "use_linear_projection": True}, "sd2"),
        ({"cross_attention_dim": 2048, "addition_embed_type": "text_time", "use_linear_projection": True}, "sdxl"),
        ({"cross_attention_dim": 256}, "sd1"),
        ({"cross_attention_dim": 256, "use_linear_projection": True}, "sd2"),
    ],
)
def test_denoisers_and_controlnets(config: dict[str, Any], family: str) -> None:
    for made in ("UNet2DConditionModel", "ControlNetModel"):
        found = FAMILIES.of_component(Folder({}, top={"_class_name": made, **config}))
        assert found is not None and found[0].id == family


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({"_class_name": "AuraFlowPipeline"}, "AuraFlowPipeline"),
        ({"_class_name": "StableDiffusion3PAGPipeline"}, "perturbed attention"),
        ({}, "without a class"),
        ({"_class_name": "StableUnCLIPPipeline"}, "StableUnCLIPPipeline"),
        ({"_class_name": "StableDiffusionXLPipeline", "text_encoder": ["kolors", "ChatGLMModel"]}, "ChatGLMModel"),
    ],
)
def test_pipelines_that_are_not_supported_are_named(index: dict[str, Any], said: str) -> None:
    unet = {"_class_name": "UNet2DConditionModel", "addition_embed_type": "text_time", "cross_attention_dim": 2048}
    with pytest.raises(ProblemError) as caught:
        FAMILIES.of_pipeline(Folder(index, unet=unet))
    (problem,) = caught.value.problems
    assert problem.code == "unsupported_family"
    assert said in problem.message and "'some/model'" in problem.message and "XL" in problem.hint


@pytest.mark.parametrize(
    ("shapes", "family"),
    [
        ({**ENTRY, ATTENTION: (320, 768)}, "sd1"),
        ({**ENTRY, ATTENTION: (320, 1024)}, "sd2"),
        ({**ENTRY, **LABELS, ATTENTION.replace("blocks.1.1", "blocks.4.1"): (640, 2048)}, "sdxl"),
    ],
)
def test_whole_models_in_one_file(shapes: dict[str, tuple[int, ...]], family: str) -> None:
    found = header(shapes)
    assert not is_lora(found)
    assert of("pipeline", found) == family


@pytest.mark.parametrize("shapes", [{**ENTRY, **LABELS}, {**ENTRY, ATTENTION: (320, 5120)}, ENTRY])
def test_whole_models_that_are_not_supported(shapes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ProblemError) as caught:
        FAMILIES.of_file("pipeline", "m", header(shapes))
    assert caught.value.problems[0].code == "unsupported_family"


class Odd(type(FAMILIES["sd1"])):
    """A family of a pack, of a width that no built-in one has."""

    def claims(self, kind: Any, name: str, header: Header) -> bool:
        return header.shape(ATTENTION)[-1:] == (5120,)


def test_a_family_is_asked_though_another_refuses() -> None:
    full = FAMILIES["sd1"]
    odd = Odd(id="odd", title="Odd", latent=full.latent, presets=full.presets)
    found = header({**ENTRY, ATTENTION: (320, 5120)})
    families = Families({"sd1": lambda: full, "odd": lambda: odd})
    assert families.of_file("pipeline", "m", found) == [odd]


def test_a_family_that_does_not_load_leaves_the_others_alone() -> None:
    def broken() -> Any:
        raise ImportError("no module named x")

    families = Families({"broken": broken, "misnamed": lambda: FAMILIES["sd1"], "sd2": lambda: FAMILIES["sd2"]})
    assert families.there() == [FAMILIES["sd2"]] and "broken" not in families
    with pytest.raises(ProblemError, match="'broken' comes with a pack and does not load") as caught:
        families.require("broken")
    assert caught.value.problems[0].code == "unknown_family"


def depths(**layers: int) -> dict[str, tuple[int, ...]]:
    """A Stable Diffusion XL with so many layers in its blocks."""
    names = [
        f"{LDM}input_blocks.{block[1:]}.1.transformer_blocks.{layer}.attn2.to_k.weight"
        for block, count in layers.items()
        for layer in range(count)
    ]
    return {**ENTRY, **LABELS, **dict.fromkeys(names, (640, 2048))}


def test_an_xl_of_other_layers_is_one_and_kolors_is_none() -> None:
    assert of("pipeline", header(depths(b4=2, b5=2, b7=10, b8=10))) == "sdxl"
    assert of("pipeline", header(depths(b4=2, b5=2, b7=4, b8=4))) == "sdxl", "as SSD-1B"
    kolors = {**depths(b4=2, b5=2, b7=10, b8=10), f"{LDM}label_emb.0.0.weight": (1280, 5632)}
    with pytest.raises(ProblemError, match="Kolors") as caught:
        of("pipeline", header(kolors))
    assert caught.value.problems[0].code == "unsupported_family"


def test_the_refiner_is_told_from_the_base_model() -> None:
    shapes = {**ENTRY, f"{LDM}label_emb.0.0.weight": (1536, 2560)}
    assert of("pipeline", header({**shapes, ATTENTION.replace("blocks.1.1", "blocks.4.1"): (768, 1280)})) == (
        "sdxl_refiner"
    )
    refined = {"_class_name": "UNet2DConditionModel", "addition_embed_type": "text_time", "cross_attention_dim": 1280}
    index = {"_class_name": "StableDiffusionXLImg2ImgPipeline", "text_encoder": [None, None]}
    towers = {"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]}
    assert FAMILIES.of_pipeline(Folder({**index, **towers}, unet=refined)).id == "sdxl_refiner"
    with pytest.raises(ProblemError, match="text_encoder_2") as caught:
        FAMILIES.of_pipeline(Folder(index, unet=refined))
    assert caught.value.problems[0].code == "model_incomplete"


@pytest.mark.parametrize(
    ("found", "family"),
    [
        (header({KOHYA: (16, 768)}), "sd1"),
        (header({KOHYA: (16, 1024)}), "sd2"),
        (header({KOHYA: (16, 2048)}), "sdxl"),
        (header({PEFT: (4, 768)}), "sd1"),
        (header({PEFT: (4, 2048)}), "sdxl"),
        (header({PEFT.replace("lora_A", "lora.down"): (4, 1024)}), "sd2"),
        (header({"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (8, 1280)}), "sdxl"),
        (header({KOHYA: (16, 32)}), ""),
        (header({KOHYA: (16, 32)}, ss_base_model_version="sdxl_base_v1-0"), "sdxl"),
        (header({KOHYA: (16, 32)}, ss_base_model_version="sd_v2"), "sd2"),
        (header({KOHYA: (16, 32)}, modelspec__architecture="stable-diffusion-v1/lora"), "sd1"),
        (header({KOHYA: (16, 768)}, modelspec__architecture="hidream-i1/lora"), "sd1"),
    ],
)
def test_loras(found: Header, family: str) -> None:
    assert is_lora(found) and adapter_header(found) is None
    assert of("lora", found) == family


@pytest.mark.parametrize(("width", "family"), [(768, "sd1"), (1024, "sd2"), (2048, "sdxl"), (32, "")])
def test_ip_adapters(width: int, family: str) -> None:
    found = header({"image_proj.proj.weight": (4 * width, 1024), "ip_adapter.1.to_k_ip.weight": (320, width)})
    assert adapter_header(found) is not None and not is_lora(found)
    assert of("ip_adapter", found) == family


def test_vaes() -> None:
    def vae(**config: Any) -> str:
        found = FAMILIES.of_component(Folder({}, top={"_class_name": "AutoencoderKL", **config}))
        return found[0].space if found else ""

    assert vae(scaling_factor=0.13025) == "sdxl" and vae() == "sd"
    assert vae(scaling_factor=1.0, latent_channels=7) == "sd", "as training.autoencoder makes one"
    assert vae(scaling_factor=1.0, latent_channels=7, shift_factor=0.2) == "", "of no family that is known"
    shapes = {"decoder.up.0.block.0.conv1.weight": (128, 256, 3, 3), "encoder.conv_in.weight": (128, 3, 3, 3)}
    found = header({**shapes, "decoder.conv_in.weight": (512, 4, 3, 3)})
    assert len(FAMILIES.of_file("vae", "m", found)) > 1, "nothing in it tells"
    told = header(
        {**shapes, "decoder.conv_in.weight": (512, 4, 3, 3)},
        modelspec__architecture="stable-diffusion-xl-v1-base/vae",
    )
    assert of("vae", told) == "sdxl"
