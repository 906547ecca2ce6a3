"""What an IP-Adapter looks at, told by the names of its weights, and the LoRA that those for faces bring along.

Those for faces (FaceID) look at embeddings of a face recognition model, whose 512 numbers say who somebody is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Looks(NamedTuple):
    """What the projection of an adapter takes of each image.

    `faces` is the embedding of a face. `image` is what an image encoder makes of the whole: its summary, or with
    `patches` its states before the last layer, `last` those behind it. `blank` is that no image means a black one to
    the adapter, else zeros.
    """

    image: bool = True
    patches: bool = False
    faces: bool = False
    last: bool = False
    blank: bool = False


def looks_at(projection: Collection[str]) -> Looks:
    """Told by the names of `image_proj`, in the same order as diffusers does it."""
    if "proj.weight" in projection:
        return Looks()
    if "proj.3.weight" in projection:
        return Looks(patches=True, blank=True)
    if "redux_up.weight" in projection:
        return Looks(patches=True, last=True)
    if is_timed(projection):
        return Looks(patches=True)
    if "perceiver_resampler.proj_in.weight" in projection:
        return Looks(patches=True, faces=True, blank=True)
    if "norm.weight" in projection:
        return Looks(image=False, faces=True)
    return Looks(patches=True, blank=True)


def is_timed(projection: Collection[str]) -> bool:
    """Whether a projection looks at the timestep as well, as that for Stable Diffusion 3 does."""
    return "time_embedding.linear_1.weight" in projection


def words(projection: Mapping[str, Tensor], states: Tensor) -> Tensor:
    """What Flux.1 Redux makes of an image encoder's last states: (images, tokens, channels) of a text's embeddings."""
    from torch.nn.functional import linear, silu

    up, down = (
        {kind: projection[f"{layer}.{kind}"].to(states) for kind in ("weight", "bias")}
        for layer in ("redux_up", "redux_down")
    )
    return linear(silu(linear(states, **up)), **down)


def face_width(projection: Mapping[str, Any]) -> int:
    """The numbers of the embedding of a face that the projection takes: 512 in those that are published."""
    return projection["proj.0.weight"].shape[1]


def project_faces(projection: Any, faces: Tensor, shortcut: float | None) -> Tensor:
    """What a projection of faces and images (FaceID Plus) makes of (n, width + tokens * channels).

    `shortcut` is how much the image adds to who it is, as in version 2; None is version 1, which sees both at once.
    """
    width, channels = projection.proj.net[0].proj.in_features, projection.proj_in.in_features
    projection.clip_embeds = faces[:, width:].unflatten(1, (-1, channels))[None]
    projection.shortcut = shortcut is not None
    projection.shortcut_scale = shortcut or 0.0
    return projection(faces[:, :width])


class AttentionLora:
    """The LoRA that an adapter for faces has for the attentions of its denoiser, while it lies beside them."""

    def __init__(self) -> None:
        self.weight = 0.0

    @contextmanager
    def beside(self, unet: Any, weights: Mapping[str, Tensor]) -> Iterator[None]:
        """Adds it to what the layers give. `weights` are numbered as the denoiser's attentions are.

        Raises:
            KeyError, RuntimeError: there is half of a pair, or one that does not fit its layer.
        """
        names = [name.removesuffix(".processor") for name in unet.attn_processors]
        with ExitStack() as stack:
            for name, down in weights.items():
                number, _, rest = name.partition(".")
                layer = rest.removesuffix("_lora.down.weight")
                if layer == rest:
                    continue
                up = weights[f"{number}.{layer}_lora.up.weight"]
                module = unet.get_submodule(f"{names[int(number)]}.{'to_out.0' if layer == 'to_out' else layer}")
                if (down.shape[1], up.shape[0]) != (module.in_features, module.out_features):
                    raise RuntimeError(f"{name} is for {down.shape[1]} channels")
                stack.callback(module.register_forward_hook(self._adding(down, up)).remove)
            yield

    def _adding(self, down: Tensor, up: Tensor) -> Any:
        from torch.nn.functional import linear

        def hook(module: Any, given: tuple[Tensor, ...], found: Tensor) -> Tensor | None:
            del module
            if not self.weight:
                return None
            return found + self.weight * linear(linear(given[0], down.to(found)), up.to(found))

        return hook
