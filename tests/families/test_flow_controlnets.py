"""ControlNets of transformers: as the classic pipelines call them, several at once, for a part of the steps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch

from families.flow_kits import STEPS, FlowKit, flow_kit
from node_bench import BenchContext, codes, distance
from proofs import Proof
from safelight.families._modular.tiny import lively
from safelight.sdk import Cancelled, Image, Mask, ProblemError
from safelight_nodes import controlnet, models

LIBRARY: Any = diffusers


@dataclass(frozen=True)
class Net:
    """A tiny ControlNet: its family, class and pipeline; `more` is how its configuration differs from the
    transformer's, and `kind` what it is told of its hint."""

    family: str
    made: str
    pipeline: str
    more: Mapping[str, Any]
    kind: str = "auto"


FLUX = ("flux", "FluxControlNetModel", "FluxControlNetPipeline")
SD3 = ("sd3", "SD3ControlNetModel", "StableDiffusion3ControlNetPipeline")
NETS = {
    "sd3": Net(*SD3, {"num_layers": 1, "force_zeros_for_pooled_projection": True}),
    "sd35": Net(
        *SD3,
        {
            "num_layers": 1,
            "attention_head_dim": 32,
            "num_attention_heads": 1,
            "joint_attention_dim": None,
            "use_pos_embed": False,
            "qk_norm": None,
            "dual_attention_layers": (),
            "force_zeros_for_pooled_projection": False,
        },
    ),
    "flux": Net(*FLUX, {}),
    "union": Net(*FLUX, {"num_mode": 5, "num_single_layers": 0}, "depth"),
    "xlabs": Net(*FLUX, {"conditioning_embedding_channels": 16, "patch_size": 2, "num_single_layers": 0}),
    "qwen_image": Net("qwen_image", "QwenImageControlNetModel", "QwenImageControlNetPipeline", {"num_layers": 1}),
}
LEFT_OUT = {"_class_name", "_diffusers_version", "_name_or_path", "sample_size"}


def written(name: str, kit: FlowKit, folder: Path, seed: int = 3) -> Path:
    net, cls = NETS[name], getattr(LIBRARY, NETS[name].made)
    known = set(cls._get_init_keys(cls)) - LEFT_OUT
    config = {key: value for key, value in kit.pipeline.transformer.config.items() if key in known}
    torch.manual_seed(seed)
    lively(cls(**{**config, **net.more})).save_pretrained(folder)
    return folder


def pixels(batch: int = 1, seed: int = 1) -> torch.Tensor:
    return torch.rand(batch, 64, 64, 3, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=list(NETS))
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, FlowKit]:
    name = request.param
    made = flow_kit(NETS[name].family, tmp_path_factory.mktemp(name))
    written(name, made, made.root / "models" / "net")
    written(name, made, made.root / "models" / "other", 4)
    return name, made


def guided(name: str, kit: FlowKit, net: str = "net", on: Any = None, batch: int = 1, **more: Any) -> Any:
    """Both conditionings with a ControlNet on them."""
    loaded = models.load_controlnet(controlnet=net, ctx=kit.ctx)
    assert loaded.family == kit.family
    given = {"control_type": NETS[name].kind, "vae": kit.loaded().vae, **more}
    positive, negative = on or (kit.said("a red apple on the table"), kit.said("dark photo"))
    return controlnet.apply(positive, loaded, Image(pixels(batch)), negative, **given)


def sampled(kit: FlowKit, said: Any, ctx: BenchContext | None = None, batch: int = 1, **more: Any) -> torch.Tensor:
    sides = {"positive": said.positive, "negative": said.negative if kit.guided else None}
    return kit.sampled(ctx, start=kit.empty(batch), **sides, **more).samples


def theirs(name: str, kit: FlowKit, monkeypatch: pytest.MonkeyPatch, batch: int, **more: Any) -> torch.Tensor:
    net = getattr(LIBRARY, NETS[name].made).from_pretrained(kit.root / "models" / "net")
    parts = {
        key: part for key, part in kit.pipeline.components.items() if key not in ("image_encoder", "feature_extractor")
    }
    pipeline = getattr(LIBRARY, NETS[name].pipeline)(**parts, controlnet=net)
    pipeline.set_progress_bar_config(disable=True)
    encode = pipeline.vae.encode

    def mean(image: torch.Tensor) -> Any:
        """The mean of what the encoder says, as we take it, in place of a draw from it."""
        found = encode(image).latent_dist.mean
        return SimpleNamespace(latents=found, latent_dist=SimpleNamespace(sample=lambda *_: found, mean=found))

    monkeypatch.setattr(pipeline.vae, "encode", mean)
    if NETS[name].kind == "depth":
        more["control_mode"] = 2
    image = pixels(batch).movedim(-1, 1) * 2 - 1
    # Latents, as the pipeline of Stable Diffusion 3 decodes them without the shift of its VAE.
    return kit.theirs(batch, pipeline=pipeline, control_image=image, output_type="latent", **more)


