"""Parts of masks, and the rectangles around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safelight.sdk import Problem, ProblemError

if TYPE_CHECKING:
    from torch import Tensor

INSIDE = 0.5
"""From this coverage on a pixel counts as inside, where it has to be either."""


def bounds(coverage: Tensor, margin: int = 0, port: str = "mask") -> tuple[int, int, int, int]:
    """(left, top, width, height) of the smallest rectangle around what is not black in any mask (B, H, W), with a
    margin as far as the masks reach.

    Raises:
        ProblemError: `empty_mask`, at `port`.
    """
    seen = (coverage > 0).any(dim=0)
    rows, columns = seen.any(dim=1).nonzero()[:, 0], seen.any(dim=0).nonzero()[:, 0]
    if not len(rows):
        raise empty_mask(port)
    height, width = seen.shape
    top, bottom = max(0, int(rows[0]) - margin), min(height, int(rows[-1]) + 1 + margin)
    left, right = max(0, int(columns[0]) - margin), min(width, int(columns[-1]) + 1 + margin)
    return left, top, right - left, bottom - top


def empty_mask(port: str, message: str = "The mask is black all over.") -> ProblemError:
    hint = "Paint what is meant, or lower a threshold before it."
    return ProblemError(Problem(code="empty_mask", message=message, hint=hint, port=port))


def parts(coverage: Tensor) -> tuple[Any, list[int]]:
    """The connected parts of one mask (H, W): a numpy array (H, W) of their numbers from 1 on, 0 outside, and the
    pixels of each, by number. Pixels that touch at a corner are connected.
    """
    import numpy
    from scipy.ndimage import label

    numbers, count = label(coverage.numpy() >= INSIDE, structure=numpy.ones((3, 3)))  # pyright: ignore[reportGeneralTypeIssues]
    return numbers, numpy.bincount(numbers.ravel(), minlength=count + 1)[1:].tolist()


def distances(inside: Any) -> Any:
    """(H, W), for each pixel inside, how far the next one outside is, by middles; 0 outside."""
    from scipy.ndimage import distance_transform_edt

    found: Any = distance_transform_edt(inside)
    return found


def nearest(inside: Any) -> tuple[Any, ...]:
    """(rows, columns), each (H, W): for each pixel inside, the next one outside; others are their own."""
    from scipy.ndimage import distance_transform_edt

    found: Any = distance_transform_edt(inside, return_distances=False, return_indices=True)
    return tuple(found)
