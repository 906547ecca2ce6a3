"""Training of IP-Adapters: attentions of diffusers', learned from images, in the form of the published files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import tiny_sets
from node_bench import BenchContext
from safelight.engine import NodeProgress
from safelight.sdk import ProblemError
from safelight_nodes._training.ip_adapter import adapter_tensors, add_adapter, seen
from safelight_nodes.training import adapters
from small_denoiser import FAST, bench, latents_of, ref, small_unet


def with_encoder(ctx: BenchContext, projected: bool = True) -> BenchContext:
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8,
        projection_dim=24,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(6)
        encoder = (CLIPVisionModelWithProjection if projected else CLIPVisionModel)(config).eval()
    processor = CLIPImageProcessor(size=32, crop_size=32)
    ctx.models.put("ImageEncoder", "small", SimpleNamespace(encoder=encoder, processor=processor))
    return ctx


def nameless(images: Any) -> Any:
    """The set with one caption for all: only the image itself can say which it is."""
    images = replace(images, entries=tuple({**entry, "style": -1} for entry in images.entries))
    return replace(images, subjects={key: {**said, "names": ["thing"]} for key, said in images.subjects.items()})


def test_a_new_one_asks_as_the_text_does_and_has_the_published_names() -> None:
    unet = small_unet()
    names = list(unet.attn_processors)
    keys = {at: unet.get_submodule(name.removesuffix(".processor")).to_k for at, name in enumerate(names)}
    learned = add_adapter(unet, 24, seed=1)
    tensors = adapter_tensors(unet)
    looking = [at for at, name in enumerate(names) if name.endswith("attn2.processor")]
    wanted = {f"ip_adapter.{at}.to_{kind}_ip.weight" for at in looking for kind in "kv"}
    projection = {f"image_proj.{layer}.{kind}" for layer in ("proj", "norm") for kind in ("weight", "bias")}
    assert set(tensors) == wanted | projection
    for at in looking:
        assert torch.equal(tensors[f"ip_adapter.{at}.to_k_ip.weight"], keys[at].weight)
    assert tensors["image_proj.proj.weight"].shape == (4 * 32, 24)
    assert sum(p.numel() for p in learned) == sum(t.numel() for t in tensors.values())
    assert {id(p) for p in unet.parameters() if p.requires_grad} >= {id(p) for p in learned}


def test_what_is_written_is_what_was_learned() -> None:
    """Loaded again by diffusers into another copy of the denoiser, it predicts the same."""
    unet = small_unet().requires_grad_(False)
    learned = add_adapter(unet, 24, seed=1)
    with torch.no_grad():
        for number, parameter in enumerate(learned):
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)) * 0.3)
    groups: dict[str, dict[str, Any]] = {"image_proj": {}, "ip_adapter": {}}
    for name, tensor in adapter_tensors(unet).items():
        group, _, rest = name.partition(".")
        groups[group][rest] = tensor
    other = small_unet()
    other._load_ip_adapter_weights([groups], low_cpu_mem_usage=False)
    noisy, said, looks = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 32), torch.randn(2, 1, 24)
    with torch.no_grad():
        one, two = (net(noisy, 7, said, added_cond_kwargs={"image_embeds": [looks]}).sample for net in (unet, other))
        without = small_unet()(noisy, 7, said).sample
    assert torch.equal(one, two)
    assert not torch.allclose(one, without, atol=1e-3)


def test_images_are_looked_at_as_the_node_does_it_that_applies_one() -> None:
    from safelight_nodes import dataset, ip_adapter

    images = tiny_sets.image_set(32)
    ctx = with_encoder(bench())
    found = seen(images, latents_of(images), ref("ImageEncoder"), ctx)
    assert found.shape == (18, 2, 24)
    shown = dataset.to_images(images, background="#fcfcfc").image
    looks = SimpleNamespace(last=False, patches=False, blank=False)
    wanted, unwanted = ip_adapter._embedded(ctx, ref("IPAdapter"), ref("ImageEncoder"), shown, looks)  # pyright: ignore
    assert torch.allclose(found[:, 0], wanted, atol=1e-5)
    assert not unwanted.any(), "no image is zeros, as the part of the examples without one learns it"


def test_it_learns_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the images are black and half white, with one caption for all: only their summaries tell them apart."""
    from safelight_nodes._training import ip_adapter as training

    images = nameless(tiny_sets.image_set(32))
    latents = latents_of(images, slots=1)
    sides = torch.tensor([1.0, -1.0]).repeat(9)
    latents = replace(latents, samples=sides[:, None, None, None, None].expand(-1, 1, 4, 8, 8).half())
    losses: dict[str, float] = {}
    for what, told in (("own", sides), ("none", torch.zeros(18))):
        summaries = told[:, None, None].expand(-1, 1, 24)
        monkeypatch.setattr(training, "seen", lambda *_, found=summaries: found)
        ctx = with_encoder(bench())
        made = adapters.ip_adapter(
            latents, images, ref("Denoiser"), ref("TextEncoder"), ref("ImageEncoder"), None,
            updates=60, **(FAST | {"learning_rate": 1e-2}), ctx=ctx,
        )  # fmt: skip
        values = [value for _, value in made.curve]
        losses[what] = sum(values[-20:])
        assert losses[what] < 0.9 * sum(values[:20])
        assert ctx.steps[-1] == (60, 60)
    assert losses["own"] < 0.9 * losses["none"]


def test_an_encoder_without_a_summary_is_refused() -> None:
    images = tiny_sets.image_set(32)
    with pytest.raises(ProblemError) as caught:
        adapters.ip_adapter(
            latents_of(images), images, ref("Denoiser"), ref("TextEncoder"), ref("ImageEncoder"), None,
            ctx=with_encoder(bench(), projected=False),
        )  # fmt: skip
    assert [(problem.code, problem.port) for problem in caught.value.problems] == [("adapter_input", "encoder")]


def test_it_is_written_with_its_encoder_and_guides(run: Callable[..., Any], home: Path) -> None:
    outcome, events = run(
        "ip_adapter", name="looking", model="tiny", encoder="tower", updates=3, batch=2, steps=2, shown=2
    )
    assert {"curve", "sheet"} <= set(outcome.outputs)
    folder = home / "models" / "looking"
    assert {path.name for path in folder.iterdir()} == {"ip_adapter.safetensors", "image_encoder", "training.json"}
    assert json.loads((folder / "training.json").read_text())["ip_adapter"]["updates"] == 3
    assert any(event.preview is not None for event in events if isinstance(event, NodeProgress))
