"""The tiny models stand in for real ones only as long as diffusers itself takes them for real."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny_models

FAMILIES = ("sd1", "sd2", "sdxl")
WRITERS = {"sd1": tiny_models.tiny_sd1, "sd2": tiny_models.tiny_sd2, "sdxl": tiny_models.tiny_sdxl}


def _latent(pipeline, **more):
    import torch

    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(
        "a red apple",
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
        return_dict=False,
        **more,
    )
    return torch.as_tensor(made[0])


@pytest.mark.parametrize("family", FAMILIES)
def test_diffusers_loads_every_tiny_model_and_each_part_has_an_effect(family: str, tmp_path: Path) -> None:
    import diffusers
    from PIL import Image

    pipeline_class, control_class = {
        "sdxl": (diffusers.StableDiffusionXLPipeline, diffusers.StableDiffusionXLControlNetPipeline)
    }.get(family, (diffusers.StableDiffusionPipeline, diffusers.StableDiffusionControlNetPipeline))
    folder = WRITERS[family](tmp_path / "model")
    pipeline = pipeline_class.from_pretrained(folder)
    plain = _latent(pipeline)
    assert plain.isfinite().all()

    for style in ("diffusers", "kohya"):
        pipeline.load_lora_weights(str(tiny_models.tiny_lora(tmp_path / f"{style}.safetensors", family, style=style)))
        touched = pipeline.get_list_adapters()
        assert len(touched) == (3 if family == "sdxl" else 2)
        assert (_latent(pipeline) - plain).abs().mean() > 0.05
        pipeline.unload_lora_weights()

    adapter = tiny_models.tiny_ip_adapter(tmp_path / "adapter", family)
    pipeline.load_ip_adapter(str(adapter), subfolder="", weight_name="ip_adapter.safetensors")
    images = [make("L").resize((64, 64)).convert("RGB") for make in (Image.linear_gradient, Image.radial_gradient)]
    guided = _latent(pipeline, ip_adapter_image=images[0])
    assert (guided - plain).abs().mean() > 0.05
    assert (guided - _latent(pipeline, ip_adapter_image=images[1])).abs().mean() > 0.005
    pipeline.unload_ip_adapter()

    control = diffusers.ControlNetModel.from_pretrained(tiny_models.tiny_controlnet(tmp_path / "control", family))
    controlled = control_class(**pipeline.components | {"controlnet": control})
    first, second = (_latent(controlled, image=pil_image) for pil_image in images)
    assert (first - plain).abs().mean() > 0.05
    assert (first - second).abs().mean() > 0.005


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_writes_the_same_files(family: str, tmp_path: Path) -> None:
    first, second = WRITERS[family](tmp_path / "first"), WRITERS[family](tmp_path / "second")
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)
    assert sum((first / file).stat().st_size for file in files) < 2_300_000
