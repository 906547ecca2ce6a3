"""Depth, classes, masks of a text and things by models of transformers: as the library gives them by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_segmenters
from node_bench import BenchContext, codes, offline_store
from safelight.sdk import Image, ProblemError
from safelight_nodes._palettes import class_colour
from safelight_nodes.preprocess import depth, segments


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    for name in ("tiny_depth", "tiny_classes", "tiny_clipseg", "tiny_sam", "tiny_detector"):
        getattr(tiny_segmenters, name)(folder / "models" / name)
    return folder


@pytest.fixture
def ctx(home: Path) -> BenchContext:
    return BenchContext(models=offline_store(home))


IMAGE = Image(torch.rand(2, 48, 64, 3, generator=torch.Generator().manual_seed(4)))


def by_hand(home: Path, name: str, cls: str) -> tuple[Any, Any, Any]:
    """The model, its processor, and the first image as bytes."""
    import transformers

    folder = str(home / "models" / name)
    auto = transformers.AutoProcessor if name in ("tiny_clipseg", "tiny_detector", "tiny_sam") else None
    processor = (auto or transformers.AutoImageProcessor).from_pretrained(folder)
    pixels = (IMAGE.pixels[0] * 255).round().to(torch.uint8).numpy()
    return getattr(transformers, cls).from_pretrained(folder).eval(), processor, pixels


@torch.inference_mode()
def test_depth(home: Path, ctx: BenchContext) -> None:
    made = depth.depth(IMAGE, model="tiny_depth", precision="float32", ctx=ctx).pixels
    model, processor, pixels = by_hand(home, "tiny_depth", "DepthAnythingForDepthEstimation")
    found = model(**processor(images=pixels, return_tensors="pt")).predicted_depth
    found = torch.nn.functional.interpolate(found[None], (48, 64), mode="bicubic", align_corners=False)[0, 0]
    wanted = (found - found.min()) / (found.max() - found.min())
    assert made.shape == IMAGE.pixels.shape and made.std() > 0.05
    assert (made[0, ..., 0] - wanted).abs().max() <= 0.5 / 255 + 1e-6
    assert ctx.steps == [(1, 2), (2, 2)]


@torch.inference_mode()
def test_classes(home: Path, ctx: BenchContext) -> None:
    made = segments.classes(IMAGE, model="tiny_classes", only="person, Sky", precision="float32", ctx=ctx)
    model, processor, pixels = by_hand(home, "tiny_classes", "SegformerForSemanticSegmentation")
    found = model(**processor(images=pixels, return_tensors="pt"))
    (numbers,) = processor.post_process_semantic_segmentation(found, target_sizes=[(48, 64)])
    wanted = torch.tensor([class_colour(number) for number in range(5)])[numbers] / 255
    assert len(numbers.unique()) > 1 and torch.allclose(made.image.pixels[0], wanted)
    assert torch.equal(made.mask.coverage[0], ((numbers == 1) | (numbers == 2)).float())
    assert set(made.found) <= {"wall", "sky", "person, individual", "tree", "sea"} and len(made.found) > 1
    assert (
        class_colour(0) == (120, 120, 120)
        and class_colour(149) == (92, 0, 255)
        and class_colour(150) == (120, 120, 120)
    )
    with pytest.raises(ProblemError) as unknown:
        segments.classes(IMAGE, model="tiny_classes", only="unicorn", ctx=ctx)
    assert codes(unknown) == [("unknown_class", "only")]


@torch.inference_mode()
def test_a_mask_from_text(home: Path, ctx: BenchContext) -> None:
    made = segments.clipseg(IMAGE, text="a cat", threshold=0.0, model="tiny_clipseg", precision="float32", ctx=ctx)
    model, processor, pixels = by_hand(home, "tiny_clipseg", "CLIPSegForImageSegmentation")
    found = model(**processor(text=["a cat"], images=[pixels], return_tensors="pt")).logits
    found = torch.nn.functional.interpolate(found.reshape(1, 1, 32, 32), (48, 64), mode="bilinear", align_corners=False)
    assert torch.allclose(made.coverage[0], found[0, 0].sigmoid(), atol=1e-6)
    hard = segments.clipseg(IMAGE, text="a cat", threshold=0.5, model="tiny_clipseg", precision="float32", ctx=ctx)
    assert torch.equal(hard.coverage, (made.coverage > 0.5).float())
    other = segments.clipseg(IMAGE, text="the dog", threshold=0.0, model="tiny_clipseg", precision="float32", ctx=ctx)
    assert not torch.equal(made.coverage, other.coverage)
    with pytest.raises(ProblemError) as nothing:
        segments.clipseg(IMAGE, text=" ", ctx=ctx)
    assert codes(nothing) == [("text_empty", "text")]


@torch.inference_mode()
def test_things_by_text_and_what_lies_in_their_boxes(home: Path, ctx: BenchContext) -> None:
    options: dict[str, Any] = {
        "text": "a cat, a dog",
        "score": 0.05,
        "detector": "tiny_detector",
        "precision": "float32",
    }
    plain = segments.find(IMAGE, segmenter="", **options, ctx=ctx)
    model, processor, pixels = by_hand(home, "tiny_detector", "GroundingDinoForObjectDetection")
    given = processor(images=pixels, text="a cat. a dog.", return_tensors="pt")
    (wanted,) = processor.post_process_grounded_object_detection(
        model(**given), given["input_ids"], threshold=0.05, text_threshold=0.25, target_sizes=[(48, 64)]
    )
    things = json.loads(plain.boxes[0])
    assert things and sorted((thing["score"] for thing in things), reverse=True) == [thing["score"] for thing in things]
    assert [thing["score"] for thing in things] == pytest.approx(
        sorted(wanted["scores"].tolist(), reverse=True), abs=1e-4
    )
    assert plain.number == sum(len(json.loads(text)) for text in plain.boxes)
    first = things[0]
    box = plain.mask.coverage[0, first["top"] : first["top"] + first["height"], first["left"] :][:, : first["width"]]
    assert box.numel() and box.min() == 1
    masked = segments.find(IMAGE, segmenter="tiny_sam", **options, ctx=ctx)
    assert masked.boxes == plain.boxes and masked.mask.coverage.shape == (2, 48, 64)
    sam, of_sam, _ = by_hand(home, "tiny_sam", "SamModel")
    boxes = [wanted["boxes"].clamp(min=0)[place].clamp(max=torch.tensor([64.0, 48.0, 64.0, 48.0])).tolist()
             for place in wanted["scores"].argsort(descending=True)]  # fmt: skip
    given = of_sam(images=pixels, input_boxes=[boxes], return_tensors="pt")
    found = sam(**given, multimask_output=False).pred_masks
    (masks,) = of_sam.post_process_masks(found, given["original_sizes"], given["reshaped_input_sizes"])
    assert torch.equal(masked.mask.coverage[0], masks[:, 0].float().amax(dim=0))


def test_a_model_of_another_sort_is_refused(ctx: BenchContext) -> None:
    with pytest.raises(ProblemError) as wrong:
        depth.depth(IMAGE, model="tiny_classes", ctx=ctx)
    assert codes(wrong) == [("wrong_model", "model")]
