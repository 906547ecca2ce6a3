"""Calling models that segment: classes, what a text says, what lies in a box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk import Lease, PreprocessorModel

if TYPE_CHECKING:
    from torch import Tensor

SEGMENTERS = ("ForSemanticSegmentation", "ForUniversalSegmentation")
DETECTORS = ("GroundingDinoForObjectDetection",)
BY_BOX = ("SamModel", "Sam2Model", "Sam2VideoModel")


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


def _moved(lease: Lease[PreprocessorModel], given: Any) -> dict[str, Any]:
    """What a processor gives, on the device; numbers that are none of indices in the model's precision."""
    moved: dict[str, Any] = {}
    for name, one in given.items():
        whole = not hasattr(one, "is_floating_point")
        moved[name] = one if whole else one.to(lease.device, lease.dtype if one.is_floating_point() else None)
    return moved
