"""The node types of calls and of what stands in their bodies for their inputs: nothing but ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from safelight.sdk.node import InputSpec, NodeSpec, NodeType, OutputSpec
from safelight.sdk.types import ANY, PortType

PARAMETER = "value"
"""The output of the nodes that stand in a body for the inputs of its call."""


def input_of_call(name: str, kind: PortType, inner: InputSpec | None) -> tuple[InputSpec, PortType]:
    """An input of a call, with the widget and the default of the port inside that it feeds, where it has one."""
    if inner is None:
        return InputSpec(name=name, type=str(kind), socket=True, required=True), kind
    return msgspec.structs.replace(inner, name=name, type=str(kind), lazy=False), kind


def call_type(name: str, ports: Mapping[str, tuple[InputSpec, PortType]], outputs: Mapping[str, PortType]) -> NodeType:
    """The node type of a call, as far as anybody asks for one: its ports."""
    spec = NodeSpec(
        id=name,
        version=1,
        title=name,
        category="",
        help="",
        inputs=tuple(port for port, _ in ports.values()),
        outputs=tuple(OutputSpec(name=output, type=str(kind)) for output, kind in outputs.items()),
    )
    return NodeType(
        spec=spec,
        function=_never,
        inputs={port: kind for port, (_, kind) in ports.items()},
        outputs=dict(outputs),
        context=None,
        named=True,
        migrations={},
    )


def _never(**_: Any) -> None:
    """Calls and the inputs of bodies are not called as functions."""
    raise AssertionError


GIVEN = call_type("input", {}, {PARAMETER: ANY})
"""The type of the nodes that stand in a body for the inputs of its call."""
