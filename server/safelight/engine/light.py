"""Calling light nodes in a plan, so that it knows what depends on a change before anything runs."""

from __future__ import annotations

import logging
from typing import Any

from safelight.graph import GraphNode
from safelight.graph.survey import Light
from safelight.sdk.pack import BUILT_IN

from .call import argument, verify
from .cancel import Cancel
from .context import NodeContext, Services
from .outputs import take_apart

log = logging.getLogger(__name__)


def lightly(services: Services) -> Light:
    """Calls light nodes of the built-in pack; those of others are not, since a plan runs no foreign code."""

    def call(node: GraphNode, given: dict[str, list[Any]]) -> dict[str, Any] | None:
        kind = node.kind
        if kind.spec.pack != BUILT_IN:
            return None
        context = NodeContext(services, "", Cancel(), lambda *_: None, previews=False, checkpoint_seconds=0)
        extra = {kind.context: context} if kind.context else {}
        try:
            arguments = {port: argument(node.wires[port], values) for port, values in given.items()}
            for port, value in arguments.items():
                if node.wires[port].sources:
                    verify(node, port, value)
            return take_apart(kind, kind.function(**arguments, **extra), node.types)
        except Exception:  # the node's own failure, which the run will tell
            log.debug("light node %s failed in a plan", node.id, exc_info=True)
            return None

    return call
