"""Qwen-Image Edit and Edit Plus: an instruction is read with its images, which the transformer sees as well."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image as Pillow

from families.flow_kits import NEGATIVE, PROMPT, STEPS, FlowKit, flow_kit
from families.resuming import goes_on, killable, workflow
from node_bench import BenchContext, codes, distance
from proofs import Proof
from safelight.families.qwen_image import edit
from safelight.sdk import Cancelled, Image, Latent, ProblemError
from safelight_nodes import guide, text, vae

KINDS = {"edit": "QwenImageEditPipeline", "plus": "QwenImageEditPlusPipeline"}
AREA = 64 * 64


@pytest.fixture(scope="module", params=list(KINDS))
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FlowKit:
    return flow_kit("qwen_image", tmp_path_factory.mktemp(request.param), made=KINDS[request.param])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of few pixels, here and in the pipelines."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus

    calculate = pipeline_qwenimage_edit.calculate_dimensions
    monkeypatch.setattr(pipeline_qwenimage_edit, "calculate_dimensions", lambda _, ratio: calculate(AREA, ratio))
    for name in ("VAE_IMAGE_SIZE", "CONDITION_IMAGE_SIZE"):
        monkeypatch.setattr(pipeline_qwenimage_edit_plus, name, AREA)
    for kind in edit.KINDS.values():
        monkeypatch.setitem(kind.__dict__, "area", AREA)


def shown(seed: int = 1) -> torch.Tensor:
    """Pixels (1, 64, 64, 3) that 8 bits hold."""
    return torch.randint(0, 256, (1, 64, 64, 3), generator=torch.Generator().manual_seed(seed)) / 255


def said(kit: FlowKit, *seeds: int, latents: bool = True) -> dict[str, Any]:
    """Both sides, told of these images."""
    images = [Image(shown(seed)) for seed in seeds]
    sides = {}
    for side, prompt in (("positive", PROMPT), ("negative", NEGATIVE)):
        sides[side] = text.encode_with_images(kit.loaded().text, *images, text=prompt, ctx=kit.ctx)
    for image in images if latents else ():
        sides["positive"] = guide.edit(sides["positive"], encoded(kit, image))
    return sides


def encoded(kit: FlowKit, image: Image) -> Latent:
    return vae.encode(kit.loaded().vae, image, ctx=kit.ctx)


def theirs(kit: FlowKit, monkeypatch: pytest.MonkeyPatch, *seeds: int, batch: int = 1) -> torch.Tensor:
    images = [Pillow.fromarray((shown(seed)[0] * 255).round().byte().numpy()) for seed in seeds]
    read = kit.pipeline.text_encoder.forward
    mark = kit.pipeline.text_encoder.config.image_token_id

    def in_two_dimensions(*args: Any, **given: Any) -> Any:
        """The pipeline does not say which tokens are images: without that, all of them stand in a row."""
        return read(*args, **given, mm_token_type_ids=(given["input_ids"] == mark).int())

    monkeypatch.setattr(kit.pipeline.text_encoder, "forward", in_two_dimensions)
    encode = kit.pipeline.vae.encode

    def mean(image: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(latents=encode(image).latent_dist.mean)

    monkeypatch.setattr(kit.pipeline.vae, "encode", mean)
    # It puts the images before each prompt of a batch, and reads them once: so one prompt, several times.
    given = {
        "image": images[0] if len(images) == 1 else images,
        "max_sequence_length": 1024,
        "num_images_per_prompt": batch,
    }
    return kit.theirs(batch, prompt=PROMPT, negative_prompt=NEGATIVE, **given)


@pytest.mark.parametrize("batch", [1, 3])
def test_an_image_is_edited(kit: FlowKit, batch: int, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    made = kit.decoded(kit.sampled(start=kit.empty(batch), **said(kit, 1)))
    found = theirs(kit, monkeypatch, 1, batch=batch)
    proof.close(kit.family, f"edit ({kit.row.pipeline})", distance(made, found), batch)


def test_several_images_where_the_kind_can(kit: FlowKit, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    if kit.row.pipeline == KINDS["edit"]:
        with pytest.raises(ProblemError) as caught:
            said(kit, 1, 2)
        assert codes(caught) == [("feature_not_in_family", "encoder")]
        return
    made = kit.decoded(kit.sampled(**said(kit, 1, 2)))
    proof.close(kit.family, "edit, two images", distance(made, theirs(kit, monkeypatch, 1, 2)))


def test_words_and_images_count(kit: FlowKit) -> None:
    made = kit.sampled(**said(kit, 1)).samples
    read = said(kit, 2)
    seen = guide.edit(said(kit, 1, latents=False)["positive"], encoded(kit, Image(shown(2))))
    for other in (read["positive"], seen, said(kit, 1, latents=False)["positive"]):
        assert distance(made, kit.sampled(positive=other, negative=said(kit, 1)["negative"]).samples) > 1e-4
    # Without any image it makes one from words.
    assert kit.sampled().samples.isfinite().all()


def test_it_goes_on_after_a_stop(kit: FlowKit) -> None:
    sides = said(kit, 1)
    straight = kit.sampled(**sides).samples
    stopped = BenchContext(kit.store, cancel_at=3, keep_at=2)
    with pytest.raises(Cancelled):
        kit.sampled(stopped, **sides)
    (state,) = stopped.kept
    resumed = BenchContext(kit.store, state=state)
    assert torch.equal(kit.sampled(resumed, **sides).samples, straight)
    assert resumed.steps[0] == (3, STEPS)


def test_a_plain_one_neither_reads_nor_sees_images(tmp_path: Path) -> None:
    plain = flow_kit("qwen_image", tmp_path)
    with pytest.raises(ProblemError) as caught:
        said(plain, 1)
    assert codes(caught) == [("feature_not_in_family", "encoder")]
    with pytest.raises(ProblemError) as caught:
        plain.sampled(positive=guide.edit(plain.said(PROMPT), encoded(plain, Image(shown()))))
    assert codes(caught) == [("feature_not_in_family", "positive")]


@pytest.mark.in_turn
@killable
@pytest.mark.parametrize("kind", KINDS)
def test_killed_it_goes_on(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: Proof) -> None:
    """Edit Plus with two images."""
    monkeypatch.undo()  # the process that is killed knows nothing of it
    document = workflow()
    document["nodes"] |= {
        "blank": {"type": "latent.empty", "values": {}},
        "seen": {"type": "vae.decode", "values": {}},
        "read": {"type": "text.encode_with_images", "values": {"text": PROMPT}},
        "again": {"type": "vae.encode", "values": {}},
        "edit": {"type": "guide.edit", "values": {}},
    }
    links = [link for link in document["links"] if link["to"] != "sample.positive"]
    told = {
        "blank.vae": "load.vae",
        "seen.vae": "load.vae",
        "seen.latent": "blank.latent",
        "read.encoder": "load.text",
        "read.image": "seen.image",
        "again.vae": "load.vae",
        "again.image": "seen.image",
        "edit.positive": "read.conditioning",
        "edit.latent": "again.latent",
        "sample.positive": "edit.conditioning",
    }
    document["links"] = [*links, *({"from": source, "to": to} for to, source in told.items())]
    document["nodes"].pop("said", None)
    document["links"] = [link for link in document["links"] if not link["to"].startswith("said.")]

    if kind == "plus":
        document["nodes"]["further"] = {"type": "guide.edit"}
        told = {
            "read.second": "seen.image",
            "further.positive": "edit.conditioning",
            "further.latent": "again.latent",
            "sample.positive": "further.conditioning",
        }
        document["links"] = [link for link in document["links"] if link["to"] != "sample.positive"]
        document["links"] += [{"from": source, "to": to} for to, source in told.items()]

    def make(models: Path) -> None:
        flow_kit("qwen_image", models.parent, made=KINDS[kind])

    assert goes_on(make, document, "*.png", tmp_path, monkeypatch) == 2
    proof.resumed("qwen_image", f"edit ({KINDS[kind]})", *(["edit, two images"] if kind == "plus" else []))
