"""Faces in an image by MTCNN, and the way from a face to an upright square and back.

Source: K. Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", 2016,
with the thresholds and the arithmetic of facenet-pytorch (MIT).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 512
"""Of the square that networks for faces were trained on, in pixels."""
_TEMPLATE = ((192.98, 239.95), (318.90, 240.19), (256.63, 314.02), (201.26, 371.41), (313.09, 371.15))
"""Where eyes, nose and corners of the mouth lie in that square: those of FFHQ on the average."""
_SHRINK = 0.709
"""From one size of the pyramid to the next."""
_SURE = (0.6, 0.7)
"""What the first and the second network have to be sure of."""


class Face(NamedTuple):
    """A face: its box in pixels, how sure it is, and five points (5, 2): eyes, nose, corners of the mouth."""

    left: float
    top: float
    right: float
    bottom: float
    score: float
    points: Any


class Networks(NamedTuple):
    """The three networks, each a torch module on one device."""

    propose: Any
    refine: Any
    output: Any


def faces_in(pixels: Tensor, networks: Networks, smallest: int, score: float) -> list[Face]:
    """The faces of an image (H, W, 3) in 0..1, the surest first.

    Args:
        pixels: the image.
        networks: of MTCNN.
        smallest: the side of the smallest face, in pixels; larger is faster.
        score: how sure the last network has to be.
    """
    import torch
    from torchvision.ops import nms

    weight = next(networks.propose.parameters())
    image = ((pixels * 255).round() - 127.5).mul(0.0078125).movedim(-1, 0)[None].to(weight.device, weight.dtype)
    boxes, scores = _proposed(image, networks.propose, smallest)
    if not len(boxes):
        return []
    kept = nms(boxes, scores, 0.7)
    boxes = _squares(boxes[kept])
    likely, off = networks.refine(_cut(image, boxes, 24))
    likely = likely.softmax(dim=1)[:, 1]
    kept = likely > _SURE[1]
    boxes, likely, off = boxes[kept], likely[kept], off[kept]
    kept = nms(boxes, likely, 0.7)
    boxes = _squares(_moved(boxes[kept], off[kept]))
    if not len(boxes):
        return []
    likely, off, points = networks.output(_cut(image, boxes, 48))
    likely = likely.softmax(dim=1)[:, 1]
    kept = likely > score
    boxes, likely, off, points = boxes[kept], likely[kept], off[kept], points[kept]
    size = boxes[:, 2:] - boxes[:, :2] + 1
    across = size[:, :1] * points[:, :5] + boxes[:, :1] - 1
    down = size[:, 1:] * points[:, 5:] + boxes[:, 1:2] - 1
    places = torch.stack([across, down], dim=-1).float().cpu()
    boxes = _moved(boxes, off)
    found: list[Face] = []
    for place in likely.argsort(descending=True).tolist():
        box = boxes[place].float().cpu()
        if all(_inside(box, other) <= 0.7 for other in found):
            left, top, right, bottom = box.tolist()
            found.append(Face(left, top, right, bottom, float(likely[place]), places[place].numpy()))
    return found


def _proposed(image: Tensor, network: Any, smallest: int) -> tuple[Tensor, Tensor]:
    """Boxes (n, 4) where a face may be, at all sizes, and how likely each is (n)."""
    import torch
    from torch.nn.functional import interpolate
    from torchvision.ops import nms

    height, width = image.shape[2:]
    scale = 12 / smallest
    boxes, scores = [torch.zeros(0, 4, device=image.device)], [torch.zeros(0, device=image.device)]
    while min(height, width) * scale >= 12:
        small = interpolate(image, (int(height * scale + 1), int(width * scale + 1)), mode="area")
        likely, off = network(small)
        likely = likely.softmax(dim=1)[0, 1]
        down, across = (likely >= _SURE[0]).nonzero(as_tuple=True)
        corner = torch.stack([across, down], dim=1).float() * 2
        found = torch.cat([((corner + 1) / scale).floor(), ((corner + 12) / scale).floor()], dim=1)
        sure = likely[down, across].float()
        kept = nms(found, sure, 0.5)
        size = (found[:, 2:] - found[:, :2]).repeat(1, 2)
        boxes.append((found + off[0, :, down, across].T.float() * size)[kept])
        scores.append(sure[kept])
        scale *= _SHRINK
    return torch.cat(boxes), torch.cat(scores)


def _moved(boxes: Tensor, off: Tensor) -> Tensor:
    size = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + off.to(boxes.dtype) * size.repeat(1, 2)


def _squares(boxes: Tensor) -> Tensor:
    import torch

    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True) / 2
    return torch.cat([centre - half, centre + half], dim=1)


def _cut(image: Tensor, boxes: Tensor, side: int) -> Tensor:
    """(n, 3, side, side) of an image (1, 3, H, W); what lies beyond the edge is left out."""
    import torch
    from torch.nn.functional import interpolate

    height, width = image.shape[2:]
    cut: list[Tensor] = [image.new_zeros(0, 3, side, side)]
    for left, top, right, bottom in boxes.trunc().int().tolist():
        across, down = (max(left, 1), min(right, width)), (max(top, 1), min(bottom, height))
        if down[1] > down[0] - 1 and across[1] > across[0] - 1:
            piece = image[:, :, down[0] - 1 : down[1], across[0] - 1 : across[1]]
            cut.append(interpolate(piece, (side, side), mode="area"))
        else:  # none of it is in the image
            cut.append(image.new_zeros(1, 3, side, side))
    return torch.cat(cut)


def _inside(box: Tensor, other: Face) -> float:
    """How much of the smaller of two boxes lies in the other."""
    across = min(float(box[2]), other.right) - max(float(box[0]), other.left) + 1
    down = min(float(box[3]), other.bottom) - max(float(box[1]), other.top) + 1
    own = float((box[2] - box[0] + 1) * (box[3] - box[1] + 1))
    others = (other.right - other.left + 1) * (other.bottom - other.top + 1)
    return max(0.0, across) * max(0.0, down) / max(1e-6, min(own, others))


def upright(points: Any) -> Any:
    """(2, 3): the turn, scale and shift that brings five points (5, 2) closest to where they lie in the square."""
    import numpy

    given = numpy.asarray(points, numpy.float64)
    wanted = numpy.asarray(_TEMPLATE)
    rows = numpy.zeros((10, 4))
    rows[0::2] = numpy.stack([given[:, 0], -given[:, 1], numpy.ones(5), numpy.zeros(5)], axis=1)
    rows[1::2] = numpy.stack([given[:, 1], given[:, 0], numpy.zeros(5), numpy.ones(5)], axis=1)
    a, b, across, down = numpy.linalg.lstsq(rows, wanted.reshape(-1), rcond=None)[0]
    return numpy.array([[a, -b, across], [b, a, down]])


def cut_out(pixels: Any, way: Any) -> Any:
    """The square (512, 512, 3) of an image (H, W, 3), as numpy has them; beyond the edge it goes on as it ends."""
    import cv2

    # Sampled at every pixel of the square: a large face is softened first, so that nothing is skipped.
    scale = math.hypot(way[0, 0], way[1, 0])
    if scale < 0.5:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.5 / scale)
    return cv2.warpAffine(pixels, way, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).clip(0, 1)


def put_back(pixels: Any, square: Any, way: Any, feather: float, strength: float) -> tuple[Any, Any]:
    """An image (H, W, 3) with a square put where it was cut out, and how much of it counts where (H, W).

    Args:
        pixels: the image.
        square: (512, 512, 3).
        way: what it was cut out by.
        feather: how wide its edge fades, in parts of half the square.
        strength: how much of it counts within, 0..1.
    """
    import cv2
    import numpy

    height, width = pixels.shape[:2]
    ramp = numpy.minimum(numpy.arange(SIDE) + 0.5, SIDE - 0.5 - numpy.arange(SIDE)) / (SIDE / 2 * max(feather, 1e-3))
    ramp = numpy.clip(ramp, 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    share = numpy.outer(ramp, ramp).astype(numpy.float32)
    back = cv2.invertAffineTransform(way)
    # One pixel within the square is drawn by several of it where the face was larger.
    scale = math.hypot(way[0, 0], way[1, 0])
    if scale > 2:
        square = cv2.GaussianBlur(square, (0, 0), 0.5 * scale / 2)
    shown = cv2.warpAffine(square, back, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(share, back, (width, height), flags=cv2.INTER_LINEAR) * strength
    return pixels * (1 - share[..., None]) + shown * share[..., None], share
