"""Every code that a problem may have is explained in docs/problems.md."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CODES = re.compile(
    r"""(?:code=|Refused\(\s*\d+,\s*|_problem\(\s*|plain\(\s*\d+,\s*|_name\s*=\s*|\d{3}:\s*\()"([a-z]+(?:_[a-z]+)+)\""""
)


def test_every_code_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "problems.md").read_text(encoding="utf-8"), re.M))
    used: set[str] = set()
    for room in (ROOT / "server" / "safelight", ROOT / "nodes"):
        for path in room.rglob("*.py"):
            used |= set(_CODES.findall(path.read_text(encoding="utf-8")))
    assert len(used) > 90
    assert not used - explained
