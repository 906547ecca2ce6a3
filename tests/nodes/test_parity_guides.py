"""ControlNets, IP-Adapters and pictures to start from: equal to the diffusers pipelines that do the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image as Pictures

import tiny_models
from node_bench import CLOSE, NEGATIVE, PROMPT, SEED, Kit, distance, recipe, sources
from safelight.sdk import Conditioning, Image, Latent, ProblemError
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


def _plus(width: int) -> dict[str, torch.Tensor]:
    """The projection of a random IP-Adapter Plus, which reads the encoder's patches, under its published names."""
    hidden, queries, given = 64, 4, 32
    source = torch.Generator().manual_seed(8)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=source) / shape[-1] ** 0.5

    found = {
        "latents": drawn(1, queries, hidden),
        "proj_in.weight": drawn(hidden, given),
        "proj_in.bias": drawn(hidden),
        "proj_out.weight": drawn(width, hidden),
        "proj_out.bias": drawn(width),
        "norm_out.weight": torch.ones(width),
        "norm_out.bias": drawn(width),
    }
    for layer in range(4):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            found |= {f"layers.{layer}.{norm}.weight": torch.ones(hidden), f"layers.{layer}.{norm}.bias": drawn(hidden)}
        found |= {
            f"layers.{layer}.0.to_q.weight": drawn(64, hidden),
            f"layers.{layer}.0.to_kv.weight": drawn(128, hidden),
            f"layers.{layer}.0.to_out.weight": drawn(hidden, 64),
            f"layers.{layer}.1.1.weight": drawn(4 * hidden, hidden),
            f"layers.{layer}.1.3.weight": drawn(hidden, 4 * hidden),
        }
    return found


