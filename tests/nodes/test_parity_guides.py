"""What is used in the place of a ControlNet (T2I-Adapters, unions, Control-LoRAs), and how much each says
where and when: equal to the diffusers pipelines that do the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny_guides
from node_bench import CLOSE, Kit, distance, recipe
from node_guides import call, conditioning, finish, noise_image, parts
from proofs import Proof
from safelight.sdk import Image, Mask, ProblemError
from safelight_nodes import controlnet


@pytest.fixture(scope="module")
def adapter_net(kit: Kit) -> Any:
    net = tiny_guides.t2i_adapter(kit.family)
    kit.shelf.put("ControlNet", "t2i", net)
    return net


def guided(kit: Kit, name: str, batch: int, hint: Image | None = None, **more: Any) -> torch.Tensor:
    positive, negative = conditioning(kit)
    sides = controlnet.apply(positive, recipe("ControlNet", kit.family, name), hint or noise_image(1), negative, **more)
    return finish(kit, *sides, batch)


@pytest.mark.parametrize("batch", [1, 3])
def test_t2i_adapter(kit: Kit, adapter_net: Any, batch: int, proof: Proof) -> None:
    import diffusers

    made = guided(kit, "t2i", batch, strength=0.8)
    names = {"sd1": diffusers.StableDiffusionAdapterPipeline, "sdxl": diffusers.StableDiffusionXLAdapterPipeline}
    pipeline = names[kit.family](**parts(kit), adapter=adapter_net)
    hint = noise_image(1).pixels.movedim(-1, 1)
    hint = hint.expand(batch, -1, -1, -1)  # it repeats neither over the prompts
    wanted = call(pipeline, kit, batch, image=hint, adapter_conditioning_scale=0.8, height=64, width=64)
    if not isinstance(wanted, torch.Tensor):
        # That of Stable Diffusion 1 gives arrays, whatever it is asked for.
        wanted = torch.from_numpy(wanted).movedim(-1, 1)
    proof.close(kit.family, "T2I-Adapter", distance(made, wanted), batch)
    assert distance(made, finish(kit, *conditioning(kit), batch)) > 1e-3, "the adapter has an effect"


@pytest.mark.parametrize("batch", [1, 3])
def test_a_union_told_which_kind(sdxl: Kit, batch: int, proof: Proof) -> None:
    import diffusers

    net = tiny_guides.union()
    sdxl.shelf.put("ControlNet", "union", net)
    made = guided(sdxl, "union", batch, strength=0.7, control_type="depth")
    pipeline = diffusers.StableDiffusionXLControlNetUnionPipeline(**parts(sdxl), controlnet=net)
    hint = noise_image(1).pixels.movedim(-1, 1)
    wanted = call(pipeline, sdxl, batch, control_image=[hint], control_mode=[1], controlnet_conditioning_scale=0.7)
    proof.close("sdxl", "ControlNet union", distance(made, wanted), batch)
    other = guided(sdxl, "union", batch, strength=0.7, control_type="line")
    assert distance(made, other) > 100 * CLOSE
    with pytest.raises(ProblemError, match="several kinds") as caught:
        guided(sdxl, "union", 1)
    assert caught.value.problems[0].code == "control_type"
    with pytest.raises(ProblemError, match="tile is not among"):
        guided(sdxl, "union", 1, control_type="tile")


@pytest.mark.parametrize("batch", [1, 3])
def test_a_control_lora_is_the_dense_controlnet(
    kit: Kit, control_pipeline: Any, tmp_path: Path, batch: int, proof: Proof
) -> None:
    file, dense = tiny_guides.control_lora(kit.pipeline.unet, tmp_path / "control_lora.safetensors")
    before = {name: tensor.clone() for name, tensor in kit.pipeline.unet.state_dict().items()}
    kit.shelf.put("ControlNet", "lora", tiny_guides.loaded(kit.family, file))
    made = guided(kit, "lora", batch, strength=0.9)
    pipeline = control_pipeline(**parts(kit), controlnet=dense)
    hint = noise_image(1).pixels.movedim(-1, 1)
    wanted = call(pipeline, kit, batch, image=hint, controlnet_conditioning_scale=0.9)
    proof.close(kit.family, "Control-LoRA", distance(made, wanted), batch)
    assert distance(made, finish(kit, *conditioning(kit), batch)) > 1e-3, "it has an effect"
    after = kit.pipeline.unet.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_a_control_lora_of_another_model_says_so(sd1: Kit, sdxl: Kit, tmp_path: Path) -> None:
    file, _ = tiny_guides.control_lora(sdxl.pipeline.unet, tmp_path / "xl.safetensors")
    sd1.shelf.put("ControlNet", "of_xl", tiny_guides.loaded("sdxl", file))
    with pytest.raises(ProblemError, match="Control-LoRA") as caught:
        guided(sd1, "of_xl", 1)
    assert caught.value.problems[0].code in ("weights_mismatch", "model_incomplete")


@pytest.mark.parametrize("layout", ["diffusers", "original"])
@pytest.mark.parametrize("sort", ["full_adapter", "light_adapter", "full_adapter_xl"])
def test_t2i_adapters_in_one_file(tmp_path: Path, sort: str, layout: str) -> None:
    family = "sdxl" if sort.endswith("xl") else "sd1"
    net = tiny_guides.t2i_adapter(family, sort)
    file = tiny_guides.written(net, tmp_path / "adapter.safetensors", layout)
    got = tiny_guides.loaded(family, file)
    assert type(got.adapter) is type(net.adapter)
    hint = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for one, other in zip(got(hint), net(hint), strict=True):
            assert torch.equal(one, other)


def test_a_union_in_one_file(tmp_path: Path) -> None:
    net = tiny_guides.union()
    file = tmp_path / "union.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, file)
    got = tiny_guides.loaded("sdxl", file)
    assert type(got) is type(net)
    assert all(torch.equal(tensor, got.state_dict()[name]) for name, tensor in net.state_dict().items())


def test_files_without_some_weight_say_so(tmp_path: Path) -> None:
    net = tiny_guides.t2i_adapter("sd1")
    file = tiny_guides.written(net, tmp_path / "adapter.safetensors", "diffusers")
    weights = load_file(file)
    save_file({name: tensor for name, tensor in weights.items() if "body.1.resnets.0" not in name}, file)
    with pytest.raises(ProblemError) as caught:
        tiny_guides.loaded("sd1", file)
    assert caught.value.problems[0].code in ("model_incomplete", "weights_mismatch")


class Weighed(torch.nn.Module):
    """A ControlNet whose residuals are changed as told: the pipelines have no such thing of their own."""

    def __init__(self, net: Any, change: Callable[[int, int, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.net, self.change, self.config, self.calls = net, change, net.config, 0
        self.forward_plain = net.forward

    def install(self) -> None:
        def forward(*args: Any, **kwargs: Any) -> Any:
            down, middle = self.forward_plain(*args, **kwargs)
            parts = [self.change(self.calls, place, part) for place, part in enumerate([*down, middle])]
            self.calls += 1
            return parts[:-1], parts[-1]

        self.net.forward = forward


def changed(kit: Kit, net: Any, control_pipeline: Any, change: Any) -> torch.Tensor:
    weighed = Weighed(net, change)
    weighed.install()
    try:
        hint = noise_image(1).pixels.movedim(-1, 1)
        return call(control_pipeline(**parts(kit), controlnet=net), kit, 1, image=hint)
    finally:
        del net.__dict__["forward"]


def test_a_curve_is_a_strength_for_each_step(kit: Kit, nets: list[Any], control_pipeline: Any, proof: Proof) -> None:
    curve = [1.0, 0.5, 0.25, 0.0]
    made = guided(kit, "net4", 1, curve=curve)
    wanted = changed(kit, nets[0], control_pipeline, lambda step, place, part: part * curve[step])
    proof.close(kit.family, "ControlNet by steps", distance(made, wanted))
    assert distance(made, guided(kit, "net4", 1)) > 100 * CLOSE


def test_weights_of_blocks(kit: Kit, nets: list[Any], control_pipeline: Any, proof: Proof) -> None:
    count = len(nets[0].controlnet_down_blocks) + 1
    blocks = [0.825 ** (count - 1 - place) for place in range(count)]
    made = guided(kit, "net4", 1, blocks=blocks)
    wanted = changed(kit, nets[0], control_pipeline, lambda step, place, part: part * blocks[place])
    proof.close(kit.family, "ControlNet by blocks", distance(made, wanted))
    assert distance(made, guided(kit, "net4", 1)) > 100 * CLOSE
    assert distance(guided(kit, "net4", 1, blocks=[0.5]), guided(kit, "net4", 1, strength=0.5)) <= CLOSE


def test_a_mask_says_where(kit: Kit, nets: list[Any], control_pipeline: Any, proof: Proof) -> None:
    from torch.nn.functional import interpolate

    left = torch.zeros(1, 64, 64)
    left[..., :32] = 1
    made = guided(kit, "net4", 1, mask=Mask(left))

    def change(step: int, place: int, part: torch.Tensor) -> torch.Tensor:
        return part * interpolate(left[None], part.shape[-2:], mode="area")

    proof.close(kit.family, "ControlNet by mask", distance(made, changed(kit, nets[0], control_pipeline, change)))
    assert distance(guided(kit, "net4", 1, mask=Mask(torch.ones(1, 64, 64))), guided(kit, "net4", 1)) <= CLOSE
    nothing = guided(kit, "net4", 1, mask=Mask(torch.zeros(1, 64, 64)))
    assert distance(nothing, finish(kit, *conditioning(kit), 1)) <= CLOSE
    with pytest.raises(ProblemError, match="2 masks"):
        finish(
            kit,
            *controlnet.apply(
                conditioning(kit)[0], recipe("ControlNet", kit.family, "net4"), noise_image(1),
                mask=Mask(torch.ones(2, 64, 64)),
            ),
            3,
        )  # fmt: skip


def test_a_controlnet_with_a_t2i_adapter(kit: Kit, nets: list[Any], adapter_net: Any, proof: Proof) -> None:
    """They add up at other places of the denoiser, so one is given to the denoiser by hand."""
    sides = conditioning(kit)
    for name in ("net4", "t2i"):
        ref = recipe("ControlNet", kit.family, name)
        sides = controlnet.apply(sides[0], ref, noise_image(1), sides[1], strength=0.6)
    made = finish(kit, *sides, 2)
    with torch.no_grad():
        features = [part * 0.6 for part in adapter_net(noise_image(1).pixels.movedim(-1, 1))]
    unet = kit.pipeline.unet
    plain = unet.forward

    def forward(sample: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        given = [part.expand(len(sample), *part.shape[1:]) for part in features]
        return plain(sample, *args, **{**kwargs, "down_intrablock_additional_residuals": given})

    unet.forward = forward
    try:
        wanted = guided(kit, "net4", 2, strength=0.6)
    finally:
        del unet.__dict__["forward"]
    proof.close(kit.family, "ControlNet and T2I-Adapter", distance(made, wanted))


def test_a_t2i_adapter_on_a_canvas_of_odd_cells(kit: Kit, adapter_net: Any) -> None:
    positive, negative = conditioning(kit)
    from safelight_nodes import latent

    ref = recipe("ControlNet", kit.family, "t2i")
    start = latent.empty(kit.vae, width=72, height=88, ctx=kit.context)
    made = finish(kit, *controlnet.apply(positive, ref, noise_image(1), negative), 1, start=start)
    assert made.shape[-2:] == (88, 72)
