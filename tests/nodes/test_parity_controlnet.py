"""ControlNets: equal to the diffusers pipelines that do the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from node_bench import CLOSE, SEED, Kit, distance, recipe
from node_guides import call, conditioning, finish, noise_image, parts
from proofs import Proof
from safelight.sdk import Conditioning, Image, Latent, ProblemError
from safelight_nodes import controlnet, latent, sampling


@pytest.mark.parametrize("batch", [1, 3])
def test_one_controlnet(kit: Kit, nets: list[Any], control_pipeline: Any, batch: int, proof: Proof) -> None:
    hint = noise_image(1)
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
    proof.close(kit.family, "ControlNet", distance(made, wanted), batch)
    assert distance(made, finish(kit, *conditioning(kit), batch)) > 1e-3, "the ControlNet has an effect"


@pytest.mark.parametrize("batch", [1, 3])
def test_two_controlnets(kit: Kit, nets: list[Any], control_pipeline: Any, batch: int, proof: Proof) -> None:
    from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel

    hints = noise_image(1), noise_image(2)
    sides = conditioning(kit)
    for seed, hint, strength in zip((4, 14), hints, (0.8, 0.5), strict=True):
        sides = controlnet.apply(
            sides[0], recipe("ControlNet", kit.family, f"net{seed}"), hint, sides[1], strength=strength
        )
    made = finish(kit, *sides, batch)
    pipeline = control_pipeline(**parts(kit), controlnet=MultiControlNetModel(nets))
    wanted = call(
        pipeline,
        kit,
        batch,
        image=[hint.pixels.movedim(-1, 1) for hint in hints],
        controlnet_conditioning_scale=[0.8, 0.5],
    )
    proof.close(kit.family, "ControlNets, several", distance(made, wanted), batch)


def test_one_controlnet_with_two_hints(kit: Kit, nets: list[Any], control_pipeline: Any) -> None:
    from diffusers.models.controlnets.multicontrolnet import MultiControlNetModel

    hints = noise_image(1), noise_image(2)
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
    net, hint = nets[0], noise_image(1).pixels.movedim(-1, 1)
    with torch.no_grad():
        before = net.controlnet_cond_embedding(hint)
    sides = controlnet.apply(*_args(kit, noise_image(2)))
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
    guided = controlnet.apply(positive, recipe("ControlNet", kit.family, "net4"), noise_image(1)).positive
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
            scheduler="trailing",
            seed=SEED,
            ctx=ctx,
        ).samples

    alone, opposed = one(guided, None, 1.0), one(negative, None, 1.0)
    mixed = one(guided, negative, 3.0)
    assert distance(mixed, opposed + 3.0 * (alone - opposed)) <= 1e-3
    assert distance(alone, opposed) > 0.1


def test_guides_of_another_family_or_number_are_problems(kit: Kit, nets: list[Any], adapter: Any) -> None:
    positive, negative = conditioning(kit)
    wrong = recipe("ControlNet", "sd2", "net4")
    with pytest.raises(ProblemError, match="sd2"):
        finish(kit, *controlnet.apply(positive, wrong, noise_image(1), negative), 1)
    right = recipe("ControlNet", kit.family, "net4")
    with pytest.raises(ProblemError, match="2 images") as caught:
        finish(kit, *controlnet.apply(positive, right, noise_image(1, 2), negative), 3)
    assert caught.value.problems[0].code == "wrong_batch"
    with pytest.raises(ProblemError, match="empty"):
        controlnet.apply(positive, right, noise_image(1), start=0.5, end=0.5)


def test_hints_of_any_size_fit_and_one_a_image_may_be_given(kit: Kit, nets: list[Any]) -> None:
    positive, negative = conditioning(kit)
    net = recipe("ControlNet", kit.family, "net4")
    ramps = [torch.linspace(0, 1, side)[None, :, None, None].expand(1, side, side, 3) for side in (64, 192)]
    small, large = (finish(kit, *controlnet.apply(positive, net, Image(ramp), negative), 1) for ramp in ramps)
    assert distance(small, large) < 5e-3
    two = Image(torch.cat([noise_image(1).pixels, noise_image(2).pixels]))
    both = finish(kit, *controlnet.apply(positive, net, two, negative), 2)
    first = finish(kit, *controlnet.apply(positive, net, noise_image(1), negative), 2)
    assert distance(both[:1], first[:1]) <= CLOSE
    assert distance(both[1:], first[1:]) > 1e-3


def test_a_stretched_hint_is_told(kit: Kit, nets: list[Any]) -> None:
    """Where it has other proportions than the image that is made, and not where it has others by rounding."""
    positive, negative = conditioning(kit)
    net = recipe("ControlNet", kit.family, "net4")
    told: list[list[str]] = []
    for size in ((64, 64), (48, 64), (63, 64)):
        ctx = kit.context
        hint = Image(torch.rand(1, *size, 3, generator=torch.Generator().manual_seed(1)))
        sides = controlnet.apply(positive, net, hint, negative)
        sampling.sample(kit.denoiser, *sides, latent.empty(kit.vae, ctx=ctx), steps=2, seed=SEED, ctx=ctx)
        told.append([f"{problem.code} {problem.level}" for problem in ctx.warned if problem.port == "positive"])
    assert told == [[], ["hint_stretched warning"], []]


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("batch", [1, 3])
def test_guess_mode(
    kit: Kit, nets: list[Any], control_pipeline: Any, batch: int, guidance: float, proof: Proof
) -> None:
    positive, ref, hint, negative = _args(kit, noise_image(1))
    sides = controlnet.apply(positive, ref, hint, negative, strength=0.8, guess=True)
    assert sides.negative is negative
    made = finish(kit, *sides, batch, guidance=guidance)
    pipeline = control_pipeline(**parts(kit), controlnet=nets[0])
    wanted = call(
        pipeline, kit, batch, image=hint.pixels.movedim(-1, 1), controlnet_conditioning_scale=0.8, guess_mode=True,
        guidance_scale=guidance,
    )  # fmt: skip
    proof.close(kit.family, "ControlNet, guess mode", distance(made, wanted), batch)
    plain = controlnet.apply(positive, ref, hint, negative, strength=0.8)
    assert distance(made, finish(kit, *plain, batch, guidance=guidance)) > 100 * CLOSE
