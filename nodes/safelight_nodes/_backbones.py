"""The networks that perceptual measures look with: what torchmetrics makes out of a backbone of torchvision.

torchmetrics has the small weights that were trained for the measures; those of the backbones it would download, so its
networks are put together here, from the backbone that a file holds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safelight.sdk import Context

from ._preprocessing import leased

if TYPE_CHECKING:
    from torch import Tensor

BACKBONES: dict[str, tuple[Literal["alex", "vgg", "squeeze"], str]] = {
    "alexnet": ("alex", "AlexNet"),
    "vgg16": ("vgg", "VGG16"),
    "squeezenet": ("squeeze", "SqueezeNet 1.1"),
}
"""By the sort of a file: how torchmetrics calls it, and how people do."""


def lpips_of(sort: str, features: Any) -> Any:
    """LPIPS over the features of a backbone (`BACKBONES`)."""
    import torch
    from torchmetrics.functional.image import lpips

    net = BACKBONES[sort][0]
    with torch.device("meta"):  # all weights are replaced
        made = lpips._NoTrainLpips(pretrained=False, net=net, pnet_rand=True)  # pyright: ignore[reportPrivateUsage]
    made.scaling_layer = lpips.ScalingLayer()
    heads = torch.load(Path(lpips.__file__).parent / "lpips_models" / f"{net}.pth", map_location="cpu")
    made.load_state_dict(heads, strict=False, assign=True)
    # Its slices number the layers as the backbone does.
    for part in [one for one in made.net.modules() if isinstance(one, torch.nn.Sequential)]:
        for name in [name for name, _ in part.named_children()]:
            setattr(part, name, features[int(name)])
    return made.requires_grad_(False)


def dists_of(features: Any) -> Any:
    """DISTS over the features of a VGG16."""
    import torch
    from torch import nn
    from torchmetrics.functional.image import dists

    class Network(dists.DISTSNetwork):
        """As its own constructor makes it, with these features in the place of those that it downloads."""

        def __init__(self) -> None:
            nn.Module.__init__(self)
            self.chns = [3, 64, 128, 256, 512, 512]
            for stage, (first, end) in enumerate(((0, 4), (4, 9), (9, 16), (16, 23), (23, 30)), start=1):
                pool = dists.L2pooling(channels=self.chns[stage - 1])
                parts = [pool if place == first and stage > 1 else features[place] for place in range(first, end)]
                self.add_module(f"stage{stage}", nn.Sequential(*parts))
            self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, -1, 1, 1))
            self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, -1, 1, 1))
            kept = torch.load(dists._PATH_WEIGHT_DISTS, map_location="cpu")  # pyright: ignore[reportPrivateUsage]
            self.alpha, self.beta = (nn.Parameter(kept[name], requires_grad=False) for name in ("alpha", "beta"))

    return Network().eval()


def apart(
    ctx: Context,
    model: str,
    sorts: tuple[str, ...],
    said: str,
    make: Callable[[str, Any], Any],
    ours: Tensor,
    theirs: Tensor,
    **options: Any,
) -> tuple[list[float], str]:
    """What a network gives for each pair of images, (B, 3, H, W) in 0..1 both, and the name of its backbone.

    Args:
        ctx: of the node.
        model: the name of the backbone's file.
        sorts: which backbones it may be.
        said: what is needed, for messages.
        make: makes the network of the sort of a backbone and its features; it is called with two batches.
        ours: the images.
        theirs: what they are compared with.
        options: what the network is called with beside them.

    Raises:
        ProblemError: as `leased`.
    """
    import torch

    found: list[float] = []
    with leased(ctx, model, sorts, said, side=max(ours.shape[2:])) as lease:
        sort = lease.component.sort
        network = make(sort, lease.component.network["features"]).to(lease.device)

        def one(place: int) -> float:
            with torch.inference_mode():
                given = (side[place : place + 1].clamp(0, 1).to(lease.device) for side in (ours, theirs))
                return float(network(*given, **options))

        for place in range(len(ours)):
            ctx.check_cancelled()
            found.append(ctx.models.retry(lambda place=place: one(place)))
            ctx.progress(place + 1, len(ours))
    return found, BACKBONES[sort][1]
