"""The classifier: its loss against its formula, what it learns to tell, and what is saved tells the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_sets
from node_bench import BenchContext, codes
from safelight.app import Studio
from safelight.sdk import Cancelled, Image, ProblemError
from safelight_nodes._training.caption_data import held_apart
from safelight_nodes._training.classes import classes_of
from safelight_nodes._training.classifier import Loss, Settings, fresh, numbered, taken_for
from safelight_nodes._training.image_folder import from_images
from safelight_nodes._training.images import some_of
from safelight_nodes.image.phantoms import phantom
from safelight_nodes.metrics.classes import confusion
from safelight_nodes.reading import classify
from safelight_nodes.training import classifiers
from safelight_nodes.weights import save_classifier

TINY: dict[str, Any] = {
    "batch": 12, "learning_rate": 4e-3, "warmup_steps": 5, "moved": 0.0, "anywhere": 0.0, "side": 32, "width": 8,
    "levels": 2, "seed": 3,
}  # fmt: skip
SETTINGS = Settings("subject", 1, 6, 1e-3, 1, 32, 0.1, 0.2, 0.0, 8, 2, 1, 5)


def bench(**given: Any) -> BenchContext:
    """One whose models compute in float32."""
    ctx = BenchContext(previews=True, **given)
    ctx.models.device = lambda: (torch.device("cpu"), torch.float32)
    return ctx


def test_the_loss_falls_and_it_tells_what_it_sees() -> None:
    ctx = bench()
    given = {**TINY, "learning_rate": 5e-3, "width": 16}
    made = classifiers.classifier(tiny_sets.image_set(32), classes="style", updates=120, held_out=0.0, **given, ctx=ctx)
    losses = [value for _, value in made.classifier.curve]
    assert sum(losses[-10:]) < 0.4 * sum(losses[:10])
    assert made.accuracy > 0.8, "a guess would be right once in three times"
    assert made.classifier.about["accuracy"] == made.accuracy
    assert made.classifier.about["tested_images"] == 18
    assert ctx.steps[-1] == (120, 120)
    assert ctx.shown[-1].pixels.shape == made.sheet.pixels.shape
    assert made.classifier.config["id2label"] == {"0": "3d", "1": "drawn", "2": "flat"}


def test_the_loss_is_the_mean_cross_entropy() -> None:
    images, device = tiny_sets.image_set(32), torch.device("cpu")
    names, _ = classes_of(images, "subject")
    model = fresh(SETTINGS, names).train()
    loss = Loss(model, images, numbered(images, "subject", names), SETTINGS, device, torch.float32)
    ours = float(loss(7).detach())
    some = loss.pictures.draw(7, 6, 0.2)
    aim = torch.tensor([names.index(images.subjects[images.entries[n]["subject"]]["names"][0]) for n in some.numbers])
    with torch.no_grad():
        told = model(pixel_values=some.pixels, labels=aim)
    assert ours == pytest.approx(float(told.loss), abs=1e-5), "that of transformers"
    by_hand = -told.logits.log_softmax(1)[torch.arange(6), aim].mean()
    assert ours == pytest.approx(float(by_hand), abs=1e-5)


def test_statistics_of_the_normalisation_learn_along_and_judging_leaves_them_alone() -> None:
    made = classifiers.classifier(tiny_sets.image_set(32), updates=3, held_out=0.0, **TINY, ctx=bench()).classifier
    counts = [one for name, one in made.tensors.items() if name.endswith("num_batches_tracked")]
    assert counts and all(int(one) == 3 for one in counts)
    model = fresh(SETTINGS, ("a", "b")).train()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    taken_for(model, torch.rand(4, 3, 32, 32))
    assert model.training
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())


def test_of_each_class_some_are_learned_and_none_that_it_is_judged_by() -> None:
    images = tiny_sets.image_set(32)
    _, numbers = classes_of(images, "style")
    learned, held = held_apart(images, 0.9, 1, numbers.tolist())
    assert {entry["style"] for entry in learned.entries} == {0, 1, 2}
    assert len(learned.entries) + len(held.entries) == len(images.entries)
    ours, theirs = ({(one["subject"], one["style"]) for one in part.entries} for part in (learned, held))
    assert not ours & theirs
    made = classifiers.classifier(images, updates=1, classes="style", held_out=0.5, **TINY, ctx=bench())
    assert made.classifier.about["tested_images"] == 9


def test_captions_are_classes_and_given_images_are_what_it_is_judged_by() -> None:
    dark, light = (Image(torch.full((4, 16, 16, 3), shade)) for shade in (0.1, 0.9))
    images = from_images([dark, light], ["dark", "light"], 16, "square")
    test = from_images([light, dark, light], ["light", "dark", "light"], 24, "square")
    made = classifiers.classifier(images, test, updates=20, **TINY, ctx=bench())
    assert made.accuracy == 1.0
    assert made.classifier.about["tested_images"] == 12
    assert made.classifier.config["id2label"] == {"0": "dark", "1": "light"}


def test_what_is_never_drawn_is_no_class() -> None:
    images = tiny_sets.image_set(32)
    weights = images.weights.clone()
    weights[3:] = 0
    with pytest.raises(ProblemError) as caught:
        classifiers.classifier(replace(images, weights=weights), updates=1, **TINY, ctx=bench())
    assert codes(caught) == [("too_few_classes", "images")]


def test_what_does_not_fit_is_told() -> None:
    images = tiny_sets.image_set(32)
    cats = some_of(images, [12, 13, 14])
    plain = from_images([Image(torch.zeros(2, 16, 16, 3))], [""], 16, "square")
    one_each = some_of(images, [0, 3, 6])

    def run(images: Any, test: Any = None, **given: Any) -> Any:
        return classifiers.classifier(images, test, updates=1, **{**TINY, **given}, ctx=bench())

    for go, wanted in (
        (lambda: run(cats), ("too_few_classes", "images")),
        (lambda: run(some_of(images, [0, 3]), cats), ("bad_image_set", "test")),
        (lambda: run(plain), ("bad_image_set", "classes")),
        (lambda: run(plain, classes="style"), ("bad_image_set", "classes")),
        (lambda: run(one_each), ("too_few_images", "held_out")),
        (lambda: run(images, batch=1, levels=4), ("too_few_images", "batch")),
        (lambda: run(replace(images, sizes=((32, 16),) * 18)), ("wrong_size", "images")),
    ):
        with pytest.raises(ProblemError) as caught:
            go()
        assert codes(caught) == [wanted]


def test_cancelled_it_stops_at_once() -> None:
    ctx = bench(cancel_at=2)
    with pytest.raises(Cancelled):
        classifiers.classifier(tiny_sets.image_set(32), updates=50, held_out=0.0, **TINY, ctx=ctx)
    assert ctx.steps[-1] == (2, 50)


def test_saved_it_tells_the_same_by_the_nodes_and_by_transformers(studio: Studio, home: Path) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    images = tiny_sets.image_set(32)
    pixels = Image(images.pixels[..., :3] / 255 * (images.pixels[..., 3:] / 255) + 1 - images.pixels[..., 3:] / 255)
    made = classifiers.classifier(images, updates=40, held_out=0.0, **TINY, ctx=bench()).classifier
    ctx = BenchContext(studio.services.models, folder=home)
    name = save_classifier(made, name="told", precision="float32", ctx=ctx)
    folder = home / "models" / name
    by_hand: Any = AutoModelForImageClassification.from_pretrained(folder).eval()
    prepare = AutoImageProcessor.from_pretrained(folder)
    given = prepare(list((pixels.pixels * 255).round().byte().numpy()), return_tensors="pt").pixel_values
    assert given.shape == (18, 3, 32, 32)
    with torch.no_grad():
        chances = by_hand(given).logits.softmax(1)
        states = by_hand.resnet(given).pooler_output.flatten(1)
    found = classify.classify([pixels], model=name, ctx=ctx)
    assert found.classes == sorted(tiny_sets.NAMES)
    assert found.names == [found.classes[int(one)] for one in chances.argmax(1)]
    assert found.probabilities == pytest.approx(chances.max(1).values.tolist(), abs=1e-4)
    of_cats = classify.classify([pixels], model=name, class_name="cat", ctx=ctx)
    assert of_cats.names == found.names
    assert of_cats.probabilities == pytest.approx(chances[:, found.classes.index("cat")].tolist(), abs=1e-4)
    vectors = classify.embed_by_classifier([pixels], model=name, ctx=ctx)
    assert vectors.model == "told"
    assert torch.allclose(vectors.values, states, atol=1e-4)
    true = [images.subjects[entry["subject"]]["names"][0] for entry in images.entries]
    judged = confusion(found.names, true)
    assert judged.accuracy == pytest.approx(made.about["accuracy"]), "as the training was told"
    about = json.loads((folder / "training.json").read_text())["ResNetForImageClassification"]
    assert about["side"] == 32 and about["accuracy"] == made.about["accuracy"]
    with pytest.raises(ProblemError) as caught:
        classify.classify([pixels], model=name, class_name="cow", ctx=ctx)
    assert codes(caught) == [("not_a_choice", "class_name")]
    for node in (classify.classify, classify.embed_by_classifier):
        with pytest.raises(ProblemError) as caught:
            node([], model=name, ctx=ctx)
        assert codes(caught) == [("list_empty", "images")]


def test_its_workflow_judges_by_subjects_that_it_has_not_seen(run: Callable[..., Any], home: Path) -> None:
    outcome, _ = run("classifier", classes="style", share=0.3, updates=3, batch=4, side=32, width=8, name="styles")
    assert {"curve", "sheet", "confusion", "accuracy"} <= set(outcome.outputs)
    about = json.loads((home / "models" / "styles" / "training.json").read_text())["ResNetForImageClassification"]
    assert about["tested_images"] == 6 and about["classes"] == "style"


def test_scans_are_learned_drawn_and_learned_from(run: Callable[..., Any], home: Path) -> None:
    outcome, _ = run(
        "scans", count=12, updates=2, classifier_updates=2, tests=16, others=16, batch=3, batch_clear=3, steps=2,
        steps_clear=2, name="scans",
    )  # fmt: skip
    assert {"sheet", "curve", "accuracy", "distance", "confusion", "accuracies", "distances"} <= set(outcome.outputs)
    config = json.loads((home / "models" / "scans" / "config.json").read_text())
    assert config["id2label"] == {"0": "clear", "1": "lesions"}


def test_a_phantom_says_which_scans_have_lesions() -> None:
    made = phantom(count=12, size=32, lesions=0.5, seed=3)
    assert {"clear", "lesions"} == set(made.labels)
    seen = made.lesions.coverage.flatten(1).sum(1) > 0
    assert [label == "lesions" for label in made.labels] == seen.tolist() == [count > 0 for count in made.counts]
    assert set(phantom(count=3, size=32, lesions=1.0).labels) == {"lesions"}
    assert set(phantom(count=3, size=32, lesions=0.0).labels) == {"clear"}


def test_cancelled_and_gone_on_with_it_ends_in_the_same_weights() -> None:
    given = {**TINY, "batch": 4}
    straight = classifiers.classifier(tiny_sets.image_set(32), updates=6, held_out=0.0, **given, ctx=bench())
    ctx = bench(cancel_at=3)
    with pytest.raises(Cancelled):
        classifiers.classifier(tiny_sets.image_set(32), updates=6, held_out=0.0, **given, ctx=ctx)
    again = bench(state=ctx.kept[-1])
    made = classifiers.classifier(tiny_sets.image_set(32), updates=6, held_out=0.0, **given, ctx=again)
    assert again.steps[0] == (4, 6)
    assert made.classifier.curve == straight.classifier.curve and made.accuracy == straight.accuracy
    for name, tensor in straight.classifier.tensors.items():
        assert torch.equal(tensor, made.classifier.tensors[name]), name
