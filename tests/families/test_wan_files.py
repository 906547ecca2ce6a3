"""Wan in files of its own, as its makers write them and ComfyUI keeps them, and LoRAs of Wan."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from families.flow_kits import flow_kit
from families.test_wan import CLOSE, WanKit, photo
from node_bench import distance
from safelight.families import load_families
from safelight.families._original.names import translated, translated_shapes
from safelight.families.wan import original
from safelight.sdk import Image
from safelight_nodes import loras, models, vae

VAE_ENDS = {"conv_in": "conv1", "norm_out": "head.0", "conv_out": "head.2"}
RESIDUAL = {"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6"}


@pytest.fixture(autouse=True)
def narrow_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(original, "HEAD", 12)


def makers(given: dict[str, Any]) -> dict[str, Any]:
    """The tensors of a transformer by the names of its makers."""
    back = {rule.new[0]: rule.old for rule in original.rules({"head.modulation": ()})}

    def renamed(name: str) -> str:
        number = re.search(r"(?<=blocks\.)\d+", name)
        plain = re.sub(r"(?<=blocks\.)\d+", "{}", name)
        path, _, kind = plain.rpartition(".")
        old = back.get(plain) or (f"{back[path]}.{kind}" if path in back else plain)
        return old.format(number[0]) if number else old

    return {renamed(name): one for name, one in given.items()}


def vae_makers(given: dict[str, Any], each: int) -> dict[str, Any]:
    """The tensors of an autoencoder of `each` residual blocks a level by the names of its makers."""

    def renamed(name: str) -> str:
        if name.startswith(("quant_conv", "post_quant_conv")):
            return name.replace("post_quant_conv", "conv2").replace("quant_conv", "conv1")
        side, rest = name.split(".", 1)
        for new, old in VAE_ENDS.items():
            if rest.startswith(f"{new}."):
                return f"{side}.{rest.replace(new, old)}"
        inner = rest.replace("conv_shortcut", "shortcut")
        inner = re.sub(r"(?<=\.)(norm1|conv1|norm2|conv2)(?=\.)", lambda found: RESIDUAL[found[1]], inner)
        inner = re.sub(r"^down_blocks\.", "downsamples.", inner)
        inner = re.sub(r"^mid_block\.resnets\.(\d)", lambda found: f"middle.{2 * int(found[1])}", inner)
        inner = inner.replace("mid_block.attentions.0", "middle.1")
        up = re.match(r"up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)\.", inner)
        if up:
            inside = int(up[3]) if up[2] == "resnets" else each + 1
            inner = f"upsamples.{int(up[1]) * (each + 2) + inside}.{inner[up.end() :]}"
        return f"{side}.{inner}"

    return {renamed(name): one for name, one in given.items()}


def weights(folder: Path, part: str) -> dict[str, Any]:
    return load_file(next((folder / part).glob("*.safetensors")))


def split(kit: WanKit, root: Path, two: bool = False) -> Any:
    """The model of files of their own."""
    mine, folder = root / "models" / "mine", root / "models"
    for name in ("diffusion_models", "text_encoders", "vae"):
        (folder / name).mkdir()
    save_file(makers(weights(mine, "transformer")), folder / "diffusion_models" / "high.safetensors")
    if two:
        save_file(makers(weights(mine, "transformer_2")), folder / "diffusion_models" / "low.safetensors")
    save_file(weights(mine, "text_encoder"), folder / "text_encoders" / "umt5.safetensors")
    shutil.copytree(mine / "tokenizer", folder / "text_encoders" / "tokenizer")
    save_file(vae_makers(weights(mine, "vae"), 1), folder / "vae" / "wan.safetensors")
    low = "diffusion_models/low.safetensors" if two else ""
    model = models.load_denoiser(model="diffusion_models/high.safetensors", low_noise=low, ctx=kit.ctx)
    text = models.load_text_encoders(first="text_encoders/umt5.safetensors", ctx=kit.ctx)
    return models.Loaded(model, text, models.load_vae(vae="vae/wan.safetensors", ctx=kit.ctx))


@pytest.mark.parametrize("more", [{}, {"two": True, "led": True}], ids=["2.1", "2.2, from images"])
def test_split_files_give_what_the_folder_gives(
    more: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = WanKit(tmp_path, **more)
    whole = kit.loaded()

    def made() -> tuple[Any, Any]:
        positive = kit.led_by(photo(1)) if more else None
        found = kit.sampled(**({"positive": positive} if positive else {}))
        return found.samples, vae.decode_video(kit.loaded().vae, found, ctx=kit.ctx).frames

    wanted = made()
    parts = split(kit, tmp_path, two=bool(more))
    assert [ref.family for ref in parts] == ["wan"] * 3
    assert {ref.source.name for ref in parts}.isdisjoint({whole.model.source.name})
    monkeypatch.setattr(kit, "loaded", lambda: parts)
    got = made()
    assert distance(got[0], wanted[0]) <= CLOSE
    assert (got[1].int() - wanted[1].int()).abs().max() <= 1


def test_two_folders_of_denoisers_are_one_model(tmp_path: Path) -> None:
    kit = WanKit(tmp_path, two=True)
    for part, name in (("transformer", "high"), ("transformer_2", "low")):
        shutil.copytree(tmp_path / "models" / "mine" / part, tmp_path / "models" / name)
    model = models.load_denoiser(model="high", low_noise="low", ctx=kit.ctx)
    # The folders do not say where the second begins: as in the releases.
    kit.pipeline.register_to_config(boundary_ratio=0.875)
    found = kit.sampled(model=model).samples
    assert distance(found, kit.theirs(output_type="latent")) <= CLOSE


def test_a_file_tells_the_configuration_of_what_it_holds(tmp_path: Path) -> None:
    kit = WanKit(tmp_path, led=True, encoder=True, both_ends=True)
    module = kit.pipeline.transformer
    shapes = {name: tuple(one.shape) for name, one in makers(module.state_dict()).items()}
    found = original.config_of(translated_shapes(shapes, original.rules(shapes)))
    told = {name: module.config[name] for name in found}
    assert {**found, "patch_size": tuple(found["patch_size"])} == {**told, "patch_size": tuple(told["patch_size"])}


def test_the_names_are_those_that_diffusers_knows(tmp_path: Path) -> None:
    from diffusers.loaders import single_file_utils as utils
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

    kit = WanKit(tmp_path, led=True, encoder=True)
    given = makers(kit.pipeline.transformer.state_dict())
    mine = translated(given, original.rules({name: tuple(one.shape) for name, one in given.items()}))
    assert set(mine) == set(utils.convert_wan_transformer_to_diffusers(dict(given)))
    whole = AutoencoderKLWan(base_dim=4, num_res_blocks=2)  # as many as the release, which diffusers reads alone
    shapes = {name: tuple(one.shape) for name, one in vae_makers(whole.state_dict(), 2).items()}
    names = original.vae_names(shapes)
    theirs = utils.convert_wan_vae_to_diffusers({name: name for name in shapes})
    assert names == {old: new for new, old in theirs.items()}
    config = original.vae_config({names[name]: shape for name, shape in shapes.items()})
    assert config == {name: whole.config[name] for name in config}


def pairs(module: Any) -> dict[str, torch.Tensor]:
    """A LoRA of rank 2 by the names of diffusers."""
    source = torch.Generator().manual_seed(4)
    state: dict[str, torch.Tensor] = {}
    for name, layer in module.named_modules():
        if name.endswith(("to_q", "to_v", "net.2")) and isinstance(layer, torch.nn.Linear):
            down = torch.randn(2, layer.in_features, generator=source) / layer.in_features**0.5
            up = torch.randn(layer.out_features, 2, generator=source)
            state[f"transformer.{name}.lora_A.weight"], state[f"transformer.{name}.lora_B.weight"] = down, up
    return state


def renamed(state: dict[str, torch.Tensor], layout: str) -> dict[str, torch.Tensor]:
    """As the makers' trainers write it (`diffusion_model`), or musubi (`lora_unet`), with an alpha beside each pair."""
    if layout == "diffusers":
        return state
    made: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        path, _, end = name.removeprefix("transformer.").partition(".lora_")
        (key,) = makers({f"{path}.weight": tensor})
        layer = key.removesuffix(".weight")
        layer = f"diffusion_model.{layer}" if layout == "makers" else f"lora_unet_{layer.replace('.', '_')}"
        made[f"{layer}.lora_{'down' if end[0] == 'A' else 'up'}.weight"] = tensor
        made[f"{layer}.alpha"] = torch.tensor(2.0)
    return made