@pytest.mark.parametrize("images", [1, 2])
def test_ip_adapter_plus(kit: Kit, adapter: Any, images: int, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    plain_weights = kit.shelf.held["IPAdapter", "adapter"].component
    weights = {"image_proj": _plus(plain_weights["image_proj"]["norm.weight"].shape[0]), **_attention(plain_weights)}
    kit.shelf.put("IPAdapter", "plus", weights)
    flat = {f"{part}.{name}": tensor for part, named in weights.items() for name, tensor in named.items()}
    save_file(flat, tmp_path / "plus.safetensors")
    image = noise_picture(3, images)
    positive, negative = conditioning(kit)
    guided = ip_adapter.apply(
        positive, recipe("IPAdapter", kit.family, "plus"), adapter.refs[1], image, scale=0.7, ctx=kit.context
    )
    assert guided.adapters[0].embeddings.ndim == 4
    made = finish(kit, guided, negative, 2)
    assert distance(made, _with_adapter(kit, adapter, tmp_path, "plus.safetensors", 2, image)) <= CLOSE


def test_an_adapter_of_faces_is_a_problem(kit: Kit, adapter: Any) -> None:
    kit.shelf.put("IPAdapter", "face", {"image_proj": {"norm.weight": torch.ones(1), "proj.0.weight": torch.ones(1)}})
    face = recipe("IPAdapter", kit.family, "face")
    with pytest.raises(ProblemError, match="face") as caught:
        ip_adapter.apply(conditioning(kit)[0], face, adapter.refs[1], noise_picture(1), ctx=kit.context)
    assert caught.value.problems[0].port == "adapter"


def _attention(weights: Any) -> dict[str, Any]:
    return {"ip_adapter": weights["ip_adapter"]}


def _with_adapter(
    kit: Kit, adapter: Any, folder: Path, name: str, batch: int, shown: Image, **more: Any
) -> torch.Tensor:
    """The picture of the pipeline with an IP-Adapter at 0.7; the shared denoiser is left without it."""
    pipeline = more.pop("pipeline", None) or type(kit.pipeline)(**parts(kit))
    pipeline.image_encoder, pipeline.feature_extractor = adapter.encoder, adapter.processor
    plain = dict(kit.pipeline.unet.attn_processors)
    pipeline.load_ip_adapter(str(folder), subfolder="", weight_name=name)
    pipeline.set_ip_adapter_scale(0.7)
    try:
        return call(pipeline, kit, batch, ip_adapter_image=[pictures(shown)], **more)
    finally:
        pipeline.unload_ip_adapter()
        kit.pipeline.unet.set_attn_processor(plain)


def pictures(image: Image) -> list[Any]:
    return [Pictures.fromarray((one * 255).round().to(torch.uint8).numpy()) for one in image.pixels]


@pytest.mark.parametrize(("images", "batch"), [(1, 1), (1, 2), (2, 1)])
def test_ip_adapter(kit: Kit, adapter: Any, images: int, batch: int) -> None:
    image = noise_picture(3, images)
    positive, negative = conditioning(kit)
    guided = ip_adapter.apply(positive, *adapter.refs, image, scale=0.7, ctx=kit.context)
    made = finish(kit, guided, negative, batch)
    wanted = _with_adapter(kit, adapter, adapter.folder, "ip_adapter.safetensors", batch, image)
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
    wanted = _with_adapter(
        kit,
        adapter,
        adapter.folder,
        "ip_adapter.safetensors",
        1,
        image,
        pipeline=control_pipeline(**parts(kit), controlnet=nets[0]),
        image=hint.pixels.movedim(-1, 1),
    )
    assert distance(made, wanted) <= CLOSE


def steps_of(kit: Kit, positive: Conditioning, negative: Conditioning, start: Latent, **more: Any) -> Latent:
    return sampling.sample_part(
        kit.denoiser, positive, negative, start, steps=6, sampler="ddim", seed=SEED, **more, ctx=kit.context
    )


@pytest.mark.parametrize("guide", ["controlnet", "adapter"])
def test_guides_act_in_their_range_of_the_steps_only(kit: Kit, nets: list[Any], adapter: Any, guide: str) -> None:
    positive, negative = conditioning(kit)

    def guided(start: float, end: float) -> tuple[Conditioning, Conditioning]:
        if guide == "adapter":
            return ip_adapter.apply(
                positive, *adapter.refs, noise_picture(3), start=start, end=end, ctx=kit.context
            ), negative
        net = recipe("ControlNet", kit.family, "net4")
        return tuple(controlnet.apply(positive, net, noise_picture(1), negative, start=start, end=end))  # type: ignore[return-value]

    empty = latent.empty(kit.vae, ctx=kit.context)
    whole = steps_of(kit, *guided(0.5, 1.0), empty)
    first = steps_of(kit, positive, negative, empty, end_step=3)
    second = steps_of(kit, *guided(0.0, 1.0), first, start_step=3)
    assert distance(whole.samples, second.samples) < 1e-4 * float(whole.samples.abs().max())
    assert distance(whole.samples, steps_of(kit, *guided(0.0, 1.0), empty).samples) > 1e-2


def test_an_adapter_on_the_negative_side_gives_pictures_to_steer_away_from(kit: Kit, adapter: Any) -> None:
    positive, negative = conditioning(kit)

    def guided(side: Conditioning, seed: int) -> Conditioning:
        return ip_adapter.apply(side, *adapter.refs, noise_picture(seed), ctx=kit.context)

    plain = finish(kit, guided(positive, 3), negative, 1)
    away = finish(kit, guided(positive, 3), guided(negative, 4), 1)
    assert distance(plain, away) > 1e-3
    with pytest.raises(ProblemError) as caught:
        finish(kit, positive, guided(negative, 4), 1)
    assert caught.value.problems[0].code == "adapter_on_negative_only"


def test_guides_of_another_family_or_number_are_problems(kit: Kit, nets: list[Any], adapter: Any) -> None:
    positive, negative = conditioning(kit)
    wrong = recipe("ControlNet", "sd2", "net4")
    with pytest.raises(ProblemError, match="sd2"):
        finish(kit, *controlnet.apply(positive, wrong, noise_picture(1), negative), 1)
    right = recipe("ControlNet", kit.family, "net4")
    with pytest.raises(ProblemError, match="2 pictures") as caught:
        finish(kit, *controlnet.apply(positive, right, noise_picture(1, 2), negative), 3)
    assert caught.value.problems[0].code == "wrong_batch"
    with pytest.raises(ProblemError, match="empty"):
        controlnet.apply(positive, right, noise_picture(1), start=0.5, end=0.5)


def test_hints_of_any_size_fit_and_one_a_picture_may_be_given(kit: Kit, nets: list[Any]) -> None:
    positive, negative = conditioning(kit)
    net = recipe("ControlNet", kit.family, "net4")
    ramps = [torch.linspace(0, 1, side)[None, :, None, None].expand(1, side, side, 3) for side in (64, 192)]
    small, large = (finish(kit, *controlnet.apply(positive, net, Image(ramp), negative), 1) for ramp in ramps)
    assert distance(small, large) < 5e-3
    two = Image(torch.cat([noise_picture(1).pixels, noise_picture(2).pixels]))
    both = finish(kit, *controlnet.apply(positive, net, two, negative), 2)
    first = finish(kit, *controlnet.apply(positive, net, noise_picture(1), negative), 2)
    assert distance(both[:1], first[:1]) <= CLOSE
    assert distance(both[1:], first[1:]) > 1e-3
