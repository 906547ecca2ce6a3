"""Depth, classes, masks of a text and things by models of transformers: as the library gives them by hand."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
import transformers

import tiny_segmenters
from node_bench import BenchContext, codes, offline_store
from safelight.sdk import Image, ProblemError
from safelight_nodes._palettes import class_colour
from safelight_nodes._segments import at_points
from safelight_nodes.preprocess import depth, segments


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    for name in ("tiny_depth", "tiny_classes", "tiny_clipseg", "tiny_sam", "tiny_sam2", "tiny_detector"):
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


@torch.inference_mode()
@pytest.mark.parametrize(("name", "cls"), [("tiny_sam", "SamModel"), ("tiny_sam2", "Sam2Model")])
def test_the_thing_at_a_point_is_what_the_model_is_surest_of(
    home: Path, ctx: BenchContext, name: str, cls: str
) -> None:
    made = segments.segment_at(IMAGE, points="20 10", model=name, precision="float32", ctx=ctx).coverage
    model, _, pixels = by_hand(home, name, cls)
    processor = transformers.AutoProcessor.from_pretrained(str(home / "models" / name))

    def wanted(points: list[list[float]], labels: list[int]) -> Any:
        given = processor(images=pixels, input_points=[[points]], input_labels=[[labels]], return_tensors="pt")
        found = model(**given, multimask_output=len(points) == 1)
        sizes = [given[key] for key in ("original_sizes", "reshaped_input_sizes") if key in given]
        (masks,) = processor.post_process_masks(found.pred_masks, *sizes)
        assert len(masks[0]) == (3 if len(points) == 1 else 1)
        return masks[0, found.iou_scores[0, 0].argmax()].float()

    assert made.shape == (2, 48, 64) and 0 < made[0].mean() < 1
    assert torch.equal(made[0], wanted([[20.0, 10.0]], [1]))
    several = segments.segment_at(
        IMAGE, points="20 10, 30 12", exclude="50 40", model=name, precision="float32", ctx=ctx
    ).coverage
    assert torch.equal(several[0], wanted([[20.0, 10.0], [30.0, 12.0], [50.0, 40.0]], [1, 1, 0]))


@torch.inference_mode()
def test_a_segment_anything_in_one_file_is_asked_by_its_own_predictor() -> None:
    from safelight.models import preprocessors

    build: Any = preprocessors._aux("segment_anything.build_sam")._build_sam
    torch.manual_seed(3)
    network = build(encoder_embed_dim=32, encoder_depth=1, encoder_num_heads=2, encoder_global_attn_indexes=[0]).eval()
    made = preprocessors.Preprocessor("sam", network, preprocessors._sam(network))
    pixels = (IMAGE.pixels[0] * 255).round().to(torch.uint8).numpy()
    mask = at_points(SimpleNamespace(component=made), pixels, [[20.0, 10.0]], [])  # pyright: ignore[reportArgumentType]
    predictor = type(made.annotator.predictor)(network)
    predictor.set_image(pixels)
    masks, scores, _ = predictor.predict(numpy.array([[20.0, 10.0]]), numpy.array([1]), multimask_output=True)
    assert mask.shape == (48, 64) and torch.equal(mask, torch.from_numpy(masks[scores.argmax()]).float())


def test_without_a_model_segments_of_similar_colours_are_chosen(ctx: BenchContext) -> None:
    pixels = torch.full((1, 40, 60, 3), 0.9)
    pixels[:, 5:25, 5:25] = torch.tensor([0.8, 0.1, 0.1])
    pixels[:, 10:30, 35:55] = torch.tensor([0.1, 0.2, 0.8])
    image = Image(pixels)

    def at(points: str, exclude: str = "") -> Any:
        return segments.segment_at(image, points=points, exclude=exclude, model="", scale=50, ctx=ctx).coverage[0]

    red, both = at("15 15"), at("15 15, 45 20")
    assert red[8:22, 8:22].min() == 1 and red[:, 30:].max() == 0 and red[32:].max() == 0
    assert both[13:27, 38:52].min() == 1 and torch.equal(both * red, red)
    assert torch.equal(at("15 15, 45 20", "45 20"), red)
    large = Image(pixels.repeat_interleave(40, 1).repeat_interleave(40, 2))
    found = segments.segment_at(large, points="600 600", model="", scale=50, ctx=ctx).coverage[0]
    assert found.shape == (1600, 2400) and found[400:900, 400:900].min() == 1 and found[:, 1200:].max() == 0
    for points, port in (("", "points"), ("5", "points"), ("60 0", "points"), ("a b", "points")):
        with pytest.raises(ProblemError) as wrong:
            at(points)
        assert codes(wrong) == [("no_place", port)]
    with pytest.raises(ProblemError) as outside:
        at("5 5", "-1 0")
    assert codes(outside) == [("no_place", "exclude")]


def test_a_model_of_another_sort_is_refused(ctx: BenchContext) -> None:
    with pytest.raises(ProblemError) as wrong:
        depth.depth(IMAGE, model="tiny_classes", ctx=ctx)
    assert codes(wrong) == [("wrong_model", "model")]
    with pytest.raises(ProblemError) as no_sam:
        segments.segment_at(IMAGE, points="1 1", model="tiny_classes", ctx=ctx)
    assert codes(no_sam) == [("wrong_model", "model")]
