"""Models of transformers that describe, write and embed: held against transformers called by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_readers
from node_bench import BenchContext, codes
from safelight.engine.cache.fingerprints import Fingerprints
from safelight.environment import Environment
from safelight.models import ModelStore
from safelight.sdk import Image, ModelRef, ProblemError
from safelight_nodes.reading import embed, models, write

IMAGES = Image(torch.rand(3, 16, 16, 3, generator=torch.Generator().manual_seed(1)).mul(255).round() / 255)


@pytest.fixture(scope="module")
def ctx(tmp_path_factory: pytest.TempPathFactory) -> BenchContext:
    root = tmp_path_factory.mktemp("models")
    for make in (tiny_readers.tiny_writer, tiny_readers.tiny_describer, tiny_readers.tiny_embedder):
        make(root / "models" / make.__name__)
    environment = Environment.read({"SAFELIGHT_DEVICE": "cpu"})
    return BenchContext(ModelStore(root, fingerprint=Fingerprints(None).digest, environment=environment), folder=root)


def loaded(ctx: BenchContext, name: str) -> ModelRef[Any]:
    return models.load(model=name, precision="float32", ctx=ctx)


def folder(ctx: BenchContext, name: str) -> Path:
    assert ctx.folder is not None
    return ctx.folder / "models" / name


def test_a_description_is_that_of_transformers(ctx: BenchContext) -> None:
    from transformers import BlipForConditionalGeneration, BlipProcessor

    path = folder(ctx, "tiny_describer")
    theirs, processor = BlipForConditionalGeneration.from_pretrained(path), BlipProcessor.from_pretrained(path)
    for prompt in ("", "a photo of"):
        ours = write.describe(IMAGES, loaded(ctx, "tiny_describer"), prompt=prompt, length=8, ctx=ctx)
        for said, pixels in zip(ours, IMAGES.pixels, strict=True):
            given = processor(images=(pixels * 255).byte().numpy(), text=prompt or None, return_tensors="pt")
            with torch.no_grad():
                made = theirs.generate(**given, max_new_tokens=8, num_beams=1, do_sample=False)
            assert processor.decode(made[0], skip_special_tokens=True).strip().endswith(said)
    assert len(ours) == 3


def test_what_is_written_goes_on_from_the_prompt_and_follows_the_seed(ctx: BenchContext) -> None:
    model = loaded(ctx, "tiny_writer")
    texts = [write.write(model, prompt="a red", length=6, temperature=1.5, seed=seed, ctx=ctx) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert all(text.startswith("a red ") for text in texts)
    state = torch.random.get_rng_state()
    write.write(model, prompt="a red", length=3, ctx=ctx)
    assert torch.equal(torch.random.get_rng_state(), state), "chance outside is left alone"
    with pytest.raises(ProblemError) as caught:
        write.write(model, prompt="a " * 40, ctx=ctx)
    assert codes(caught) == [("text_too_long", "prompt")]


def test_vectors_are_those_of_transformers(ctx: BenchContext) -> None:
    from transformers import CLIPModel, CLIPProcessor

    path = folder(ctx, "tiny_embedder")
    theirs, processor = CLIPModel.from_pretrained(path), CLIPProcessor.from_pretrained(path)
    model = loaded(ctx, "tiny_embedder")
    ours = embed.embed_images([IMAGES], model, ctx=ctx), embed.embed_texts(["a red apple", "a dog"], model, ctx=ctx)
    pictures = list((IMAGES.pixels * 255).byte().numpy())
    given = processor(images=pictures, text=["a red apple", "a dog"], padding=True, return_tensors="pt")
    with torch.no_grad():
        wanted = theirs(**given)
    assert torch.allclose(ours[0].unit(), wanted.image_embeds, atol=1e-5)
    assert torch.allclose(ours[1].unit(), wanted.text_embeds, atol=1e-5)
    cosines = embed.similarity(ours[0], ours[1])
    assert torch.allclose(
        torch.tensor(cosines), (wanted.image_embeds @ wanted.text_embeds.T).max(dim=1).values, atol=1e-5
    )


def test_near_duplicates_are_dropped(ctx: BenchContext) -> None:
    model = loaded(ctx, "tiny_embedder")
    twice = [IMAGES, Image(IMAGES.pixels[:1])]
    vectors = embed.embed_images(twice, model, ctx=ctx)
    found = embed.deduplicate(["a", "b", "c", "a again"], vectors, threshold=0.99999)
    assert found.dropped == ["a again"]
    assert found.kept == ["a", "b", "c"]
    assert embed.similarity(vectors, embed.embed_images([IMAGES], model, ctx=ctx)) == pytest.approx([1] * 4, abs=1e-5)
    with pytest.raises(ProblemError) as caught:
        embed.deduplicate(["a"], vectors)
    assert codes(caught) == [("length_mismatch", "vectors")]


def test_models_that_cannot_are_told(ctx: BenchContext) -> None:
    writer, embedder, describer = (loaded(ctx, f"tiny_{name}") for name in ("writer", "embedder", "describer"))
    for asked in (
        lambda: write.describe(IMAGES, writer, ctx=ctx),
        lambda: write.describe(IMAGES, embedder, ctx=ctx),
        lambda: write.write(embedder, prompt="a", ctx=ctx),
        lambda: embed.embed_images([IMAGES], writer, ctx=ctx),
        lambda: embed.embed_texts(["a"], describer, ctx=ctx),
    ):
        with pytest.raises(ProblemError) as caught:
            asked()
        assert codes(caught) == [("wrong_model", "model")]
    for asked, port in (
        (lambda: embed.embed_images([], embedder, ctx=ctx), "images"),
        (lambda: embed.embed_texts([], embedder, ctx=ctx), "texts"),
    ):
        with pytest.raises(ProblemError) as caught:
            asked()
        assert codes(caught) == [("list_empty", port)]
