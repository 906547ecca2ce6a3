"""Small images of what nodes do: a pack may have `images/NODE.webp` beside its modules, with an example inside."""

from __future__ import annotations

import sys
from pathlib import Path

from .node import NodeType


def node_image(kind: NodeType) -> Path | None:
    """The image of a node of an imported pack, if there is one."""
    module = sys.modules.get(getattr(kind.function, "__module__", "").partition(".")[0])
    found = Path(module.__file__).parent / "images" / f"{kind.spec.id}.webp" if module and module.__file__ else None
    return found if found is not None and found.is_file() else None
