"""The three networks of MTCNN, which find faces and five points of each: the names of their layers are those of
facenet-pytorch, whose package has weights (MIT).

Pixels are (B, 3, H, W) in -1..1. Each gives scores (B, 2, ...), of which the second is that of a face, and how far the
box is off (B, 4, ...), in parts of it.

Source: K. Zhang, Z. Zhang, Z. Li and Y. Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks", 2016.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def propose() -> Any:
    """Images of any size to cells (h, w) of two pixels, at each of which a face of 12 pixels may begin."""
    from torch.nn import Conv2d, MaxPool2d, PReLU

    trunk: dict[str, Any] = {
        **{"conv1": Conv2d(3, 10, 3), "prelu1": PReLU(10), "pool1": MaxPool2d(2, 2, ceil_mode=True)},
        **{"conv2": Conv2d(10, 16, 3), "prelu2": PReLU(16), "conv3": Conv2d(16, 32, 3), "prelu3": PReLU(32)},
    }
    return _network(trunk, {"conv4_1": Conv2d(32, 2, 1), "conv4_2": Conv2d(32, 4, 1)})


def refine() -> Any:
    """Candidates of 24 x 24 pixels."""
    from torch.nn import Conv2d, Linear, MaxPool2d, PReLU

    trunk: dict[str, Any] = {
        **{"conv1": Conv2d(3, 28, 3), "prelu1": PReLU(28), "pool1": MaxPool2d(3, 2, ceil_mode=True)},
        **{"conv2": Conv2d(28, 48, 3), "prelu2": PReLU(48), "pool2": MaxPool2d(3, 2, ceil_mode=True)},
        **{"conv3": Conv2d(48, 64, 2), "prelu3": PReLU(64), "rows": _rows()},
        **{"dense4": Linear(576, 128), "prelu4": PReLU(128)},
    }
    return _network(trunk, {"dense5_1": Linear(128, 2), "dense5_2": Linear(128, 4)})


def output() -> Any:
    """Candidates of 48 x 48 pixels; also five points (B, 10) in parts of the box, all x before all y: the eyes, the
    nose, the corners of the mouth."""
    from torch.nn import Conv2d, Linear, MaxPool2d, PReLU

    trunk: dict[str, Any] = {
        **{"conv1": Conv2d(3, 32, 3), "prelu1": PReLU(32), "pool1": MaxPool2d(3, 2, ceil_mode=True)},
        **{"conv2": Conv2d(32, 64, 3), "prelu2": PReLU(64), "pool2": MaxPool2d(3, 2, ceil_mode=True)},
        **{"conv3": Conv2d(64, 64, 3), "prelu3": PReLU(64), "pool3": MaxPool2d(2, 2, ceil_mode=True)},
        **{"conv4": Conv2d(64, 128, 2), "prelu4": PReLU(128), "rows": _rows()},
        **{"dense5": Linear(1152, 256), "prelu5": PReLU(256)},
    }
    heads = {"dense6_1": Linear(256, 2), "dense6_2": Linear(256, 4), "dense6_3": Linear(256, 10)}
    return _network(trunk, heads)


def _network(trunk: dict[str, Any], heads: dict[str, Any]) -> Any:
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, module in (*trunk.items(), *heads.items()):
                self.add_module(name, module)

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            for name in trunk:
                x = self.get_submodule(name)(x)
            return tuple(self.get_submodule(name)(x) for name in heads)

    return Network()


def _rows() -> Any:
    import torch

    class Rows(torch.nn.Module):
        """(B, n) of (B, C, H, W), in the order that the weights were trained with: W before H before C."""

        def forward(self, x: Tensor) -> Tensor:
            return torch.flatten(x.permute(0, 3, 2, 1), 1)

    return Rows()
