"""A node type that hands on what is typed into it: what a bypassed node is, where its input is not linked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.sdk.node import InputSpec, NodeSpec, NodeType, OutputSpec
from safelight.sdk.types import PortType


def constant(ports: Mapping[str, tuple[InputSpec, PortType]]) -> NodeType:
    """The node type: by output, the input whose value it hands on, and the type of both."""
    inputs = {spec.name: (spec, kind) for spec, kind in ports.values()}
    order = [spec.name for spec, _ in ports.values()]

    def hand_on(**values: Any) -> Any:
        return values[order[0]] if len(order) == 1 else tuple(values[name] for name in order)

    spec = NodeSpec(
        id="bypassed " + " ".join(order),
        version=1,
        title="Bypassed",
        category="",
        help="",
        inputs=tuple(spec for spec, _ in inputs.values()),
        outputs=tuple(OutputSpec(name=name, type=str(kind)) for name, (_, kind) in ports.items()),
    )
    return NodeType(
        spec=spec,
        function=hand_on,
        inputs={name: kind for name, (_, kind) in inputs.items()},
        outputs={name: kind for name, (_, kind) in ports.items()},
        context=None,
        named=len(order) > 1,
        migrations={},
    )


def typed_in(kind: NodeType, values: Mapping[str, Any], linked: Mapping[str, Any], output: str) -> InputSpec | None:
    """The input of a bypassed node whose value stands in for an output; None where that is linked, or there is none.

    It is the first input of the output's type that has a link or a value; else the first that has a default.
    """
    wanted = kind.outputs[output]
    fitting = [spec for spec in kind.spec.inputs if kind.inputs[spec.name] == wanted and not spec.lazy]
    for spec in fitting:
        if linked.get(spec.name):
            return None
        if spec.name in values:
            return spec
    return next((spec for spec in fitting if not spec.required and spec.default is not None), None)
