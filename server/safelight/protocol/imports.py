"""What became of a workflow of another program when it was opened, and of ours when it was written for one."""

from __future__ import annotations

from typing import Literal

import msgspec

from safelight.sdk.problem import Problem

Kind = Literal[
    "safelight",
    "comfyui",
    "comfyui-api",
    "invokeai",
    "invokeai-graph",
    "invokeai-settings",
    "a1111",
    "fooocus",
    "swarmui",
    "novelai",
    "draw-things",
]
"""What a file can be opened as: whose workflow or settings are in it. `comfyui` is what its editor saves, `comfyui-api`
what its server ran; `invokeai` and `invokeai-graph` likewise."""


class NamedModel(msgspec.Struct, kw_only=True):
    """A file that a workflow says where to get: its name, the folder of models it belongs in, and its address."""

    name: str = ""
    directory: str = ""
    url: str = ""
    hash: str = ""


class ImportReport(msgspec.Struct, kw_only=True):
    """`nodes` are those that do something, `mapped` those that were translated; `placeholders` count the classes of
    the rest. `remarks` tell, node by node, what is not as it was."""

    program: str
    nodes: int = 0
    mapped: int = 0
    placeholders: dict[str, int] = {}
    remarks: list[Problem] = []
    models: list[NamedModel] = []

    @property
    def whole(self) -> bool:
        return self.mapped == self.nodes

    def summary(self) -> str:
        """One line."""
        said = f"A workflow of {self.program}: {self.mapped} of {self.nodes} nodes have a counterpart here."
        if self.whole:
            return said
        listed = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in self._most())
        more = len(self.placeholders) - len(self._most())
        return f"{said} Placeholders: {listed}{f' and {more} more' if more else ''}."

    def _most(self) -> list[tuple[str, int]]:
        return sorted(self.placeholders.items(), key=lambda one: -one[1])[:8]


class ExportReport(msgspec.Struct, kw_only=True):
    """`written` of the `nodes` have a counterpart in the other program; `kept` count the types of the rest, which it
    calls missing. `remarks` tell, node by node, what is not as it was."""

    program: str
    nodes: int = 0
    written: int = 0
    kept: dict[str, int] = {}
    remarks: list[Problem] = []

    def summary(self) -> str:
        """One line."""
        said = f"{self.written} of {self.nodes} nodes have a counterpart in {self.program}."
        if not self.kept:
            return said
        listed = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in self.kept.items())
        return f"{said} It calls these missing: {listed}."
