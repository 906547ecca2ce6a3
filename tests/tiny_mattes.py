"""Small ONNX files of the layouts that cut out subjects, and of some that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def write(
    path: Path,
    size: tuple[Any, Any] = (64, 64),
    *,
    images: int = 1,
    channels: int = 1,
    logits: bool = False,
    attention: bool = False,
    half: bool = False,
    beside: str = "",
) -> Path:
    """A network that tells what is bright: three colours times 0.5, 1 and 0.25, and a sigmoid of what that comes to.

    Args:
        path: of the file.
        size: height and width that it takes; names for any.
        images: how many it takes.
        channels: of what it gives.
        logits: without the sigmoid.
        attention: with a softmax whose result changes nothing, which tells BiRefNet from others.
        half: in half precision.
        beside: the file that its weights are said to lie in.
    """
    import numpy
    from onnx import TensorProto, helper, numpy_helper, save

    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    number = numpy.float16 if half else numpy.float32
    taken = [helper.make_tensor_value_info(f"image{place or ''}", kind, [1, 3, *size]) for place in range(images)]
    given = [helper.make_tensor_value_info(f"map{place or ''}", kind, [1, channels, *size]) for place in range(2)]
    weight = numpy.array([[[[0.5]], [[1.0]], [[0.25]]]] * channels, number)
    kept = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(numpy.array(0, number), "nothing")]
    nodes = [helper.make_node("Conv", ["image", "weight"], ["found"])]
    last = "found"
    if attention:
        nodes += [
            helper.make_node("Softmax", ["found"], ["soft"]),
            helper.make_node("Mul", ["soft", "nothing"], ["none"]),
            helper.make_node("Add", ["found", "none"], ["attended"]),
        ]
        last = "attended"
    nodes.append(helper.make_node("Identity" if logits else "Sigmoid", [last], ["map"]))
    nodes.append(helper.make_node("Neg", ["map"], ["map1"]))  # what comes behind the first is not looked at
    if images > 1:
        nodes.append(helper.make_node("Identity", ["image1"], ["unused"]))
    if beside:
        kept[0].ClearField("raw_data")
        kept[0].data_location = TensorProto.EXTERNAL
        entry = kept[0].external_data.add()
        entry.key, entry.value = "location", beside
    graph = helper.make_graph(nodes, "bright", taken, given, kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