@pytest.mark.parametrize("layout", ["diffusers", "makers", "musubi"])
def test_a_lora_does_what_it_does_in_the_pipeline(layout: str, tmp_path: Path) -> None:
    kit = WanKit(tmp_path)
    state = pairs(kit.pipeline.transformer)
    file = tmp_path / "models" / "style.safetensors"
    save_file(renamed(state, layout), file, {"modelspec.architecture": "wan2.1/lora"})
    assert kit.store.describe("style.safetensors").family == "wan"
    plain = kit.sampled().samples
    patched = loras.apply_lora_to_model(kit.loaded().model, lora="style.safetensors", weight=0.8, ctx=kit.ctx)
    made = kit.sampled(model=patched).samples
    kit.pipeline.load_lora_weights(dict(state), adapter_name="style")
    kit.pipeline.set_adapters(["style"], [0.8])
    assert distance(made, kit.theirs(output_type="latent")) <= CLOSE
    assert distance(made, plain) > 1e-3
    assert torch.equal(kit.sampled().samples, plain), "without it the model is as before"


@pytest.mark.parametrize(("name", "family"), [("qwen_image_vae", "auto"), ("wan_or_not", "qwen_image")])
def test_a_vae_of_qwen_image_is_told_by_its_name_or_by_the_node(name: str, family: Any, tmp_path: Path) -> None:
    kit = flow_kit("qwen_image", tmp_path)
    folder = tmp_path / "models" / "mine" / "vae"
    (tmp_path / "models" / "vae").mkdir()
    shutil.copy(folder / "diffusion_pytorch_model.safetensors", tmp_path / "models" / "vae" / f"{name}.safetensors")
    made = models.load_vae(vae=f"vae/{name}.safetensors", family=family, ctx=kit.ctx)
    assert made.family == "qwen_image"
    pixels = Image(torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1)))
    wanted = vae.encode(kit.loaded().vae, pixels, ctx=kit.ctx)
    found = vae.encode(made, pixels, ctx=kit.ctx)
    assert found.samples.shape == wanted.samples.shape
    # A file has no statistics of latents, and gets those of the release: what comes back is the same.
    decoded = vae.decode(made, found, ctx=kit.ctx).pixels
    assert distance(decoded, vae.decode(kit.loaded().vae, wanted, ctx=kit.ctx).pixels) <= CLOSE


