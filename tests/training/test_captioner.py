"""The captioner: its loss against its formula, what it learns to say, and what is saved describes images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import tiny_sets
from node_bench import BenchContext, codes
from safelight.sdk import Cancelled, ModelRef, ProblemError, Source
from safelight_nodes._training import writing
from safelight_nodes._training.caption_data import Pictures, held_apart, names_subject, said, sentences, subject_of
from safelight_nodes._training.captioner import Loss, Settings, fresh, labelled, written
from safelight_nodes._training.captions import COLOURS, PALETTE, nearest_colour
from safelight_nodes.reading import models, write
from safelight_nodes.training import captioners

TINY: dict[str, Any] = {
    "batch": 12, "learning_rate": 4e-3, "warmup_steps": 10, "ema_decay": 0.9, "vocabulary": 400, "length": 16,
    "width": 48, "layers": 1, "patch": 8, "text_width": 48, "text_layers": 1, "seed": 3,
}  # fmt: skip
SETTINGS = Settings(1, 4, 1e-3, 1, 0.9, 0.1, 0.2, 0.0, 0.0, 400, 16, 48, 1, 8, 48, 1, 5)


def bench(**given: Any) -> BenchContext:
    """One whose models compute in float32."""
    ctx = BenchContext(previews=True, **given)
    ctx.models.device = lambda: (torch.device("cpu"), torch.float32)
    return ctx


def tokenizer() -> Any:
    return writing.learn(sentences(tiny_sets.image_set(32), 0), 400, 16)


def test_the_loss_falls_and_it_names_what_it_sees() -> None:
    ctx = bench()
    given = {**TINY, "moved": 0.0, "anywhere": 0.0, "held_out": 0.0}
    made = captioners.captioner(tiny_sets.image_set(32), updates=400, **given, ctx=ctx)
    losses = [value for _, value in made.captioner.curve]
    assert sum(losses[-10:]) < 0.4 * sum(losses[:10])
    assert made.named > 0.5, "a guess would be right once in six times"
    assert made.captioner.about["named"] == made.named
    assert ctx.steps[-1] == (400, 400)
    assert ctx.shown[-1].pixels.shape == made.sheet.pixels.shape
    assert made.sheet.pixels.shape[-1] == 3


def test_the_loss_is_the_mean_cross_entropy_of_all_tokens_and_of_the_end() -> None:
    words, device = tokenizer(), torch.device("cpu")
    model = fresh(SETTINGS, words, None, 32)
    pictures = Pictures(tiny_sets.image_set(32), 5, 32, 0.1)
    ours = Loss(model, words, pictures, SETTINGS, device, torch.float32)(7).detach()
    drawn = pictures.draw(7, 4, 0.2)
    total, count = 0.0, 0
    with torch.no_grad():
        for pixels, text in zip(drawn.pixels, drawn.texts, strict=True):
            row = [words.bos_token_id, *words(text)["input_ids"], words.eos_token_id]
            told = model(pixel_values=pixels[None], decoder_input_ids=torch.tensor([row[:-1]])).logits[0]
            chances = told.log_softmax(-1)[torch.arange(len(row) - 1), torch.tensor(row[1:])]
            total, count = total - float(chances.sum()), count + len(row) - 1
    assert float(ours) == pytest.approx(total / count, abs=1e-5)


def test_labels_end_once_and_are_cut() -> None:
    words = tokenizer()
    rows = labelled(words, ["3d cat, white background", "cat"], 16)
    assert (rows == words.eos_token_id).sum(1).tolist() == [1, 1]
    assert int((rows[1] == -100).sum()) == rows.shape[1] - len(words("cat")["input_ids"]) - 1
    cut = labelled(words, ["a long caption of many letters"], 5)
    assert cut.shape == (1, 5) and not (cut == words.eos_token_id).any()


def test_any_text_comes_back_whole() -> None:
    words = tokenizer()
    for text in ("3d cat, dark red background", "Straße, t-shirt  à 20 €", "猫"):
        assert words.decode(words(text)["input_ids"]) == text
    again = tokenizer()
    assert writing.to_files(words) == writing.to_files(again), "the same bits each time"


def test_a_caption_says_style_name_and_background() -> None:
    rng = np.random.default_rng(0)
    subject = {"names": ["red apple", "apple"], "keywords": ["fruit"]}
    assert said(subject, 1, 0, rng) == "flat apple, white background"
    assert said(subject, 2, None, rng) == "drawn apple"
    assert said({"names": ["a zwx cat"]}, -1, 3, rng) == "a zwx cat"
    assert subject_of("flat orange fruit, dark blue background") == "orange fruit"
    assert names_subject("3d red apple, teal background", subject, 0)
    assert not names_subject("3d apple tree, teal background", subject, 0)
    assert not names_subject("", subject, 0)
    assert names_subject("a zwx cat", {"names": ["a zwx cat"]}, -1)


def test_colours_beside_the_palette_are_said_by_the_nearest() -> None:
    for number, rgb in enumerate(PALETTE.values()):
        assert nearest_colour(rgb) == number
    assert COLOURS[nearest_colour((0, 0, 255))] == "blue"


def test_what_is_held_out_is_not_learned_from_and_leaves_an_image_of_each_subject() -> None:
    images = tiny_sets.image_set(32)
    learned, held = held_apart(images, 0.9, 1)
    assert len(learned.entries) + len(held.entries) == len(images.entries)
    assert {entry["subject"] for entry in learned.entries} == set(images.subjects)
    pairs = [{(entry["subject"], entry["style"]) for entry in one.entries} for one in (learned, held)]
    assert not pairs[0] & pairs[1]
    assert held_apart(images, 0.0, 1) == (images, images)
    from safelight_nodes._training.images import some_of

    with pytest.raises(ProblemError) as caught:
        held_apart(some_of(images, [0, 3]), 0.5, 1)
    assert codes(caught) == [("too_few_images", "held_out")]


def test_images_are_moved_and_stay_themselves_without() -> None:
    images = tiny_sets.image_set(32)
    still, moved = (Pictures(images, 5, 32, by).draw(3, 6, 0.0) for by in (0.0, 0.2))
    assert still.texts == moved.texts and still.numbers == moved.numbers
    assert not torch.equal(still.pixels, moved.pixels)
    assert torch.equal(still.pixels, Pictures(images, 5, 32, 0.0).draw(3, 6, 0.0).pixels)
    assert Pictures(images, 5, 48, 0.2).draw(3, 6, 0.5).pixels.shape == (6, 3, 48, 48)


def test_over_a_ramp_no_background_is_named() -> None:
    images = tiny_sets.image_set(32)
    plain, ramped = (Pictures(images, 5, 32, 0.0).draw(3, 6, 0.0, part) for part in (0.0, 1.0))
    assert plain.texts == [f"{subject}, {rest}" for subject, _, rest in (text.partition(", ") for text in plain.texts)]
    assert not any("background" in text for text in ramped.texts)
    corners = ramped.pixels[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners.amax(-1) - corners.amin(-1)).amax(-1).gt(0.05).float().mean() > 0.5, (
        "the ground changes, at the rim unless it is round"
    )
    flat = plain.pixels[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (flat.amax(-1) - flat.amin(-1)).max() < 0.01


def test_cancelled_it_stops_at_once() -> None:
    ctx = bench(cancel_at=2)
    with pytest.raises(Cancelled):
        captioners.captioner(tiny_sets.image_set(32), updates=50, **TINY, ctx=ctx)
    assert ctx.steps[-1] == (2, 50)


def test_saved_it_describes_images_by_the_node_as_it_did(run: Callable[..., Any], home: Path) -> None:
    from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel

    outcome, _ = run(
        "captioner", encoder="tower", updates=3, batch=2, vocabulary=400, text_width=48, text_layers=1,
        held_out=0.2, name="told",
    )  # fmt: skip
    assert {"curve", "sheet", "named"} <= set(outcome.outputs)
    folder = home / "models" / "told"
    about = json.loads((folder / "training.json").read_text())["VisionEncoderDecoderModel"]
    assert about["updates"] == 3 and about["held_out_images"] == 4
    by_hand: Any = VisionEncoderDecoderModel.from_pretrained(folder, dtype=torch.float32).eval()
    words, prepare = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    drawn = Pictures(tiny_sets.image_set(), 1, 64, 0.0).draw(0, 3, 0.0).pixels
    bytes_ = ((drawn / 2 + 0.5) * 255).round().byte().movedim(1, -1)
    given = prepare(list(bytes_.numpy()), return_tensors="pt").pixel_values
    theirs = written(by_hand, words, given, 8)
    from safelight.app import Studio
    from safelight.sdk import Image

    with Studio.open(home) as studio:
        ctx = BenchContext(studio.services.models, folder=home)
        model = models.load(model="told", precision="float32", ctx=ctx)
        image = Image(bytes_ / 255)
        assert write.describe(image, model, length=8, ctx=ctx) == theirs
        # One that never ends is cut where its places do.
        assert len(write.describe(image, model, length=2000, ctx=ctx)) == 3
    assert not by_hand.encoder.training and by_hand.encoder.config.model_type == "clip_vision_model"


def test_it_goes_on_from_a_captioner(run: Callable[..., Any], home: Path) -> None:
    run(
        "captioner", encoder="tower", updates=2, batch=2, vocabulary=400, text_width=48, text_layers=1, name="first"
    )  # fmt: skip
    from safetensors.torch import load_file

    from safelight.app import Studio

    with Studio.open(home) as studio:
        ctx = BenchContext(studio.services.models, folder=home)
        start = models.load(model="first", ctx=ctx)
        given = {**TINY, "batch": 2, "learning_rate": 1e-7, "warmup_steps": 0, "length": 100}
        made = captioners.captioner(tiny_sets.image_set(), start=start, updates=1, **given, ctx=ctx)
    first = load_file(home / "models" / "first" / "model.safetensors")
    assert all(torch.allclose(first[key].float(), made.captioner.tensors[key], atol=1e-5) for key in first)
    assert made.tokenizer.files["tokenizer.json"] == (home / "models" / "first" / "tokenizer.json").read_text()
    assert made.captioner.about["length"] == 32, "its own places are all that there are"


def test_another_reader_is_not_gone_on_from() -> None:
    ctx = bench()
    ref = ModelRef("Reader", "", Source("folder", "it", fingerprint="it"))
    ctx.models.put("Reader", "it", SimpleNamespace(model=torch.nn.Linear(1, 1), tokenizer=None, name="it"))
    with pytest.raises(ProblemError) as caught:
        captioners.captioner(tiny_sets.image_set(32), start=ref, updates=1, **TINY, ctx=ctx)
    assert codes(caught) == [("wrong_model", "start")]


def test_the_encoder_begins_with_the_weights_that_it_was_given() -> None:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    shape = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
    eye = CLIPVisionModelWithProjection(CLIPVisionConfig(**shape, image_size=32, patch_size=8, projection_dim=16))
    model = fresh(SETTINGS, tokenizer(), eye, 64)
    given = {name.removeprefix("vision_model."): tensor for name, tensor in eye.state_dict().items()}
    for name, tensor in model.encoder.state_dict().items():
        assert torch.equal(tensor, given[name.removeprefix("vision_model.")])
    assert model.config.encoder.image_size == 32
