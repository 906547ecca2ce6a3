"""Networks that read an image for others: edges, lines, depth, normals, poses, faces, segments, and what measures use.

Those of controlnet-aux and torchvision lie in one file each, as their makers published it. Which one a file holds is
told by its names, without torch; those packages have the classes, the weights are read here. Models of transformers lie
in a folder each.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.families.files import Header
from safelight.sdk.problem import Problem, ProblemError

from .readers import load_reader

if TYPE_CHECKING:
    from torch import Tensor

    from .weights import Target

_PACKAGE = "_safelight_controlnet_aux"
_ENDINGS = (
    "ForDepthEstimation",
    "ForSemanticSegmentation",
    "ForUniversalSegmentation",
    "ForImageSegmentation",
    "ForImageClassification",
)
_OTHERS = (
    "GroundingDinoForObjectDetection",
    "MMGroundingDinoForObjectDetection",
    "SamModel",
    "Sam2Model",
    "Sam2VideoModel",
)
_IMAGE_MODELS = MappingProxyType({"Sam2VideoModel": "Sam2Model"})
_COMPUTED = ("num_batches_tracked", "relative_position_index")
"""Endings of buffers that a network makes by itself, and that some files have and others lack."""
_LEVELS = ("depth_model.", "model.", "module.")
"""What programs put before all names, one or several of them."""
_AESTHETIC = MappingProxyType({f"layers.{at}.weight": shape for at, shape in (
    (0, (1024, 768)), (2, (128, 1024)), (4, (64, 128)), (6, (16, 64)), (7, (1, 16)),
)})  # fmt: skip
"""The published improved aesthetic predictor, over vectors of CLIP ViT-L/14."""


def is_preprocessor(made: str) -> bool:
    """Whether a class of transformers reads images for others, by its name."""
    return made.endswith(_ENDINGS) or made in _OTHERS


def _aux(module: str) -> Any:
    """A module of controlnet-aux by itself.

    Importing any of them the usual way imports all of them first, with warnings about what few have installed; so the
    package is entered under another name, by its folder alone.
    """
    if _PACKAGE not in sys.modules:
        spec = find_spec("controlnet_aux")
        assert spec is not None
        package = ModuleType(_PACKAGE)
        package.__path__ = list(spec.submodule_search_locations or ())
        sys.modules[_PACKAGE] = package
    return importlib.import_module(f"{_PACKAGE}.{module}")


class Network(NamedTuple):
    """A row of the table.

    Args:
        sort: which one it is.
        marks: names of tensors that all must be there.
        build: makes the network, with any weights.
        wrap: makes what controlnet-aux calls an annotator out of the network; it gives the network itself where none
            is needed.
        channels: how many the tensor of the last mark makes, where names alone do not tell.
        by_shapes: makes the network out of the shapes in the file, in the place of `build`, where they vary.
    """

    sort: str
    marks: tuple[str, ...]
    build: Callable[[], Any]
    wrap: Callable[[Any], Any]
    channels: int = 0
    by_shapes: Callable[[Mapping[str, Sequence[int]]], Any] | None = None


def _made(module: str, name: str, *given: Any, **options: Any) -> Callable[[], Any]:
    def build() -> Any:
        return getattr(_aux(module), name)(*given, **options)

    return build


def _in(module: str, name: str) -> Callable[[Any], Any]:
    def wrap(network: Any) -> Any:
        return getattr(_aux(module), name)(network)

    return wrap


def _anime() -> Any:
    from functools import partial

    from torch.nn import InstanceNorm2d

    norm = partial(InstanceNorm2d, affine=False, track_running_stats=False)
    return _aux("lineart_anime").UnetGenerator(3, 1, 8, 64, norm_layer=norm, use_dropout=False)


def _normals() -> Any:
    options = SimpleNamespace(
        mode="client", architecture="BN", pretrained="scannet", sampling_ratio=0.4, importance_ratio=0.7
    )
    return _aux("normalbae").NNET(options)


def _zoe() -> Any:
    room = _aux("zoe")
    return room.ZoeDepth.build_from_config(room.get_config("zoedepth", "infer"))


def _part(module: str, name: str) -> Callable[[Any], Any]:
    """For annotators that would read their own file: made without, and given the network."""

    def wrap(network: Any) -> Any:
        cls = getattr(_aux(f"open_pose.{module}"), name)
        made = cls.__new__(cls)
        made.model = network
        return made

    return wrap


def _body(network: Any) -> Any:
    return _aux("open_pose").OpenposeDetector(_part("body", "Body")(network))


def _leres(network: Any) -> Any:
    return _aux("leres").LeresDetector(network, None)


def _sam(network: Any) -> Any:
    return _aux("segment_anything").SamAutomaticMaskGenerator(network)


def _mtcnn(name: str) -> Callable[[], Any]:
    def build() -> Any:
        from .mtcnn import output, propose, refine

        return {"propose": propose, "refine": refine, "output": output}[name]()

    return build


def _itself(network: Any) -> Any:
    return network


def _dpt(backbone: str) -> Callable[[], Any]:
    return _made("midas.midas.dpt_depth", "DPTDepthModel", path=None, backbone=backbone, non_negative=True)


def _sam_of(size: str) -> Callable[[], Any]:
    def build() -> Any:
        return _aux("segment_anything").sam_model_registry[size]()

    return build


def _features(name: str) -> Callable[[], Any]:
    """A classifier of torchvision without what comes after its features; empty, as all of it is filled."""

    def build() -> Any:
        import torch
        import torchvision

        with torch.device("meta"):
            made = getattr(torchvision.models, name)(weights=None)
        return torch.nn.ModuleDict({"features": made.features})

    return build


def _inception() -> Any:
    from torchvision.models import inception_v3

    return inception_v3(weights=None, init_weights=False, aux_logits=False)


def _aesthetic(shapes: Mapping[str, Sequence[int]] = _AESTHETIC) -> Any:
    """Linear layers one after the other, without anything between them: what drops out does so in training alone."""
    import torch

    named = (re.fullmatch(r"layers\.(\d+)\.weight", name) for name, shape in shapes.items() if len(shape) == 2)
    layers = sorted(int(found[1]) for found in named if found)
    made = torch.nn.ModuleDict()
    for layer in layers:
        wide, given = shapes[f"layers.{layer}.weight"]
        made[str(layer)] = torch.nn.Linear(given, wide)
    return torch.nn.ModuleDict({"layers": made})


_SAM_MASKS = "mask_decoder.iou_prediction_head.layers.2.weight"
NETWORKS: tuple[Network, ...] = (
    Network(
        "hed",
        ("norm", "block1.convs.0.weight", "block5.projection.weight"),
        _made("hed", "ControlNetHED_Apache2"),
        _in("hed", "HEDdetector"),
    ),
    Network(
        "pidinet",
        ("block1_1.conv1.weight", "conv_reduces.2.conv.weight", "classifier.weight"),
        _made("pidi", "pidinet"),
        _in("pidi", "PidiNetDetector"),
    ),
    Network(
        "lineart",
        ("model0.1.weight", "model2.1.conv_block.5.weight", "model4.1.weight"),
        _made("lineart", "Generator", 3, 1, 3),
        lambda network: _aux("lineart").LineartDetector(network, network),
    ),
    Network(
        "lineart_anime",
        ("model.model.0.weight", "model.model.1.model.1.weight", "model.model.3.weight"),
        _anime,
        _in("lineart_anime", "LineartAnimeDetector"),
    ),
    Network(
        "mlsd",
        ("backbone.features.0.0.weight", "block23.conv3.weight"),
        _made("mlsd", "MobileV2_MLSD_Large"),
        _in("mlsd", "MLSDdetector"),
    ),
    Network(
        "teed",
        ("block_1.conv1.weight", "up_block_1.features.2.weight", "block_cat.DWconv2.weight"),
        _made("teed.ted", "TED"),
        lambda network: SimpleNamespace(
            teed=_aux("teed").TEEDdetector(network), anyline=_aux("anyline").AnylineDetector(network)
        ),
    ),
    Network(
        "openpose_body",
        ("conv1_1.weight", "Mconv7_stage6_L1.weight", "Mconv7_stage6_L2.weight"),
        _made("open_pose.model", "bodypose_model"),
        _body,
    ),
    Network(
        "openpose_face",
        ("conv1_1.weight", "conv5_3_CPM.weight", "Mconv7_stage6.weight"),
        _made("open_pose.face", "FaceNet"),
        _part("face", "Face"),
        channels=71,
    ),
    Network(
        "openpose_hand",
        ("conv1_1.weight", "conv5_3_CPM.weight", "Mconv7_stage6.weight"),
        _made("open_pose.model", "handpose_model"),
        _part("hand", "Hand"),
        channels=22,
    ),
    Network(
        "normal_bae",
        ("encoder.original_model.conv_stem.weight", "decoder.out_conv_res1.6.weight"),
        _normals,
        _in("normalbae", "NormalBaeDetector"),
    ),
    Network(
        "leres",
        ("encoder_modules.encoder.conv1.weight", "decoder_modules.outconv.adapt_conv.3.weight"),
        _made("leres", "RelDepthModel", backbone="resnext101"),
        _leres,
    ),
    Network(
        "zoe",
        ("core.core.pretrained.model.cls_token", "conditional_log_binomial.mlp.2.weight"),
        _zoe,
        _in("zoe", "ZoeDetector"),
    ),
    Network(
        "midas",
        ("pretrained.model.patch_embed.backbone.stem.conv.weight", "scratch.output_conv.4.weight"),
        _dpt("vitb_rn50_384"),
        _in("midas", "MidasDetector"),
    ),
    Network(
        "midas",
        ("pretrained.model.pos_embed", "pretrained.model.blocks.23.norm1.weight", "scratch.output_conv.4.weight"),
        _dpt("vitl16_384"),
        _in("midas", "MidasDetector"),
    ),
    *(
        Network("sam", (_SAM_MASKS, mark), _sam_of(size), _sam)
        for size, mark in (
            ("vit_h", "image_encoder.blocks.31.norm1.weight"),
            ("vit_l", "image_encoder.blocks.23.norm1.weight"),
            ("vit_b", "image_encoder.blocks.11.norm1.weight"),
            ("vit_t", "image_encoder.patch_embed.seq.0.c.weight"),
        )
    ),
    Network(
        "alexnet",
        ("features.6.weight", "features.8.weight", "features.10.weight"),
        _features("alexnet"),
        _itself,
        channels=256,
    ),
    Network(
        "vgg16",
        ("features.17.weight", "features.26.weight", "features.28.weight"),
        _features("vgg16"),
        _itself,
        channels=512,
    ),
    Network(
        "squeezenet",
        ("features.6.squeeze.weight", "features.12.expand3x3.weight"),
        _features("squeezenet1_1"),
        _itself,
    ),
    Network(
        "inception_v3",
        ("Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch3x3_2a.conv.weight", "fc.weight"),
        _inception,
        _itself,
        channels=1000,
    ),
    Network(
        "aesthetic",
        ("layers.0.weight", "layers.2.weight", "layers.7.weight"),
        _aesthetic,
        _itself,
        channels=1,
        by_shapes=_aesthetic,
    ),
    Network("mtcnn_output", ("dense6_3.weight", "conv4.weight", "prelu5.weight"), _mtcnn("output"), _itself),
    Network("mtcnn_refine", ("dense5_2.weight", "conv3.weight", "prelu4.weight"), _mtcnn("refine"), _itself),
    Network("mtcnn_propose", ("conv4_2.weight", "conv4_1.weight", "prelu3.weight"), _mtcnn("propose"), _itself),
)
"""The networks that are read from one file each; the first row that fits holds."""


def network_in(header: Header) -> str:
    """Which of them a file holds ('hed'); empty for anything else."""
    row = _row({_bare(name): one.shape for name, one in header.tensors.items()})
    return row.sort if row else ""


def _row(shapes: Mapping[str, Sequence[int]]) -> Network | None:
    for row in NETWORKS:
        marks = [_bare(mark) for mark in row.marks]
        if all(mark in shapes for mark in marks) and row.channels in (0, next(iter(shapes[marks[-1]]), 0)):
            return row
    return None


def _bare(name: str) -> str:
    """A name without what was put before all of them."""
    while True:
        level = next((one for one in _LEVELS if name.startswith(one)), "")
        if not level:
            return name
        name = name.removeprefix(level)


@dataclass(frozen=True)
class Preprocessor:
    """Implements `sdk.PreprocessorModel`."""

    sort: str
    network: Any
    annotator: Any = None
    processor: Any = None
    name: str = ""


def load_preprocessor(file: Path, target: Target) -> Preprocessor:
    """The network of a file, on the device.

    Raises:
        ProblemError: `weights_mismatch`, when its weights are not those of such a network.
    """
    from .weights import fill, tensors

    given = dict(tensors([file], target))
    shapes = {_bare(name): tensor.shape for name, tensor in given.items()}
    row = _row(shapes)
    if row is None:  # a file that was told by its header has the same names inside
        message = f"{file.name} holds no preprocessor that is known."
        hint = "Get its files again."
        raise ProblemError(Problem(code="weights_mismatch", message=message, hint=hint, value=file.name))
    with contextlib.redirect_stdout(io.StringIO()):  # some say what they are building
        network = (row.by_shapes(shapes) if row.by_shapes else row.build()).eval()
    fill(network, _fitting(network.state_dict(), given), file.name)
    # Its weights have the type by now; the class of ZoeDepth takes no other argument.
    network.requires_grad_(False).to(target.device)
    return Preprocessor(row.sort, network, row.wrap(network), name=file.name)


def _fitting(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """What is given, by the names that the network has; what it computes by itself is its own."""
    yield from ((name, tensor) for name, tensor in own.items() if name.endswith(_COMPUTED))
    names = {_bare(name): name for name in own}
    # OpenPose's classes have a level more than its files.
    names |= {name.partition(".")[2]: name for name in own if re.match(r"model\d_\d\.|model\d\.", name)}
    for name, tensor in given.items():
        if not name.endswith(_COMPUTED):
            yield names.get(_bare(name), name), tensor


def load_folder(root: Path, said: Mapping[str, Any], target: Target) -> Preprocessor:
    """The model of transformers in a folder with this configuration, on the device.

    Raises:
        ProblemError: as `load_reader`.
    """
    # SAM 2 is published as the model for videos, whose weights hold that for single images.
    (made, *_) = said.get("architectures") or [""]
    said = {**said, "architectures": [_IMAGE_MODELS.get(made, made)]}
    loaded = load_reader(root, said, target, is_preprocessor)
    return Preprocessor(type(loaded.model).__name__, loaded.model, None, loaded.processor, root.name)
