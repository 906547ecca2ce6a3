"""Keeps what nodes are given apart from what is kept: the rule that makes keeping and sharing results safe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safelight.sdk.codec import Codec, Encoded, tensor_bytes
from safelight.sdk.problem import Problem, ProblemError


class Guard:
    """Copies of the arguments of one call, for a node that is not known to leave its inputs alone.

    A node that writes to them, be it through torch, through an array of NumPy that shares their memory, or into a list,
    spoils its own copies only, and `check` tells of it. Copying and comparing move as many bytes as memory can, which
    is far less than what digesting the outputs takes.
    """

    def __init__(self, arguments: Mapping[str, Any], codec: Codec) -> None:
        """Raises CodecError when an argument is nothing that can be kept, which no engine hands out."""
        self._codec = codec
        self._before = {port: codec.encode(value) for port, value in arguments.items()}
        self.arguments = {port: copied(encoded, codec) for port, encoded in self._before.items()}

    def check(self, node_type: str) -> None:
        """Raises ProblemError `input_changed` for each argument that is not what it was."""
        changed = [port for port, before in self._before.items() if not self._same(before, self.arguments[port])]
        if changed:
            hint = "This is a fault of the node: it has to work on copies. Nothing else was harmed."
            raise ProblemError(
                Problem(
                    code="input_changed",
                    message=f"{node_type} changed its input {port!r} in place.",
                    hint=hint,
                    port=port,
                )
                for port in changed
            )

    def _same(self, before: Encoded, now: Any) -> bool:
        try:
            after = self._codec.encode(now)
        except (TypeError, RecursionError):  # something that cannot be kept was put into it
            return False
        if before.json != after.json or before.tensors.keys() != after.tensors.keys():
            return False
        return all(_equal(tensor, after.tensors[name]) for name, tensor in before.tensors.items())


def copied(encoded: Encoded, codec: Codec) -> Any:
    """A value put together from copies of its tensors."""
    tensors = {name: tensor.detach().clone() for name, tensor in encoded.tensors.items()}
    return codec.decode(Encoded(encoded.json, tensors))


def _equal(one: Any, other: Any) -> bool:
    """Equal bit for bit: one not-a-number is the same as itself."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return tensor_bytes(one) == tensor_bytes(other)
