"""Putting a starter model together from a checkpoint and trained parts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from training.export import LORAS, PARTS, export, narrowed

import tiny_models
import tiny_sets
from node_bench import BenchContext
from safelight.app import Studio
from safelight.diffusion import variational
from safelight.models.library import Library
from safelight_nodes._training.folders import write_captioner, write_variational
from safelight_nodes._training.upscaler.networks import Shape, fresh
from safelight_nodes.training import captioners
from safelight_nodes.training_values import Weights


@pytest.fixture(scope="module")
def parts(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of other weights in the trainer's old form, a LoRA, an image encoder and more."""
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file
    from transformers import CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

    folder = tmp_path_factory.mktemp("parts")
    shadow: dict[str, Any] = {}
    for prefix, cls, name in (("unet", UNet2DConditionModel, "unet"), ("text", CLIPTextModel, "text_encoder")):
        made = cls.from_pretrained(home / "models" / "tiny" / name)
        shadow |= {f"{prefix}.{key}": torch.rand_like(value) for key, value in made.state_dict().items()}
    torch.save({"average": {"count": 3, "shadow": shadow}, "step": 3}, folder / "unet.pt")
    tiny_models.tiny_lora(folder / "lora.safetensors")
    CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=64,
            patch_size=16, projection_dim=32,
        )
    ).save_pretrained(folder / "tower")  # fmt: skip
    tiny_models.tiny_controlnet(folder / "controlnet", "sd2")
    tiny_models.tiny_motion(folder / "motion", "sd2")
    ctx = BenchContext()
    ctx.models.device = lambda: (torch.device("cpu"), torch.float32)
    made = captioners.captioner(
        tiny_sets.image_set(32), updates=1, batch=2, vocabulary=400, width=48, layers=1, text_width=48, text_layers=1,
        ctx=ctx,
    )  # fmt: skip
    (folder / "captioner").mkdir()
    write_captioner(folder / "captioner", made.captioner, made.tokenizer, "float32")
    shape = variational.Shape(16, 4, 4, 8)
    flat = Weights(variational.CLASS, shape.config(), variational.fresh(shape).state_dict(), (), {})
    (folder / "anomaly").mkdir()
    write_variational(folder / "anomaly", flat, "float32")
    (folder / "upscaler").mkdir()
    save_file(fresh(Shape("compact", 4, 8, 1), 1).state_dict(), folder / "upscaler" / "upscaler.safetensors")
    (folder / "adapter").mkdir()
    shutil.copy(home / "adapter" / "ip_adapter.safetensors", folder / "adapter")
    return {
        "adapter": folder / "adapter",
        "checkpoint": folder / "unet.pt",
        "few_step": folder / "lora.safetensors",
        "tower": folder / "tower",
        "controlnet": folder / "controlnet",
        "motion": folder / "motion",
        "anomaly": folder / "anomaly",
        "captioner": folder / "captioner",
        "upscaler": folder / "upscaler",
    }


