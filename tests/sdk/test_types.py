"""What may be connected to what: the whole rule as a table."""

from __future__ import annotations

import pytest

import trivial_nodes
from safelight.sdk import PortType, can_connect


def kind(text: str) -> PortType:
    if text.startswith("list["):
        return PortType("list", (kind(text[5:-1]),))
    if text.startswith("ModelRef["):
        return PortType("ModelRef", (PortType(text[9:-1]),))
    if text.startswith("choice:"):
        return PortType("choice", choices=tuple(text[7:].split("|")))
    return PortType(text, var=text == "T")


TABLE = [
    ("int", "int", "same", 0),
    ("int", "float", "widen", 0),
    ("float", "int", "no", 0),
    ("bool", "int", "no", 0),
    ("str", "int", "no", 0),
    ("Image", "Image", "same", 0),
    ("Image", "Latent", "no", 0),
    ("Image", "list[Image]", "wrap", 0),
    ("list[Image]", "list[Image]", "same", 0),
    ("list[Image]", "Image", "map", 1),
    ("list[list[Image]]", "Image", "map", 2),
    ("list[list[Image]]", "list[Image]", "map", 1),
    ("Image", "list[list[Image]]", "no", 0),
    ("list[int]", "float", "map", 1),
    ("list[int]", "list[float]", "widen", 0),
    ("list[Latent]", "Image", "no", 0),
    ("Image", "Any", "same", 0),
    ("list[Image]", "Any", "same", 0),
    ("Any", "Image", "no", 0),
    ("Image", "T", "same", 0),
    ("ModelRef[VAE]", "ModelRef[VAE]", "same", 0),
    ("ModelRef[VAE]", "ModelRef[Denoiser]", "no", 0),
    ("choice:a|b", "choice:a|b|c", "same", 0),
    ("choice:a|d", "choice:a|b|c", "no", 0),
    ("choice:a", "str", "same", 0),
    ("str", "choice:a", "same", 0),
]


@pytest.mark.parametrize(("source", "target", "how", "depth"), TABLE)
def test_can_connect(source: str, target: str, how: str, depth: int) -> None:
    fit = can_connect(kind(source), kind(target))
    assert (fit.how, fit.depth) == (how, depth)
    assert fit.ok == (how != "no")
    assert bool(fit.reason) == (how == "no")


def test_the_reason_is_in_words() -> None:
    assert "a VAE model" in can_connect(kind("ModelRef[VAE]"), kind("ModelRef[Denoiser]")).reason
    assert "Decode it first." in can_connect(kind("Latent"), kind("Image")).reason


def test_every_type_of_a_node_reads_back_from_its_text() -> None:
    for node in trivial_nodes.catalogue().values():
        for name, port in node.inputs.items():
            assert node.ports[name].type == str(port)
