"""Through the real store: models, LoRAs, ControlNets and IP-Adapters from files make the images of diffusers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_models
from node_bench import CLOSE, NEGATIVE, PROMPT, BenchContext, distance, sources
from proofs import Proof
from safelight.environment import Environment
from safelight.models import ModelStore
from safelight.sdk import Image
from safelight_nodes import controlnet, ip_adapter, latent, loras, models, sampling, text, vae


@dataclass
class Home:
    """A data folder with one tiny model of each kind, and a store on it."""

    family: str
    folder: Path
    store: ModelStore

    @property
    def ctx(self) -> BenchContext:
        return BenchContext(self.store)


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Home:
    family = request.param
    folder = tmp_path_factory.mktemp("home")
    shelf = folder / "models"
    getattr(tiny_models, f"tiny_{family}")(shelf / "model")
    tiny_models.tiny_controlnet(shelf / "net", family)
    tiny_models.tiny_ip_adapter(shelf / "adapter", family)
    tiny_models.tiny_lora(shelf / "lora.safetensors", family)
    tiny_models.tiny_lora(shelf / "kohya.safetensors", family, seed=16, style="kohya")
    store = ModelStore(
        folder,
        fingerprint=lambda path: hashlib.sha256(path.read_bytes()).hexdigest(),
        environment=Environment.read({"HF_HUB_OFFLINE": "1"}),
    )
    return Home(family, folder, store)


def pipeline(home: Home, **more: Any) -> Any:
    import diffusers

    names = {
        ("sd1", False): "StableDiffusionPipeline",
        ("sd1", True): "StableDiffusionControlNetPipeline",
        ("sdxl", False): "StableDiffusionXLPipeline",
        ("sdxl", True): "StableDiffusionXLControlNetPipeline",
    }
    cls = getattr(diffusers, names[home.family, "controlnet" in more])
    made = cls.from_pretrained(home.folder / "models" / "model", **more)
    made.set_progress_bar_config(disable=True)
    made.scheduler = diffusers.DDIMScheduler.from_config({**made.scheduler.config, "clip_sample": False})
    return made


def theirs(made: Any, batch: int = 1, **more: Any) -> torch.Tensor:
    return made(
        prompt=[PROMPT] * batch,
        negative_prompt=[NEGATIVE] * batch,
        num_inference_steps=4,
        guidance_scale=5.0,
        generator=sources(batch),
        output_type="pt",
        **more,
    ).images


def ours(
    home: Home, loaded: Any, change: Any = lambda positive, negative: (positive, negative), batch: int = 1
) -> torch.Tensor:
    ctx = home.ctx
    positive = text.encode(loaded.text, text=PROMPT, ctx=ctx)
    negative = text.encode(loaded.text, text=NEGATIVE, ctx=ctx)
    positive, negative = change(positive, negative)
    start = latent.empty(loaded.vae, batch=batch, ctx=ctx)
    made = sampling.sample(
        loaded.model, positive, negative, start, steps=4, guidance=5.0, sampler="ddim", seed=5, ctx=ctx
    )
    return vae.decode(loaded.vae, made, ctx=ctx).pixels.movedim(-1, 1)


def load(home: Home) -> Any:
    return models.load(model="model", precision="float32", ctx=home.ctx)


def with_lora(home: Home, loaded: Any, *given: tuple[str, float]) -> Any:
    for lora, weight in given:
        patched = loras.apply_lora(
            loaded.model, loaded.text, lora=f"{lora}.safetensors", weight=weight, text_weight=weight, ctx=home.ctx
        )
        loaded = loaded._replace(model=patched.model, text=patched.text)
    return loaded


def test_a_model_from_a_folder(home: Home) -> None:
    assert distance(ours(home, load(home)), theirs(pipeline(home))) <= CLOSE


@pytest.mark.parametrize("name", ["lora", "kohya"])
@pytest.mark.parametrize(("weight", "batch"), [(1.0, 1), (0.6, 3)])
def test_a_lora(home: Home, name: str, weight: float, batch: int, proof: Proof) -> None:
    made = ours(home, with_lora(home, load(home), (name, weight)), batch=batch)
    other = pipeline(home)
    other.load_lora_weights(str(home.folder / "models"), weight_name=f"{name}.safetensors", adapter_name="one")
    other.set_adapters("one", weight)
    proof.close(home.family, "LoRA", distance(made, theirs(other, batch)), batch)
    assert distance(made[:1], ours(home, load(home))) > 1e-3, "the LoRA has an effect"


@pytest.mark.parametrize("batch", [1, 3])
def test_two_loras_add_up(home: Home, batch: int, proof: Proof) -> None:
    made = ours(home, with_lora(home, load(home), ("lora", 0.8), ("kohya", -0.5)), batch=batch)
    other = pipeline(home)
    for name in ("lora", "kohya"):
        other.load_lora_weights(str(home.folder / "models"), weight_name=f"{name}.safetensors", adapter_name=name)
    other.set_adapters(["lora", "kohya"], [0.8, -0.5])
    proof.close(home.family, "LoRAs, several", distance(made, theirs(other, batch)), batch)
    assert distance(made[:1], ours(home, with_lora(home, load(home), ("lora", 0.8)))) > 1e-3


def noise_image(seed: int) -> Image:
    drawn = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(seed))
    return Image((drawn * 255).round() / 255)


@pytest.mark.parametrize("batch", [1, 3])
def test_controlnet_ip_adapter_and_lora_together(home: Home, batch: int, proof: Proof) -> None:
    from diffusers import ControlNetModel
    from PIL import Image as Images
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    hint, pil_image, ctx = noise_image(1), noise_image(2), home.ctx
    net = models.load_controlnet(controlnet="net", precision="float32", ctx=ctx)
    adapter = models.load_ip_adapter(adapter="adapter/ip_adapter.safetensors", precision="float32", ctx=ctx)

    def guided(positive: Any, negative: Any) -> Any:
        sides = controlnet.apply(positive, net, hint, negative, strength=0.8)
        return ip_adapter.apply(sides.positive, *adapter, pil_image, scale=0.7, ctx=ctx), sides.negative

    made = ours(home, with_lora(home, load(home), ("lora", 0.8)), guided, batch)
    folder = home.folder / "models"
    other = pipeline(home, controlnet=ControlNetModel.from_pretrained(folder / "net"))
    other.image_encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "adapter" / "image_encoder")
    other.feature_extractor = CLIPImageProcessor.from_pretrained(folder / "adapter" / "image_encoder")
    other.load_ip_adapter(str(folder / "adapter"), subfolder="", weight_name="ip_adapter.safetensors")
    other.set_ip_adapter_scale(0.7)
    other.load_lora_weights(str(folder), weight_name="lora.safetensors", adapter_name="one")
    other.set_adapters("one", 0.8)
    shown = Images.fromarray((pil_image.pixels[0] * 255).round().to(torch.uint8).numpy())
    wanted = theirs(
        other, batch, image=hint.pixels.movedim(-1, 1), controlnet_conditioning_scale=0.8, ip_adapter_image=shown
    )
    proof.close(home.family, "ControlNet, IP-Adapter and LoRA", distance(made, wanted), batch)
    assert distance(ours(home, load(home)), theirs(pipeline(home))) <= CLOSE, "nothing of it is left behind"


def test_everything_runs_in_half_precision(home: Home) -> None:
    hint, pil_image, ctx = noise_image(1), noise_image(2), home.ctx
    made = {}
    for precision in ("float32", "bfloat16"):
        net = models.load_controlnet(controlnet="net", precision=precision, ctx=ctx)
        adapter = models.load_ip_adapter(adapter="adapter/ip_adapter.safetensors", precision=precision, ctx=ctx)

        def guided(positive: Any, negative: Any, net: Any = net, adapter: Any = adapter) -> Any:
            sides = controlnet.apply(positive, net, hint, negative, strength=0.5)
            return ip_adapter.apply(sides.positive, *adapter, pil_image, scale=0.5, ctx=ctx), sides.negative

        loaded = models.load(model="model", precision=precision, ctx=ctx)
        made[precision] = ours(home, with_lora(home, loaded, ("lora", 0.5)), guided)
        assert made[precision].dtype == torch.float32
    gap = (made["float32"] - made["bfloat16"]).abs().mean()
    assert 0 < float(gap) < 0.05
