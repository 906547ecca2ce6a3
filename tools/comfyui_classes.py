"""Writes the table of ComfyUI's node classes from what a ComfyUI says of itself.

    curl http://127.0.0.1:8188/object_info > object_info.json
    python tools/comfyui_classes.py object_info.json

The table holds names, types and order of inputs and outputs alone: what is needed to read files that give values by
position. Classes that call paid services are left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent.parent / "server" / "safelight" / "interop" / "comfyui" / "classes.json"
_PAID = ("comfy_api_nodes", "api_nodes")


def entry(told: Mapping[str, Any]) -> list[list[list[Any]]]:
    """Inputs and outputs of a class, each as [name, type], a widget with its default as a third."""
    inputs: list[list[Any]] = []
    for part in ("required", "optional"):
        given = told["input"].get(part) or {}
        order = (told.get("input_order") or {}).get(part) or list(given)
        for name in order:
            kind, *rest = given[name]
            options = (rest[0] if rest else None) or {}
            row = [name, "COMBO" if isinstance(kind, list) else kind]
            if options.get("forceInput"):
                row[1] = f"!{row[1]}"
            if "default" in options:
                row.append(options["default"])
            inputs.append(row)
    names = told.get("output_name") or told["output"]
    kinds = ["COMBO" if isinstance(kind, list) else kind for kind in told["output"]]
    return [inputs, [[name, kind] for name, kind in zip(names, kinds, strict=True)]]


def table(classes: Iterable[Mapping[str, Any]]) -> str:
    rows = {told["name"]: entry(told) for told in classes if not told["python_module"].startswith(_PAID)}
    lines = [f"{json.dumps(name)}: {json.dumps(rows[name], ensure_ascii=False)}" for name in sorted(rows)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    said = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    TABLE.write_text(table(said.values() if isinstance(said, dict) else said), "utf-8")
