"""IP-Adapters, alone and with ControlNets: equal to the diffusers pipelines that do the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from node_bench import CLOSE, SEED, Kit, distance, recipe
from node_guides import call, conditioning, finish, noise_image, parts, pil_images
from proofs import Proof
from safelight.sdk import Conditioning, Image, Latent, Mask, ProblemError
from safelight_nodes import controlnet, ip_adapter, latent, sampling
from tiny_adapters import flat, resampler


def _attention(weights: Any) -> dict[str, Any]:
    return {"ip_adapter": weights["ip_adapter"]}


def _with_adapter(
    kit: Kit, adapter: Any, folder: Path, name: str, batch: int, shown: Image, **more: Any
) -> torch.Tensor:
    """The image of the pipeline with an IP-Adapter at 0.7; the shared denoiser is left without it."""
    pipeline = more.pop("pipeline", None) or type(kit.pipeline)(**parts(kit))
    pipeline.image_encoder, pipeline.feature_extractor = adapter.encoder, adapter.processor
    plain = dict(kit.pipeline.unet.attn_processors)
    pipeline.load_ip_adapter(str(folder), subfolder="", weight_name=name)
    pipeline.set_ip_adapter_scale(more.pop("scales", 0.7))
    try:
        return call(pipeline, kit, batch, ip_adapter_image=[pil_images(shown)], **more)
    finally:
        pipeline.unload_ip_adapter()
        kit.pipeline.unet.set_attn_processor(plain)


def steps_of(kit: Kit, positive: Conditioning, negative: Conditioning, start: Latent, **more: Any) -> Latent:
    return sampling.sample_part(
        kit.denoiser, positive, negative, start, steps=6, sampler="ddim", seed=SEED, **more, ctx=kit.context
    )


@pytest.mark.parametrize(("images", "batch"), [(1, 1), (1, 3), (2, 1)])
def test_ip_adapter(kit: Kit, adapter: Any, images: int, batch: int, proof: Proof) -> None:
    image = noise_image(3, images)
    positive, negative = conditioning(kit)
    guided = ip_adapter.apply(positive, *adapter.refs, image, scale=0.7, ctx=kit.context)
    made = finish(kit, guided, negative, batch)
    wanted = _with_adapter(kit, adapter, adapter.folder, "ip_adapter.safetensors", batch, image)
    proof.close(kit.family, "IP-Adapter", distance(made, wanted), batch)
    assert distance(made, finish(kit, positive, negative, batch)) > 1e-3, "the adapter has an effect"


@pytest.mark.parametrize("batch", [1, 3])
def test_scales_of_blocks(kit: Kit, adapter: Any, batch: int, proof: Proof) -> None:
    image = noise_image(3)
    positive, negative = conditioning(kit)
    guided = ip_adapter.apply(positive, *adapter.refs, image, scale=0.7, blocks="in 0, mid 0.5, out 1", ctx=kit.context)
    made = finish(kit, guided, negative, batch)
    scales = {"down": 0.0, "mid": 0.35, "up": 0.7}
    wanted = _with_adapter(kit, adapter, adapter.folder, "ip_adapter.safetensors", batch, image, scales=scales)
    proof.close(kit.family, "IP-Adapter by blocks", distance(made, wanted), batch)
    even = ip_adapter.apply(positive, *adapter.refs, image, scale=0.7, ctx=kit.context)
    assert distance(made, finish(kit, even, negative, batch)) > 100 * CLOSE
    with pytest.raises(ProblemError, match="single") as caught:
        finish(kit, ip_adapter.apply(positive, *adapter.refs, image, blocks="single 0", ctx=kit.context), negative, 1)
    assert caught.value.problems[0].code == "bad_blocks"


@pytest.mark.parametrize(("images", "batch"), [(1, 1), (2, 3)])
def test_a_mask_says_where(kit: Kit, adapter: Any, images: int, batch: int, proof: Proof) -> None:
    image = noise_image(3, images)
    positive, negative = conditioning(kit)
    left = torch.zeros(1, 64, 64)
    left[..., :32] = 1
    guided = ip_adapter.apply(positive, *adapter.refs, image, Mask(left), scale=0.7, ctx=kit.context)
    made = finish(kit, guided, negative, batch)
    masks = {"ip_adapter_masks": [left[None].expand(1, images, 64, 64)]}
    wanted = _with_adapter(
        kit, adapter, adapter.folder, "ip_adapter.safetensors", batch, image, cross_attention_kwargs=masks
    )
    proof.close(kit.family, "IP-Adapter by mask", distance(made, wanted), batch)
    plain = ip_adapter.apply(positive, *adapter.refs, image, scale=0.7, ctx=kit.context)
    assert distance(made, finish(kit, plain, negative, batch)) > 100 * CLOSE


@pytest.mark.parametrize(("images", "batch"), [(1, 1), (2, 3)])
def test_ip_adapter_plus(kit: Kit, adapter: Any, images: int, batch: int, proof: Proof, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    plain_weights = kit.shelf.held["IPAdapter", "adapter"].component
    weights = {
        "image_proj": resampler(plain_weights["image_proj"]["norm.weight"].shape[0]),
        **_attention(plain_weights),
    }
    kit.shelf.put("IPAdapter", "plus", weights)
    save_file(flat(weights), tmp_path / "plus.safetensors")
    image = noise_image(3, images)
    positive, negative = conditioning(kit)
    guided = ip_adapter.apply(
        positive, recipe("IPAdapter", kit.family, "plus"), adapter.refs[1], image, scale=0.7, ctx=kit.context
    )
    assert guided.adapters[0].embeddings.ndim == 4
    made = finish(kit, guided, negative, batch)
    wanted = _with_adapter(kit, adapter, tmp_path, "plus.safetensors", batch, image)
    proof.close(kit.family, "IP-Adapter Plus", distance(made, wanted), batch)


def test_the_denoiser_is_left_as_it_was(kit: Kit, adapter: Any) -> None:
    unet = kit.pipeline.unet
    positive, negative = conditioning(kit)
    before = finish(kit, positive, negative, 1)
    processors, keys = dict(unet.attn_processors), list(unet.state_dict())
    guided = ip_adapter.apply(positive, *adapter.refs, noise_image(3), ctx=kit.context)
    finish(kit, guided, negative, 1)
    assert unet.attn_processors == processors
    assert list(unet.state_dict()) == keys
    assert torch.equal(finish(kit, positive, negative, 1), before)


def test_the_denoiser_is_left_as_it_was_when_a_run_fails(kit: Kit, adapter: Any) -> None:
    from safelight.sdk import Cancelled

    processors = dict(kit.pipeline.unet.attn_processors)
    positive, negative = conditioning(kit)
    guided = ip_adapter.apply(positive, *adapter.refs, noise_image(3), ctx=kit.context)
    ctx = kit.context
    ctx.cancel_at = 2
    with pytest.raises(Cancelled):
        sampling.sample(kit.denoiser, guided, negative, latent.empty(kit.vae, ctx=kit.context), steps=4, ctx=ctx)
    assert kit.pipeline.unet.attn_processors == processors


@pytest.mark.parametrize("batch", [1, 3])
def test_ip_adapter_and_controlnet_together(
    kit: Kit, adapter: Any, nets: list[Any], control_pipeline: Any, batch: int, proof: Proof
) -> None:
    hint, image = noise_image(1), noise_image(3)
    positive, negative = conditioning(kit)
    sides = controlnet.apply(positive, recipe("ControlNet", kit.family, "net4"), hint, negative)
    guided = ip_adapter.apply(sides.positive, *adapter.refs, image, scale=0.7, ctx=kit.context)
    made = finish(kit, guided, sides.negative, batch)
    wanted = _with_adapter(
        kit,
        adapter,
        adapter.folder,
        "ip_adapter.safetensors",
        batch,
        image,
        pipeline=control_pipeline(**parts(kit), controlnet=nets[0]),
        image=hint.pixels.movedim(-1, 1),
    )
    proof.close(kit.family, "ControlNet and IP-Adapter", distance(made, wanted), batch)


@pytest.mark.parametrize("guide", ["controlnet", "adapter"])
def test_guides_act_in_their_range_of_the_steps_only(kit: Kit, nets: list[Any], adapter: Any, guide: str) -> None:
    positive, negative = conditioning(kit)

    def guided(start: float, end: float) -> tuple[Conditioning, Conditioning]:
        if guide == "adapter":
            return ip_adapter.apply(
                positive, *adapter.refs, noise_image(3), start=start, end=end, ctx=kit.context
            ), negative
        net = recipe("ControlNet", kit.family, "net4")
        return tuple(controlnet.apply(positive, net, noise_image(1), negative, start=start, end=end))  # type: ignore[return-value]

    empty = latent.empty(kit.vae, ctx=kit.context)
    whole = steps_of(kit, *guided(0.5, 1.0), empty)
    first = steps_of(kit, positive, negative, empty, end_step=3)
    second = steps_of(kit, *guided(0.0, 1.0), first, start_step=3)
    assert distance(whole.samples, second.samples) < 1e-4 * float(whole.samples.abs().max())
    assert distance(whole.samples, steps_of(kit, *guided(0.0, 1.0), empty).samples) > 1e-2


def test_an_adapter_on_the_negative_side_gives_images_to_steer_away_from(kit: Kit, adapter: Any) -> None:
    positive, negative = conditioning(kit)

    def guided(side: Conditioning, seed: int) -> Conditioning:
        return ip_adapter.apply(side, *adapter.refs, noise_image(seed), ctx=kit.context)

    plain = finish(kit, guided(positive, 3), negative, 1)
    away = finish(kit, guided(positive, 3), guided(negative, 4), 1)
    assert distance(plain, away) > 1e-3
    with pytest.raises(ProblemError) as caught:
        finish(kit, positive, guided(negative, 4), 1)
    assert caught.value.problems[0].code == "adapter_on_negative_only"


@pytest.mark.parametrize("lacking", ["image_proj.norm.bias", "ip_adapter.1.to_v_ip.weight"])
def test_an_adapter_that_lacks_weights_is_a_problem(kit: Kit, adapter: Any, lacking: str) -> None:
    part, name = lacking.split(".", 1)
    whole = kit.shelf.held["IPAdapter", "adapter"].component
    cut = {
        group: {key: t for key, t in given.items() if (group, key) != (part, name)} for group, given in whole.items()
    }
    kit.shelf.put("IPAdapter", "cut", cut)
    positive, negative = conditioning(kit)
    guided = ip_adapter.apply(
        positive, recipe("IPAdapter", kit.family, "cut"), adapter.refs[1], noise_image(1), ctx=kit.context
    )
    with pytest.raises(ProblemError) as caught:
        finish(kit, guided, negative, 1)
    (problem,) = caught.value.problems
    assert problem.code == "weights_mismatch" and "'cut'" in problem.message
    assert name.rpartition(".")[2] in problem.message or name in problem.message
