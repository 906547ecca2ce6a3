"""Writes what the editor's unit tests need to know of Python: the catalogue, and a table of what connects to what.

python tests/web/make_fixtures.py
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import msgspec

from safelight.media.registry import built_in
from safelight.sdk.pack import load_packs
from safelight.sdk.types import ANY, PortType, can_connect

_MOST_CHOICES = 12
FOLDER = Path(__file__).resolve().parents[2] / "web" / "tests" / "fixtures"


def fixtures() -> dict[str, str]:
    """The text of each fixture by file name."""
    catalogue = load_packs()
    kinds = {"Any": ANY}
    for name in catalogue:
        kind = catalogue[name]
        for port in (*kind.inputs.values(), *kind.outputs.values()):
            kinds[_key(port)] = port
            if port.name != "choice":
                kinds[_key(port.lifted(1))] = port.lifted(1)
    keys = sorted(kinds)
    choices = [key for key in keys if kinds[key].innermost.name == "choice"]
    left_out = set(choices[_MOST_CHOICES:])  # the table is a square, and one choice is like another
    listed = [kinds[key] for key in keys if key not in left_out]
    rows = [
        [i, j, fit.how, *([fit.reason] if fit.reason else [])]
        for (i, source), (j, target) in itertools.product(enumerate(listed), enumerate(listed))
        for fit in [can_connect(source, target)]
    ]
    types = [{"text": str(kind), "choices": _choices(kind), "variable": kind.innermost.var} for kind in listed]
    table = {"types": types, "rows": rows}
    nodes = [msgspec.to_builtins(catalogue[name].spec) for name in sorted(catalogue)]
    return {
        "connect.json": json.dumps(table, ensure_ascii=False, separators=(",", ":")) + "\n",
        "catalogue.json": json.dumps(nodes, ensure_ascii=False, indent=1) + "\n",
        "media.json": json.dumps(msgspec.to_builtins(built_in().described()), indent=1) + "\n",
    }


def _choices(kind: PortType) -> list[str]:
    return list(kind.innermost.choices)


def _key(kind: PortType) -> str:
    return f"{kind}|{','.join(_choices(kind))}"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in fixtures().items():
        (FOLDER / name).write_text(text)