def test_a_checkpoint_and_parts_become_a_model_in_half_precision(
    parts: dict[str, Path], home: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    target = home / "models" / "exported"
    (target / "licenses").mkdir(parents=True)
    size = export(
        target,
        home / "models" / "tiny",
        {
            "image_encoder": parts["tower"],
            "few_step": parts["few_step"],
            "controlnet_edges": parts["controlnet"],
            "captioner": parts["captioner"],
        },
        checkpoint=parts["checkpoint"],
    )
    files = list(target.rglob("*.safetensors"))
    assert size == sum(path.stat().st_size for path in files)
    assert {tensor.dtype for path in files for tensor in load_file(path).values()} == {torch.float16}
    shadow = torch.load(parts["checkpoint"])["average"]["shadow"]
    unet = load_file(target / "unet" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(value, shadow[f"unet.{key}"].half()) for key, value in unet.items())
    assert not any("_name_or_path" in json.loads(path.read_text()) for path in target.rglob("config.json"))
    assert (target / "licenses").is_dir()
    with Studio.open(home) as studio:
        document = studio.read("text_to_image").with_inputs({"model": "exported", "steps": 1})
        assert studio.run(document, output=tmp_path).result.problems == []


def test_previews_get_the_colours_of_the_autoencoder(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "models" / "tiny", tmp_path / "model")
    export(tmp_path / "model", tmp_path / "model", cache=tiny_sets.write(tmp_path) / "emoji")
    rows = json.loads((tmp_path / "model" / "latent_rgb.json").read_text())
    assert len(rows) == 4 + 1
    assert all(len(row) == 3 for row in rows)


def test_a_lora_is_cut_to_a_rank() -> None:
    """One that has that rank already is the same; of another what is left is the best there is."""
    draw = torch.Generator().manual_seed(1)
    down, up = torch.randn(6, 5, 3, 3, generator=draw), torch.randn(7, 6, 1, 1, generator=draw)
    up[:, 3:] *= 1e-4
    whole = {"unet.conv.lora_A.weight": down, "unet.conv.lora_B.weight": up}

    def changed(parts: dict[str, torch.Tensor]) -> torch.Tensor:
        first, second = parts["unet.conv.lora_A.weight"], parts["unet.conv.lora_B.weight"]
        return second.flatten(1) @ first.flatten(1)

    same, three, one = (narrowed(whole, rank) for rank in (6, 3, 1))
    assert torch.allclose(changed(same), changed(whole), atol=1e-4)
    assert three["unet.conv.lora_A.weight"].shape == (3, 5, 3, 3)
    assert three["unet.conv.lora_B.weight"].shape == (7, 3, 1, 1)
    assert torch.allclose(changed(three), changed(whole), atol=0.01)
    sizes = torch.linalg.svdvals(changed(whole))
    assert float((changed(one) - changed(whole)).norm()) == pytest.approx(float(sizes[1:].norm()), rel=1e-3)


def test_parts_of_the_starter_have_names(parts: dict[str, Path], home: Path, tmp_path: Path) -> None:
    starter = tmp_path / "starter"
    shutil.copytree(home / "models" / "tiny", starter)
    lora = parts["few_step"]
    made = {
        "image_encoder": parts["tower"],
        "few_step": lora,
        "inpainting": lora,
        "style": lora,
        "colors": lora,
        "subject": lora,
        "ip_adapter": parts["adapter"],
        "controlnet_edges": parts["controlnet"],
        "controlnet_shape": parts["controlnet"],
        "captioner": parts["captioner"],
        "upscaler": parts["upscaler"],
        "motion": parts["motion"],
        "motion_lora": lora,
        "anomaly": parts["anomaly"],
    }
    assert set(made) == {*LORAS, *PARTS}
    export(starter, starter, made)
    library = Library((tmp_path / "models",), digest=lambda path: path.name, cache=tmp_path / "hub", starter=starter)
    assert library.find("starter/few_step", "lora").place == "starter"
    assert library.family(library.find("starter/image_encoder", "image_encoder")) == ""
    assert library.family(library.find("starter/controlnet_edges", "controlnet")) == "sd2"
    assert library.find("starter/upscaler", "upscaler").place == "starter"
    assert library.find("starter/motion", "motion").place == "starter"
    listed = {entry.name: entry.kind for entry in library.list_models() if entry.place == "starter"}
    assert listed == {
        "starter": "pipeline",
        "starter/few_step": "lora",
        "starter/inpainting": "lora",
        "starter/style": "lora",
        "starter/colors": "lora",
        "starter/subject": "lora",
        "starter/ip_adapter": "ip_adapter",
        "starter/image_encoder": "image_encoder",
        "starter/controlnet_edges": "controlnet",
        "starter/controlnet_shape": "controlnet",
        "starter/captioner": "reader",
        "starter/upscaler": "upscaler",
        "starter/motion": "motion",
        "starter/motion_lora": "lora",
        "starter/anomaly": "variational",
    }
    assert not (starter / "captioner" / "training.json").exists()


def test_words_are_added_to_the_weights_of_the_text_encoder(home: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file
    from transformers import CLIPTextModel

    from safelight_nodes._training.adapters import add_lora, lora_tensors

    made: Any = CLIPTextModel.from_pretrained(home / "models" / "tiny" / "text_encoder", torch_dtype=torch.float32)
    for parameter in add_lora(made.eval(), rank=2, seed=0):
        torch.nn.init.normal_(parameter, std=0.05)
    save_file(lora_tensors(made, "text_encoder"), tmp_path / "words.safetensors")
    export(tmp_path / "out", home / "models" / "tiny", words=tmp_path / "words.safetensors")
    given = {"torch_dtype": torch.float32}
    added: Any = CLIPTextModel.from_pretrained(tmp_path / "out" / "text_encoder", **given).eval()
    plain: Any = CLIPTextModel.from_pretrained(home / "models" / "tiny" / "text_encoder", **given).eval()
    ids = torch.arange(8)[None]
    with torch.no_grad():
        wanted, found, before = (one(input_ids=ids).last_hidden_state for one in (made, added, plain))
    assert float((found - wanted).abs().max()) < 0.01  # of float16
    assert float((before - wanted).abs().max()) > 0.1
