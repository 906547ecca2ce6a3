"""ControlNets, IP-Adapters and pictures to start from: equal to the diffusers pipelines that do the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image as Pictures

import tiny_models
from node_bench import CLOSE, NEGATIVE, PROMPT, SEED, Kit, distance, recipe, sources
from safelight.sdk import Conditioning, Image, Latent
from safelight_nodes import controlnet, ip_adapter, latent, sampling, text, vae


def noise_picture(seed: int, batch: int = 1) -> Image:
    """Pixels on the grid of bytes, so that a picture file would hold them exactly."""
    drawn = torch.rand(batch, 64, 64, 3, generator=torch.Generator().manual_seed(seed))
    return Image((drawn * 255).round() / 255)


def conditioning(kit: Kit) -> tuple[Conditioning, Conditioning]:
    ctx = kit.context
    return text.encode(kit.text, text=PROMPT, ctx=ctx), text.encode(kit.text, text=NEGATIVE, ctx=ctx)


def finish(kit: Kit, positive: Conditioning, negative: Conditioning, batch: int, **more: Any) -> torch.Tensor:
    ctx = kit.context
    start = more.pop("start", None) or latent.empty(kit.vae, batch=batch, ctx=ctx)
    given: dict[str, Any] = {"steps": 4, "guidance": 5.0, "sampler": "ddim", "seed": SEED, **more}
    made = sampling.sample(kit.denoiser, positive, negative, start, **given, ctx=ctx)
    return vae.decode(kit.vae, made, ctx=ctx).pixels.movedim(-1, 1)


def call(pipeline: Any, kit: Kit, batch: int, **more: Any) -> torch.Tensor:
    from diffusers import DDIMScheduler

    settings = {**kit.shelf.held["Denoiser", kit.family].settings["scheduler"], "clip_sample": False}
    pipeline.scheduler = DDIMScheduler.from_config(settings)
    pipeline.set_progress_bar_config(disable=True)
    given: dict[str, Any] = {
        "prompt": [PROMPT] * batch,
        "negative_prompt": [NEGATIVE] * batch,
        "num_inference_steps": 4,
        "guidance_scale": 5.0,
        "generator": sources(batch),
        "output_type": "pt",
        **more,
    }
    return pipeline(**given).images


def parts(kit: Kit) -> dict[str, Any]:
    names = ["vae", "unet", "scheduler", "text_encoder", "tokenizer"]
    names += ["text_encoder_2", "tokenizer_2"] if kit.family == "sdxl" else []
    found = {name: getattr(kit.pipeline, name) for name in names}
    return found if kit.family == "sdxl" else {**found, "safety_checker": None, "feature_extractor": None}


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def kit(request: pytest.FixtureRequest) -> Kit:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def nets(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    from diffusers import ControlNetModel

    made = []
    for seed in (4, 14):
        folder = tiny_models.tiny_controlnet(tmp_path_factory.mktemp("net"), kit.family, seed=seed)
        made.append(ControlNetModel.from_pretrained(folder).eval())
        kit.shelf.put("ControlNet", f"net{seed}", made[-1])
    return made


@pytest.fixture(scope="module")
def control_pipeline(kit: Kit) -> Any:
    import diffusers

    return {"sd1": diffusers.StableDiffusionControlNetPipeline, "sdxl": diffusers.StableDiffusionXLControlNetPipeline}[
        kit.family
    ]


@pytest.mark.parametrize("batch", [1, 3])
def test_one_controlnet(kit: Kit, nets: list[Any], control_pipeline: Any, batch: int) -> None:
    hint = noise_picture(1)
    net = recipe("ControlNet", kit.family, "net4")
    positive, negative = controlnet.apply(
        conditioning(kit)[0], net, hint, conditioning(kit)[1], strength=0.8, start=0.2, end=0.8
    )
    made = finish(kit, positive, negative, batch)
    pipeline = control_pipeline(**parts(kit), controlnet=nets[0])
    wanted = call(
        pipeline,
        kit,
        batch,
        image=hint.pixels.movedim(-1, 1),
        controlnet_conditioning_scale=0.8,
        control_guidance_start=0.2,
        control_guidance_end=0.8,
    )
    assert distance(made, wanted) <= CLOSE
    assert distance(made, finish(kit, *conditioning(kit), batch)) > 1e-3, "the ControlNet has an effect"


def test_two_controlnets(kit: Kit, nets: list[Any], control_pipeline: Any) -> None:
    from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel

    hints = noise_picture(1), noise_picture(2)
    sides = conditioning(kit)
    for seed, hint, strength in zip((4, 14), hints, (0.8, 0.5), strict=True):
        sides = controlnet.apply(
            sides[0], recipe("ControlNet", kit.family, f"net{seed}"), hint, sides[1], strength=strength
        )
    made = finish(kit, *sides, 2)
    pipeline = control_pipeline(**parts(kit), controlnet=MultiControlNetModel(nets))
    wanted = call(
        pipeline,
        kit,
        2,
        image=[hint.pixels.movedim(-1, 1) for hint in hints],
        controlnet_conditioning_scale=[0.8, 0.5],
    )
    assert distance(made, wanted) <= CLOSE


def test_one_controlnet_with_two_hints(kit: Kit, nets: list[Any], control_pipeline: Any) -> None:
    from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel

    hints = noise_picture(1), noise_picture(2)
    sides = conditioning(kit)
    for hint in hints:
        sides = controlnet.apply(sides[0], recipe("ControlNet", kit.family, "net4"), hint, sides[1], strength=0.5)
    pipeline = control_pipeline(**parts(kit), controlnet=MultiControlNetModel([nets[0], nets[0]]))
    wanted = call(
        pipeline,
        kit,
        1,
        image=[hint.pixels.movedim(-1, 1) for hint in hints],
        controlnet_conditioning_scale=[0.5, 0.5],
    )
    assert distance(finish(kit, *sides, 1), wanted) <= CLOSE


def test_the_controlnet_is_left_as_it_was(kit: Kit, nets: list[Any]) -> None:
    net, hint = nets[0], noise_picture(1).pixels.movedim(-1, 1)
    with torch.no_grad():
        before = net.controlnet_cond_embedding(hint)
    sides = controlnet.apply(*_args(kit, noise_picture(2)))
    finish(kit, *sides, 1)
    with torch.no_grad():
        assert torch.equal(net.controlnet_cond_embedding(hint), before)
    assert "forward" not in vars(net.controlnet_cond_embedding)


def _args(kit: Kit, hint: Image) -> tuple[Any, ...]:
    positive, negative = conditioning(kit)
    return positive, recipe("ControlNet", kit.family, "net4"), hint, negative


def test_a_controlnet_on_one_side_only(kit: Kit, nets: list[Any]) -> None:
    """Guidance is linear in both sides, so each can be computed alone."""
    positive, negative = conditioning(kit)
    guided = controlnet.apply(positive, recipe("ControlNet", kit.family, "net4"), noise_picture(1)).positive
    zero = torch.zeros(1, 4, 8, 8)
    start = Latent(zero, kit.family, 8)
    ctx = kit.context

    def one(side: Conditioning, other: Conditioning | None, guidance: float) -> torch.Tensor:
        return sampling.sample(
            kit.denoiser,
            side,
            other,
            start,
            steps=1,
            guidance=guidance,
            sampler="ddim",
            spacing="trailing",
            seed=SEED,
            ctx=ctx,
        ).samples

    alone, opposed = one(guided, None, 1.0), one(negative, None, 1.0)
    mixed = one(guided, negative, 3.0)
    assert distance(mixed, opposed + 3.0 * (alone - opposed)) <= 1e-3
    assert distance(alone, opposed) > 0.1


@pytest.fixture(scope="module")
def adapter(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from safetensors.torch import load_file
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    folder = tiny_models.tiny_ip_adapter(tmp_path_factory.mktemp("adapter"), kit.family)
    flat = load_file(folder / "ip_adapter.safetensors")
    nested: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in flat.items():
        part, name = key.split(".", 1)
        nested[part][name] = tensor
    encoder = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder").eval()
    processor = CLIPImageProcessor.from_pretrained(folder / "image_encoder")
    kit.shelf.put("IPAdapter", "adapter", nested)
    kit.shelf.put("ImageEncoder", "adapter", SimpleNamespace(encoder=encoder, processor=processor))
    return SimpleNamespace(
        folder=folder,
        encoder=encoder,
        processor=processor,
        refs=(recipe("IPAdapter", kit.family, "adapter"), recipe("ImageEncoder", kit.family, "adapter")),
    )


def pictures(image: Image) -> list[Any]:
    return [Pictures.fromarray((one * 255).round().to(torch.uint8).numpy()) for one in image.pixels]


@pytest.mark.parametrize(("images", "batch"), [(1, 1), (1, 2), (2, 1)])
def test_ip_adapter(kit: Kit, adapter: Any, images: int, batch: int) -> None:
    image = noise_picture(3, images)
    positive, negative = conditioning(kit)
    guided = ip_adapter.apply(positive, *adapter.refs, image, scale=0.7, ctx=kit.context)
    made = finish(kit, guided, negative, batch)
    pipeline = type(kit.pipeline)(**parts(kit))
    pipeline.image_encoder, pipeline.feature_extractor = adapter.encoder, adapter.processor
    plain = dict(kit.pipeline.unet.attn_processors)
    pipeline.load_ip_adapter(str(adapter.folder), subfolder="", weight_name="ip_adapter.safetensors")
    pipeline.set_ip_adapter_scale(0.7)
    try:
        wanted = call(pipeline, kit, batch, ip_adapter_image=[pictures(image)])
    finally:
        pipeline.unload_ip_adapter()
        kit.pipeline.unet.set_attn_processor(plain)
    assert distance(made, wanted) <= CLOSE
    assert distance(made, finish(kit, positive, negative, batch)) > 1e-3, "the adapter has an effect"


def test_the_denoiser_is_left_as_it_was(kit: Kit, adapter: Any) -> None:
    unet = kit.pipeline.unet
    positive, negative = conditioning(kit)
    before = finish(kit, positive, negative, 1)
    processors, keys = dict(unet.attn_processors), list(unet.state_dict())
    guided = ip_adapter.apply(positive, *adapter.refs, noise_picture(3), ctx=kit.context)
    finish(kit, guided, negative, 1)
    assert unet.attn_processors == processors
    assert list(unet.state_dict()) == keys
    assert torch.equal(finish(kit, positive, negative, 1), before)


def test_the_denoiser_is_left_as_it_was_when_a_run_fails(kit: Kit, adapter: Any) -> None:
    from safelight.sdk import Cancelled

    processors = dict(kit.pipeline.unet.attn_processors)
    positive, negative = conditioning(kit)
    guided = ip_adapter.apply(positive, *adapter.refs, noise_picture(3), ctx=kit.context)
    ctx = kit.context
    ctx.cancel_at = 2
    with pytest.raises(Cancelled):
        sampling.sample(kit.denoiser, guided, negative, latent.empty(kit.vae, ctx=kit.context), steps=4, ctx=ctx)
    assert kit.pipeline.unet.attn_processors == processors


def test_ip_adapter_and_controlnet_together(kit: Kit, adapter: Any, nets: list[Any], control_pipeline: Any) -> None:
    hint, image = noise_picture(1), noise_picture(3)
    positive, negative = conditioning(kit)
    sides = controlnet.apply(positive, recipe("ControlNet", kit.family, "net4"), hint, negative)
    guided = ip_adapter.apply(sides.positive, *adapter.refs, image, scale=0.7, ctx=kit.context)
    made = finish(kit, guided, sides.negative, 1)
    pipeline = control_pipeline(**parts(kit), controlnet=nets[0])
    pipeline.image_encoder, pipeline.feature_extractor = adapter.encoder, adapter.processor
    plain = dict(kit.pipeline.unet.attn_processors)
    pipeline.load_ip_adapter(str(adapter.folder), subfolder="", weight_name="ip_adapter.safetensors")
    pipeline.set_ip_adapter_scale(0.7)
    try:
        wanted = call(pipeline, kit, 1, image=hint.pixels.movedim(-1, 1), ip_adapter_image=[pictures(image)])
    finally:
        pipeline.unload_ip_adapter()
        kit.pipeline.unet.set_attn_processor(plain)
    assert distance(made, wanted) <= CLOSE