def test_a_lora_counts_for_both_of_two_transformers(tmp_path: Path) -> None:
    kit = WanKit(tmp_path, two=True)
    state = pairs(kit.pipeline.transformer)
    save_file(state, tmp_path / "models" / "style.safetensors", {"modelspec.architecture": "wan2.2/lora"})
    patched = loras.apply_lora_to_model(kit.loaded().model, lora="style.safetensors", ctx=kit.ctx)
    made = kit.sampled(model=patched).samples
    of_one = {
        name: loras.apply_lora_to_model(kit.loaded().model, lora="style.safetensors", denoiser=name, ctx=kit.ctx)
        for name in ("high_noise", "low_noise")
    }
    kit.pipeline.load_lora_weights(dict(state), adapter_name="first")
    high = kit.sampled(model=of_one["high_noise"]).samples
    assert distance(high, kit.theirs(output_type="latent")) <= CLOSE
    kit.pipeline.load_lora_weights(dict(state), adapter_name="second", load_into_transformer_2=True)
    low = kit.sampled(model=of_one["low_noise"]).samples
    assert min(distance(low, made), distance(low, high)) > CLOSE * 10
    assert distance(made, kit.theirs(output_type="latent")) <= CLOSE


@pytest.mark.parametrize(("width", "family"), [(1536, "wan"), (5120, "wan"), (3072, "wan_5b"), (2048, "")])
@pytest.mark.parametrize(
    "name", ["diffusion_model.blocks.7.self_attn.q.lora_down.weight", "transformer.blocks.0.attn1.to_q.lora_A.weight"]
)
def test_a_lora_tells_its_family_by_its_widths(name: str, width: int, family: str) -> None:
    from safelight.families.files import Header, TensorEntry

    header = Header({name: TensorEntry("F32", (2, width), (0, 8 * width))}, {}, 0)
    found = [one.id for one in load_families().of_file("lora", "it", header)]
    assert found == ([family] if family else [])
