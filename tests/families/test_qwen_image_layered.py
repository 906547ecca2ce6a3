"""Qwen-Image Layered: an image is taken apart into layers with opacity, all of which are denoised together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image as Pillow

from families.flow_kits import NEGATIVE, PROMPT, SEED, STEPS, FlowKit, flow_kit
from families.resuming import goes_on, killable, workflow
from node_bench import BenchContext, codes, distance
from proofs import Proof
from safelight.diffusion.noise import draw, generators
from safelight.families.qwen_image.layered import MADE
from safelight.sdk import Cancelled, Image, Latent, ProblemError
from safelight_nodes import guide, latent, vae

LAYERS = 3


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit("qwen_image", tmp_path_factory.mktemp("layered"), made=MADE)


def shown(height: int = 64, width: int = 96) -> torch.Tensor:
    """Pixels (1, H, W, 4) that 8 bits hold, with opacity."""
    return torch.randint(0, 256, (1, height, width, 4), generator=torch.Generator().manual_seed(1)) / 255


def encoded(kit: FlowKit, pixels: torch.Tensor) -> Latent:
    return vae.encode(kit.loaded().vae, Image(pixels), ctx=kit.ctx)


def sampled(kit: FlowKit, ctx: BenchContext | None = None, batch: int = 1, **more: Any) -> Latent:
    image = encoded(kit, shown())
    many = latent.repeat(image, times=batch)
    positive = guide.edit(kit.said(PROMPT), image)
    return kit.sampled(ctx, latent.empty_layers(many, layers=LAYERS), **{"positive": positive, **more})


def theirs(kit: FlowKit, monkeypatch: pytest.MonkeyPatch, batch: int = 1) -> torch.Tensor:
    """What the pipeline makes of the same noise, (batch * layers, 4, H, W), the norm of the prediction kept, as the
    makers advise."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_layered

    monkeypatch.setattr(pipeline_qwenimage_layered, "calculate_dimensions", lambda _, ratio: (round(64 * ratio), 64))
    noise = draw(generators(SEED, batch), (16, 1 + LAYERS, 8, 12)).transpose(1, 2)
    library: Any = diffusers
    packed = library.QwenImageLayeredPipeline._pack_latents(noise, batch, 16, 8, 12, 1 + LAYERS)
    picture = Pillow.fromarray((shown()[0] * 255).round().byte().numpy())
    found = kit.pipeline(
        picture,
        prompt=[PROMPT] * batch,
        negative_prompt=[NEGATIVE] * batch,
        true_cfg_scale=5.0,
        layers=LAYERS,
        num_inference_steps=STEPS,
        latents=packed,
        cfg_normalize=True,
        output_type="pt",
    )
    return torch.cat(list(found.images))


@pytest.mark.parametrize("batch", [1, 3])
def test_an_image_is_taken_apart(kit: FlowKit, batch: int, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    made = vae.decode_layers(kit.loaded().vae, sampled(kit, batch=batch), ctx=kit.ctx).pixels
    assert made.shape == (batch * LAYERS, 64, 96, 4)
    assert made.std(dim=(0, 1, 2)).min() > 0.01  # of the opacity as well
    proof.close(kit.family, "layers", distance(made.movedim(-1, 1), theirs(kit, monkeypatch, batch)), batch)


def test_opacity_of_the_image_counts(kit: FlowKit) -> None:
    whole = torch.cat([shown()[..., :3], torch.ones(1, 64, 96, 1)], dim=-1)
    assert torch.equal(encoded(kit, whole).samples, encoded(kit, whole[..., :3]).samples)
    assert distance(encoded(kit, shown()).samples, encoded(kit, whole).samples) > 1e-3


def test_layers_are_as_large_as_an_image_that_was_filled_up(kit: FlowKit) -> None:
    image = encoded(kit, shown(60, 90))
    start = latent.empty_layers(image, layers=2)
    made = kit.sampled(start=start, positive=guide.edit(kit.said(PROMPT), image))
    assert vae.decode_layers(kit.loaded().vae, made, ctx=kit.ctx).pixels.shape == (2, 60, 90, 4)


def test_it_goes_on_after_a_stop(kit: FlowKit) -> None:
    straight = sampled(kit).samples
    stopped = BenchContext(kit.store, cancel_at=3, keep_at=2)
    with pytest.raises(Cancelled):
        sampled(kit, stopped)
    (state,) = stopped.kept
    resumed = BenchContext(kit.store, state=state)
    assert torch.equal(sampled(kit, resumed).samples, straight)
    assert resumed.steps[0] == (3, STEPS)


def test_what_does_not_fit_is_told(kit: FlowKit, tmp_path: Path) -> None:
    image = encoded(kit, shown())
    layers = latent.empty_layers(image, layers=1)
    seen = guide.edit(kit.said(PROMPT), image)

    def refused(**given: Any) -> list[Any]:
        with pytest.raises(ProblemError) as caught:
            kit.sampled(**given)
        return codes(caught)

    assert refused(start=layers) == [("shown_missing", "positive")]
    assert refused(start=image, positive=seen) == [("wrong_latent", "latent")]
    other = latent.empty_layers(encoded(kit, shown(64, 64)))
    assert refused(start=other, positive=seen) == [("wrong_size", "latent")]
    assert refused(start=layers, positive=seen, denoise=0.5) == [("feature_not_in_family", "latent")]
    for wrong in (lambda: latent.empty_layers(layers), lambda: vae.decode(kit.loaded().vae, layers, ctx=kit.ctx)):
        with pytest.raises(ProblemError) as caught:
            wrong()
        assert codes(caught)[0][0] == "wrong_latent"
    with pytest.raises(ProblemError) as caught:
        vae.decode_layers(kit.loaded().vae, image, ctx=kit.ctx)
    assert codes(caught) == [("wrong_latent", "latent")]
    plain = flow_kit("qwen_image", tmp_path)
    with pytest.raises(ProblemError) as caught:
        vae.decode_layers(plain.loaded().vae, layers, ctx=plain.ctx)
    assert codes(caught) == [("wrong_model", "vae")]
    with pytest.raises(ProblemError) as caught:
        plain.sampled(start=layers)
    assert codes(caught) == [("wrong_latent", "latent")]


def test_other_guidance(kit: FlowKit) -> None:
    made = sampled(kit, guidance=1.0, negative=None)
    assert made.samples.shape == (1, 16, 1 + LAYERS, 8, 12)
    assert made.samples.isfinite().all()


@pytest.mark.in_turn
@killable
def test_killed_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    document = workflow()
    document["nodes"] |= {
        "image": {"type": "latent.empty", "values": {"width": 64, "height": 64}},
        "empty": {"type": "latent.empty_layers", "values": {"layers": 2}},
        "edit": {"type": "guide.edit", "values": {}},
        "decode": {"type": "vae.decode_layers"},
    }
    told = {
        "image.vae": "load.vae",
        "empty.image": "image.latent",
        "edit.positive": "said.conditioning",
        "edit.latent": "image.latent",
        "sample.positive": "edit.conditioning",
    }
    links = [link for link in document["links"] if link["to"] not in (*told, "empty.vae")]
    document["links"] = [*links, *({"from": source, "to": to} for to, source in told.items())]

    def make(models: Path) -> None:
        flow_kit("qwen_image", models.parent, made=MADE)

    assert goes_on(make, document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed("qwen_image", "layers")