@pytest.mark.parametrize("batch", [1, 3])
def test_as_the_classic_pipeline(
    kit: tuple[str, FlowKit], batch: int, monkeypatch: pytest.MonkeyPatch, proof: Proof
) -> None:
    name, flow = kit
    made = sampled(flow, guided(name, flow, batch=batch, strength=0.8), batch=batch)
    found = theirs(name, flow, monkeypatch, batch, controlnet_conditioning_scale=0.8)
    proof.close(flow.family, f"ControlNet ({name})", distance(flow.pack(made), found), batch)
    assert distance(made, flow.sampled(start=flow.empty(batch)).samples) > 1e-3


def test_for_a_part_of_the_steps(kit: tuple[str, FlowKit], monkeypatch: pytest.MonkeyPatch) -> None:
    name, flow = kit
    made = sampled(flow, guided(name, flow, start=0.25, end=0.75))
    found = theirs(name, flow, monkeypatch, 1, control_guidance_start=0.25, control_guidance_end=0.75)
    assert distance(flow.pack(made), found) <= 1e-5
    assert distance(made, sampled(flow, guided(name, flow))) > 1e-4
    assert torch.equal(made, sampled(flow, guided(name, flow, curve=[0.0, 1.0, 1.0, 0.0])))


def test_several_add_up_and_go_on_after_a_stop(kit: tuple[str, FlowKit]) -> None:
    name, flow = kit
    one = guided(name, flow, strength=0.5)
    # The same net twice at half its strength is the net.
    assert distance(sampled(flow, guided(name, flow, on=one, strength=0.5)), sampled(flow, guided(name, flow))) <= 1e-5
    both = guided(name, flow, "other", on=one)
    straight = sampled(flow, both)
    assert distance(straight, sampled(flow, one)) > 1e-4
    stopped = BenchContext(flow.store, cancel_at=3, keep_at=2)
    with pytest.raises(Cancelled):
        sampled(flow, both, stopped)
    (state,) = stopped.kept
    resumed = BenchContext(flow.store, state=state)
    assert torch.equal(sampled(flow, both, resumed), straight)
    assert resumed.steps[0] == (3, STEPS)


def test_a_single_file_is_the_folder(kit: tuple[str, FlowKit]) -> None:
    name, flow = kit
    folder = flow.root / "models" / "net"
    (weights,) = folder.glob("*.safetensors")
    file = flow.root / "models" / "alone.safetensors"
    file.write_bytes(weights.read_bytes())
    assert torch.equal(sampled(flow, guided(name, flow, "alone.safetensors")), sampled(flow, guided(name, flow)))


def test_what_it_cannot_do_is_refused(kit: tuple[str, FlowKit]) -> None:
    name, flow = kit
    wrong: dict[str, dict[str, Any]] = {
        "feature_not_in_family": {"guess": True},
        "control_type": {"control_type": "normal"},
        "wrong_batch": {"batch": 2},
    }
    for code, more in wrong.items():
        with pytest.raises(ProblemError) as caught:
            sampled(flow, guided(name, flow, **more))
        assert {found[0] for found in codes(caught)} == {code}
    asked: tuple[dict[str, Any], ...] = ({"mask": Mask(torch.ones(1, 64, 64))}, {"blocks": [0.5]})
    for more in asked:
        with pytest.raises(ProblemError) as caught:
            sampled(flow, guided(name, flow, **more))
        assert {found[0] for found in codes(caught)} == {"feature_not_in_family"}
    if name != "xlabs":
        with pytest.raises(ProblemError) as caught:
            sampled(flow, guided(name, flow, vae=None))
        assert codes(caught) == [("controlnet_vae", "positive")]


def test_one_that_sees_a_mask_is_told_and_another_family_refuses(tmp_path: Path) -> None:
    flow = flow_kit("qwen_image", tmp_path)
    folder = written("qwen_image", flow, tmp_path / "models" / "net")
    said = guided("qwen_image", flow)
    other = flow_kit("krea2", tmp_path / "other")
    with pytest.raises(ProblemError) as caught:
        other.sampled(
            positive=other.said("a red apple").__class__(other.said("a red apple").prompts, said.positive.controls)
        )
    assert codes(caught)[0] == ("feature_not_in_family", "positive")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "extra_condition_channels": 4}))
    with pytest.raises(ProblemError) as caught:
        models.load_controlnet(controlnet="net", ctx=flow_kit("qwen_image", tmp_path).ctx)
    assert codes(caught)[0][0] == "unsupported_family"
