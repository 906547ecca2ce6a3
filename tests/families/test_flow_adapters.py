"""IP-Adapters of transformers, and Redux: equal to the classic pipelines on the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from families.flow_kits import CLOSE, PROMPT, FlowKit, flow_kit
from node_bench import codes, distance
from node_guides import noise_image, pil_images
from proofs import Proof
from safelight.sdk import Mask, ProblemError
from safelight_nodes import ip_adapter, models

SHAPE: Any = {
    **{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 16},
    **{"image_size": 32, "patch_size": 8},
}


def clip(folder: Path) -> Any:
    config = transformers.CLIPVisionConfig(**SHAPE, projection_dim=24, hidden_act="gelu")
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return transformers.CLIPVisionModelWithProjection.from_pretrained(folder).eval()


def siglip(folder: Path) -> Any:
    transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**SHAPE)).save_pretrained(folder)
    return transformers.SiglipVisionModel.from_pretrained(folder).eval()


def lively(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: torch.randn_like(tensor) / tensor.shape[-1] ** 0.5 for name, tensor in module.state_dict().items()}


def for_flux(transformer: Any) -> dict[str, torch.Tensor]:
    from diffusers.models.transformers.transformer_flux import FluxIPAdapterAttnProcessor

    width = transformer.config.joint_attention_dim
    made = {
        "image_proj.proj.weight": torch.randn(4 * width, 24) / 24**0.5,
        "image_proj.proj.bias": torch.randn(4 * width) * 0.1,
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    for number in range(transformer.config.num_layers):
        for name, tensor in lively(FluxIPAdapterAttnProcessor(transformer.inner_dim, width)).items():
            part, _, kind = name.split(".")
            made[f"ip_adapter.{number}.{part}.{kind}"] = tensor
    return made


def for_sd3(transformer: Any) -> dict[str, torch.Tensor]:
    from diffusers.models.attention_processor import SD3IPAdapterJointAttnProcessor2_0
    from diffusers.models.embeddings import IPAdapterTimeImageProjection

    width = transformer.inner_dim
    projection = IPAdapterTimeImageProjection(32, width, 64, heads=1, num_queries=3, timestep_in_dim=32)
    made = {f"image_proj.{name}": tensor for name, tensor in lively(projection).items()}
    for number in range(len(transformer.attn_processors)):
        one = SD3IPAdapterJointAttnProcessor2_0(width, width, transformer.config.attention_head_dim, 64)
        made |= {f"ip_adapter.{number}.{name}": tensor for name, tensor in lively(one).items()}
    return made


def of_xlabs(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    made = {}
    for name, tensor in weights.items():
        group, rest = name.split(".", 1)
        if group == "image_proj":
            made[f"ip_adapter_proj_model.{rest}"] = tensor
        else:
            number, part, kind = rest.split(".")
            made[f"double_blocks.{number}.processor.ip_adapter_double_stream_{part[3]}_proj.{kind}"] = tensor
    return made


@pytest.fixture(scope="module", params=["flux", "sd3"])
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    """The miniature with an IP-Adapter in its folder, on both sides."""
    made = flow_kit(request.param, tmp_path_factory.mktemp(request.param))
    folder = made.root / "models"
    (folder / "ipadapter").mkdir()
    torch.manual_seed(7)
    is_flux = request.param == "flux"
    encoder = (clip if is_flux else siglip)(folder / "clip_vision" / "one")
    weights = (for_flux if is_flux else for_sd3)(made.pipeline.transformer)
    save_file(weights, folder / "ipadapter" / "ip.safetensors")
    pipeline = made.pipeline
    processor: Any = transformers.CLIPImageProcessor(size=32, crop_size=32)
    if not is_flux:
        processor = transformers.SiglipImageProcessor(size={"height": 32, "width": 32})
    pipeline.register_modules(image_encoder=encoder, feature_extractor=processor)
    pipeline.load_ip_adapter(str(folder / "ipadapter"), weight_name="ip.safetensors", subfolder="")
    pipeline.set_ip_adapter_scale(0.7)
    return made


def guided(kit: FlowKit, conditioning: Any = None, *given: Any, name: str = "ipadapter/ip.safetensors", **more: Any):
    adapter = models.load_ip_adapter(adapter=name, ctx=kit.ctx)
    image = given[0] if given else noise_image(3)
    return ip_adapter.apply(
        conditioning or kit.said(PROMPT), *adapter, image, *given[1:], **{"scale": 0.7, **more}, ctx=kit.ctx
    )


@pytest.mark.parametrize("batch", [1, 3])
def test_an_image_guides(kit: FlowKit, batch: int, proof: Proof) -> None:
    made = kit.decoded(kit.sampled(positive=guided(kit), start=kit.empty(batch)))
    # The pipeline of Stable Diffusion 3 takes one image for each of the batch.
    theirs = kit.theirs(batch, ip_adapter_image=pil_images(noise_image(3)))
    proof.close(kit.family, "IP-Adapter", distance(made, theirs), batch)
    assert distance(made, kit.decoded(kit.sampled(start=kit.empty(batch)))) > 1e-3, "it has an effect"


def test_it_guides_in_its_part_of_the_steps_and_its_blocks(kit: FlowKit) -> None:
    plain, whole = kit.sampled(), kit.sampled(positive=guided(kit))
    assert torch.equal(kit.sampled(positive=guided(kit, scale=0.0)).samples, plain.samples)
    half = kit.sampled(positive=guided(kit, start=0.5))
    assert min(distance(half.samples, other.samples) for other in (plain, whole)) > 1e-4
    late = kit.sampled(positive=guided(kit, start=0.99))
    assert torch.equal(late.samples, plain.samples)
    assert torch.equal(kit.sampled(positive=guided(kit, blocks="block 0")).samples, plain.samples)
    with pytest.raises(ProblemError) as caught:
        kit.sampled(positive=guided(kit, blocks="out 0"))
    assert codes(caught) == [("bad_blocks", "positive")]


def test_the_transformer_is_left_as_it_was(kit: FlowKit) -> None:
    with kit.store.lease(kit.loaded().model) as lease:
        transformer = lease.component.transformer
        processors = dict(transformer.attn_processors)
        kit.sampled(positive=guided(kit))
        assert transformer.attn_processors == processors
        assert not transformer._forward_pre_hooks


def test_what_it_cannot_is_told(kit: FlowKit) -> None:
    with pytest.raises(ProblemError) as caught:
        kit.sampled(positive=guided(kit, None, noise_image(3), Mask(torch.ones(1, 64, 64))))
    assert codes(caught) == [("feature_not_in_family", "positive")]
    twice = guided(kit, guided(kit))
    if kit.family == "flux":
        assert distance(kit.sampled(positive=twice).samples, kit.sampled(positive=guided(kit)).samples) > 1e-4
        return
    with pytest.raises(ProblemError) as caught:
        kit.sampled(positive=twice)
    assert codes(caught) == [("feature_not_in_family", "positive")]
    negative = kit.said("dark photo")
    away = kit.sampled(positive=guided(kit), negative=guided(kit, negative, noise_image(4)))
    assert distance(away.samples, kit.sampled(positive=guided(kit)).samples) > 1e-4


def test_the_names_of_xlabs(kit: FlowKit) -> None:
    if kit.family != "flux":
        pytest.skip("XLabs made them for Flux.1")
    folder = kit.root / "models" / "ipadapter"
    save_file(of_xlabs(load_file(folder / "ip.safetensors")), folder / "xlabs.safetensors")
    made = kit.sampled(positive=guided(kit, name="ipadapter/xlabs.safetensors"))
    assert torch.equal(made.samples, kit.sampled(positive=guided(kit)).samples)


@pytest.mark.parametrize("layout", ["file", "folder"])
def test_redux(tmp_path: Path, layout: str, proof: Proof) -> None:
    from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder

    kit = flow_kit("flux", tmp_path)
    torch.manual_seed(9)
    embedder = ReduxImageEncoder(32, kit.pipeline.transformer.config.joint_attention_dim)
    place = tmp_path / "models" / "redux"
    embedder.save_pretrained(place / "image_embedder")
    encoder = siglip(place / "image_encoder")
    name = "redux/image_embedder"
    if layout == "file":
        name = "redux/flux1-redux.safetensors"
        file = place / "image_embedder" / "diffusion_pytorch_model.safetensors"
        file.rename(place / "flux1-redux.safetensors")
    processor = transformers.SiglipImageProcessor(size={"height": 32, "width": 32})
    prior = diffusers.FluxPriorReduxPipeline(
        encoder,
        processor,
        embedder,
        **{
            part: getattr(kit.pipeline, part) for part in ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
        },
    )
    known: Any = prior(pil_images(noise_image(3)), prompt=[PROMPT])
    theirs = kit.theirs(prompt=None, prompt_embeds=known.prompt_embeds, pooled_prompt_embeds=known.pooled_prompt_embeds)
    said = guided(kit, name=name, scale=1.0)
    assert said.prompts[0].embeddings.shape == known.prompt_embeds.shape
    made = kit.decoded(kit.sampled(positive=said))
    proof.close("flux", "Redux", distance(made, theirs), 1)
    assert distance(made, kit.decoded(kit.sampled())) > 100 * CLOSE
    with pytest.raises(ProblemError) as caught:
        guided(kit, name=name, start=0.5)
    assert codes(caught) == [("adapter_input", "adapter")]
