"""A data folder with all that the examples of nodes load: images, sound, films, tables, and tiny models."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import tiny_judges
import tiny_mattes
import tiny_models
import tiny_pipelines
import tiny_preprocessors
import tiny_readers
import tiny_segmenters
import tiny_sets
from safelight.families import load_families
from safelight.families._clip.tiny import seeded
from safelight.families.qwen_image import tiny as qwen_image
from safelight.families.wan import tiny as wan

LUT = "LUT_3D_SIZE 2\n" + "".join(f"{r} {g * 0.9} {b * 0.7}\n" for b in (0, 1) for g in (0, 1) for r in (0, 1))


def fill(home: Path) -> Path:
    """Writes it all below `home/input` and `home/models`."""
    files, models = home / "input", home / "models"
    files.mkdir(parents=True)
    _texts(files)
    _media(files)
    _photos(files / "photos")
    tiny_sets.write(files)
    for make in (
        tiny_models.tiny_sd1, tiny_models.tiny_controlnet, tiny_models.tiny_ip_adapter,
        tiny_models.tiny_motion,
        tiny_readers.tiny_writer, tiny_readers.tiny_describer, tiny_readers.tiny_embedder,
    ):  # fmt: skip
        make(models / make.__name__)
    for make in (
        tiny_segmenters.tiny_depth, tiny_segmenters.tiny_classes, tiny_segmenters.tiny_clipseg,
        tiny_segmenters.tiny_sam, tiny_segmenters.tiny_detector,
    ):  # fmt: skip
        make(models / make.__name__)
    for sort in ("squeezenet", "vgg16", "aesthetic"):
        tiny_judges.write(sort, models / "preprocessors")
    tiny_judges.tiny_classifier(models / "tiny_classifier")
    for sort in tiny_preprocessors.FILES:
        tiny_preprocessors.write(sort, models / "preprocessors")
    if find_spec("onnx"):
        tiny_mattes.write(models / "preprocessors" / "isnet-general-use.onnx")
    families = load_families()
    for name, channels in (("tiny_edit", 8), ("tiny_sd_depth", 5)):
        _seeing(models / "tiny_sd1", models / name, channels)
    wan.write(cast("Any", families["wan"]), models / "tiny_wan", 1)
    wan.write(cast("Any", families["wan"]), models / "tiny_wan_image", 2, led=True)
    qwen_image.write(cast("Any", families["qwen_image"]), models / "tiny_qwen_edit", 3, made="QwenImageEditPipeline")
    qwen_image.write(
        cast("Any", families["qwen_image"]), models / "tiny_qwen_layered", 3, made="QwenImageLayeredPipeline"
    )
    _text_encoder(models / "tiny_wan" / "text_encoder", models / "text_encoders" / "umt5.safetensors")
    tiny_pipelines.KINDS["ddpm"].write(models / "tiny_ddpm")
    tiny_models.tiny_variational(models / "tiny_variational")
    tiny_pipelines.SOUND["stable_audio"].write(models / "tiny_stable_audio")
    tiny_models.tiny_lora(models / "tiny_lora.safetensors")
    _upscaler(models / "tiny_upscaler.safetensors")
    _generator(models / "tiny_gan")
    return home


def _generator(folder: Path) -> None:
    """The generator of a GAN as `weights.save_gan` writes it, with random weights."""
    from safelight_nodes._training.folders import plain_tensors, write_gan
    from safelight_nodes._training.gan.networks import generator
    from safelight_nodes._training.gan.shapes import KIND, Shape
    from safelight_nodes.training_values import Weights

    shape = Shape("stylegan2", 16, 8, 8)
    folder.mkdir(parents=True)
    with seeded(5):
        write_gan(folder, Weights(KIND, shape.config(), plain_tensors(generator(shape))), "float32")


def _texts(files: Path) -> None:
    (files / "prompts.txt").write_text("# prompts\na cat\na dog\n", encoding="utf-8")
    (files / "warm.cube").write_text(LUT)
    (files / "faces.json").write_text("[[1, 2, 3], [3, 2, 1]]", encoding="utf-8")


def _media(files: Path) -> None:
    import torch
    from PIL import Image as PillowImage

    from safelight.media.registry import built_in
    from safelight.places import shipped_workflows
    from safelight.sdk import Audio, Mesh, Video

    apple = PillowImage.open(shipped_workflows() / "input" / "apple.png").convert("RGB").resize((96, 96))
    apple.crop((0, 8, 96, 88)).resize((48, 40)).save(files / "photo.png")
    turned = [apple.rotate(30 * number, fillcolor="white") for number in range(12)]
    turned[0].save(files / "turn.webp", save_all=True, append_images=turned[1:], duration=83, loop=0)
    wave = torch.sin(torch.arange(22_050) / 12) * torch.sin(torch.arange(22_050) / 3500)
    corners = torch.tensor([[0.0, 1, 0], [1, -0.5, 1], [1, -0.5, -1], [-1, -0.5, -1], [-1, -0.5, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]])
    values: dict[str, Any] = {
        "tone.wav": Audio(wave[None, None], 22_050),
        "shape.glb": Mesh(corners, faces, (corners + 1) / 2),
    }
    for name, value in values.items():
        (files / name).write_bytes(built_in().encode(value)[0].data)
    clip = Video((torch.rand(8, 32, 48, 3) * 255).to(torch.uint8), 8.0, Audio(torch.rand(1, 1, 8000) - 0.5, 8000))
    for form in ("webp", "mp4") if find_spec("av") else ("webp",):
        (files / f"clip.{form}").write_bytes(built_in().encode(clip, form)[0].data)
    if find_spec("OpenEXR"):
        from safelight_nodes._exr import exr_file

        (files / "light.exr").write_bytes(exr_file(torch.rand(6, 8, 3), None, half=True))


def _photos(folder: Path) -> None:
    """A folder of images with a table of captions, for training."""
    from PIL import Image as PillowImage

    folder.mkdir()
    lines: list[str] = []
    for number, pixels in enumerate(tiny_sets.pixels()):
        image = PillowImage.fromarray(pixels)
        flat = PillowImage.new("RGB", image.size, "white")
        flat.paste(image, mask=image.getchannel("A"))
        flat.save(folder / f"{number}.png")
        lines.append(json.dumps({"file_name": f"{number}.png", "text": f"a {tiny_sets.NAMES[number // 3]}"}))
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _seeing(whole: Path, folder: Path, channels: int) -> None:
    """A copy of a tiny model whose denoiser sees more than its latent."""
    from diffusers import UNet2DConditionModel

    shutil.copytree(whole, folder)
    with seeded(channels):
        config = UNet2DConditionModel.load_config(whole / "unet")
        made: Any = UNet2DConditionModel.from_config({**cast("dict[str, Any]", config), "in_channels": channels})
    made.save_pretrained(folder / "unet")
    index = folder / "model_index.json"
    named = "InstructPix2PixPipeline" if channels == 8 else "Depth2ImgPipeline"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", f"StableDiffusion{named}"))


def _text_encoder(folder: Path, file: Path) -> None:
    file.parent.mkdir()
    shutil.copyfile(folder / "model.safetensors", file)
    shutil.copytree(folder.parent / "tokenizer", file.parent / "tokenizer")


def _upscaler(file: Path) -> None:
    from safetensors.torch import save_file
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    with seeded(4):
        net = SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2)
    save_file(net.state_dict(), file)
