"""Calling models that segment: classes, what a text says, what lies in a box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk import Lease, PreprocessorModel

if TYPE_CHECKING:
    from torch import Tensor

SEGMENTERS = ("ForSemanticSegmentation", "ForUniversalSegmentation")
DETECTORS = ("GroundingDinoForObjectDetection",)
BY_BOX = ("SamModel", "Sam2Model")
BY_POINT = (*BY_BOX, "sam")
_LONGEST = 1024
"""Pixels of the longer side that a segmenter without a model looks at: beyond it takes many seconds."""


class Detected(NamedTuple):
    """Something that was found: its box in pixels, how sure it is, and what it is."""

    left: float
    top: float
    right: float
    bottom: float
    score: float
    label: str


def classes(lease: Lease[PreprocessorModel], pixels: Any) -> tuple[Tensor, dict[int, str]]:
    """The number of the class (H, W) at each pixel of bytes (H, W, 3), and the names of the classes."""
    network, processor = lease.component.network, lease.component.processor
    config = network.config
    tasks = {"task_inputs": ["semantic"]} if config.model_type == "oneformer" else {}
    given = _moved(lease, processor(images=pixels, return_tensors="pt", **tasks))
    wanted = {"pixel_values", "pixel_mask", "task_inputs"} & set(given)
    found = network(**{name: given[name] for name in wanted})
    sizes = {"target_sizes": [pixels.shape[:2]]}
    if "patch_offsets" in given:  # EoMT looks at an image in pieces
        sizes["patch_offsets"] = given["patch_offsets"]
    (numbers,) = processor.post_process_semantic_segmentation(found, **sizes)
    return numbers.cpu(), {int(number): str(name) for number, name in config.id2label.items()}


def described(lease: Lease[PreprocessorModel], pixels: Any, text: str) -> Tensor:
    """How well each pixel (H, W) of bytes (H, W, 3) fits a text, 0..1, by CLIPSeg."""
    from torch.nn.functional import interpolate

    network, processor = lease.component.network, lease.component.processor
    given = _moved(lease, processor(text=[text], images=[pixels], padding=True, truncation=True, return_tensors="pt"))
    found = network(**given).logits.float()
    found = found.reshape(1, 1, *found.shape[-2:])
    return interpolate(found, pixels.shape[:2], mode="bilinear", align_corners=False)[0, 0].sigmoid().cpu()


def detected(
    lease: Lease[PreprocessorModel], pixels: Any, text: str, score: float, text_score: float
) -> list[Detected]:
    """What a text says, in bytes (H, W, 3), the surest first, by Grounding DINO."""
    from PIL import Image

    network, processor = lease.component.network, lease.component.processor
    # Several things are told apart by full stops, and the model knows lower case alone.
    asked = ". ".join(part.strip() for part in text.lower().replace(",", ".").split(".") if part.strip()) + "."
    given = _moved(lease, processor(images=Image.fromarray(pixels), text=asked, return_tensors="pt"))
    found = network(**given)
    (one,) = processor.post_process_grounded_object_detection(
        found, given["input_ids"], threshold=score, text_threshold=text_score, target_sizes=[pixels.shape[:2]]
    )
    labels = one.get("text_labels") or one["labels"]
    height, width = pixels.shape[:2]
    made = [
        Detected(max(0.0, box[0]), max(0.0, box[1]), min(width, box[2]), min(height, box[3]), float(sure), str(label))
        for box, sure, label in zip(one["boxes"].float().tolist(), one["scores"], labels, strict=True)
    ]
    return sorted(made, key=lambda each: -each.score)


def in_boxes(lease: Lease[PreprocessorModel], pixels: Any, boxes: list[list[float]]) -> Tensor:
    """Masks (n, H, W) in 0 and 1 of what lies in boxes (left, top, right, bottom) of bytes (H, W, 3), by SAM."""
    from PIL import Image

    network, processor = lease.component.network, lease.component.processor
    given = processor(images=Image.fromarray(pixels), input_boxes=[boxes], return_tensors="pt")
    sizes = [given.pop(name) for name in ("original_sizes", "reshaped_input_sizes") if name in given]
    found = network(**_moved(lease, given), multimask_output=False)
    (masks,) = processor.post_process_masks(found.pred_masks.float().cpu(), *sizes)
    return masks[:, 0].float()


def at_points(lease: Lease[PreprocessorModel], pixels: Any, on: list[list[float]], off: list[list[float]]) -> Tensor:
    """Mask (H, W) in 0 and 1 of the thing that places (x, y) of bytes (H, W, 3) lie on, and others do not, by SAM.

    One place may mean a thing, a part of it, or what it belongs to: the mask that the model is surest of holds.
    """
    import numpy
    import torch
    from PIL import Image

    points, labels = [*on, *off], [*(1 for _ in on), *(0 for _ in off)]
    several = len(points) == 1
    if lease.component.sort == "sam":
        predictor = lease.component.annotator.predictor
        predictor.set_image(pixels)
        masks, scores, _ = predictor.predict(numpy.array(points), numpy.array(labels), multimask_output=several)
        return torch.from_numpy(masks[scores.argmax()]).float()
    network, processor = lease.component.network, lease.component.processor
    options = {"input_points": [[points]], "input_labels": [[labels]], "return_tensors": "pt"}
    given = processor(images=Image.fromarray(pixels), **options)
    sizes = [given.pop(name) for name in ("original_sizes", "reshaped_input_sizes") if name in given]
    found = network(**_moved(lease, given), multimask_output=several)
    (masks,) = processor.post_process_masks(found.pred_masks.float().cpu(), *sizes)
    return masks[0, int(found.iou_scores[0, 0].argmax())].float()


def by_colour(pixels: Any, on: list[list[float]], off: list[list[float]], scale: float) -> Tensor:
    """Mask (H, W) in 0 and 1 of the segments that places (x, y) of bytes (H, W, 3) lie in, without those of others.

    Source: P. Felzenszwalb and D. Huttenlocher, "Efficient Graph-Based Image Segmentation", 2004, by scikit-image.
    """
    import cv2
    import numpy
    import torch
    from skimage.segmentation import felzenszwalb

    height, width = pixels.shape[:2]
    factor = min(1.0, _LONGEST / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if factor < 1 else pixels
    found: Any = felzenszwalb(small, scale=scale, sigma=0.8, min_size=max(8, size[0] * size[1] // 2000))
    numbers = cv2.resize(found.astype(numpy.int32), (width, height), interpolation=cv2.INTER_NEAREST)
    inside, outside = ([int(numbers[int(y), int(x)]) for x, y in places] for places in (on, off))
    return torch.from_numpy(numpy.isin(numbers, [one for one in inside if one not in outside])).float()


def _moved(lease: Lease[PreprocessorModel], given: Any) -> dict[str, Any]:
    """What a processor gives, on the device; numbers that are none of indices in the model's precision."""
    moved: dict[str, Any] = {}
    for name, one in given.items():
        whole = not hasattr(one, "is_floating_point")
        moved[name] = one if whole else one.to(lease.device, lease.dtype if one.is_floating_point() else None)
    return moved
