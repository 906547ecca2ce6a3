"""What led to an output, for people: prompts, models, seed, and every parameter on the way to it."""

from __future__ import annotations

from typing import Any

import msgspec


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was typed into a port: `node` is its id (subgraphs as `a/b`), `type` that of the node."""

    node: str
    type: str
    port: str
    value: Any


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of how an output was made. `nodes` are the types of the nodes on the way to it."""

    prompts: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    seed: int | None = None
    nodes: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()

    def words(self) -> str:
        """What a search looks into."""
        texts = (parameter.value for parameter in self.parameters if isinstance(parameter.value, str))
        words = (*self.prompts, *self.models, *self.nodes, *texts, "" if self.seed is None else str(self.seed))
        return "\n".join(dict.fromkeys(words))
