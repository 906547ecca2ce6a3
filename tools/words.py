"""Holds texts to the words of the field: the table "Words" in CONTRIBUTING.md says which.

    python tools/words.py

Read are the texts that people see (the editor's, those of nodes and problems, the documentation) and the names in the
code. Prints each place where a word stands that the table replaces, and ends with 1 if there is one.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
READ = ("server/", "nodes/", "web/src/", "docs/", "tools/", "benchmarks/", "training/", "workflows/")
LEFT_OUT = (
    "docs/openapi.json",
    "nodes/safelight_nodes/_training/captions.py",
    "server/safelight/families/qwen_image/edit.py",
    "server/safelight/starter/",
    "server/safelight/models/clip/",
)
"""What is generated, or is data: captions say it in many words; a model is told of images in those of its training."""

WHERE = ("everywhere", "texts", "editor")
"""In texts and code alike; in what people read; in the texts of the editor."""


class Row(NamedTuple):
    """A row of the table: what to say, the expression of what not to say, and where that holds."""

    say: str
    never: re.Pattern[str]
    where: str


def table(text: str) -> list[Row]:
    """The rows of the table below the heading "Words": say, instead of, where (see `WHERE`)."""
    rows: list[Row] = []
    for line in text.partition("\n## Words\n")[2].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            break
        if len(cells) == 3 and cells[2] in WHERE:
            words = [word.strip() for word in cells[1].split(",")]
            found = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in words)
            never = re.compile(found if cells[2] == "everywhere" else rf"\b(?:{found})\b", re.IGNORECASE)
            rows.append(Row(cells[0], never, cells[2]))
    return rows


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that are read by people, with their numbers."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for found in ast.walk(ast.parse(content)):
            if isinstance(found, ast.Constant) and isinstance(found.value, str) and " " in found.value:
                for offset, line in enumerate(found.value.splitlines()):
                    yield found.lineno + offset, re.sub(r"`[^`]*`", "", line)
    elif path.name == "en.ts":
        for number, line in enumerate(content.splitlines(), 1):
            yield number, line.partition('": ')[2]
    elif path.suffix == ".md":
        fenced = False
        for number, line in enumerate(content.splitlines(), 1):
            fenced ^= line.lstrip().startswith("```")
            if not fenced and not line.startswith("    "):
                yield number, re.sub(r"`[^`]*`", "", line)


def check(path: Path, rows: list[Row]) -> Iterator[str]:
    """One line for each place of a file that says it otherwise than the table."""
    try:
        lines = list(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    except UnicodeDecodeError:
        return
    visible = list(texts(path))
    for row in rows:
        if row.where == "editor" and path.name != "en.ts":
            continue
        for number, line in lines if row.where == "everywhere" else visible:
            found = row.never.search(line)
            if found:
                yield f"{path.relative_to(ROOT)}:{number}: say {row.say!r}, not {found.group()!r}: {line.strip()[:100]}"


def main() -> int:
    contributing = ROOT / "CONTRIBUTING.md"
    rows = table(contributing.read_text(encoding="utf-8"))
    assert rows, "CONTRIBUTING.md has a table below the heading Words"
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    read = [name for name in listed if name == "README.md" or (name.startswith(READ) and not name.startswith(LEFT_OUT))]
    kinds = (".py", ".ts", ".tsx", ".css", ".md", ".json")
    places = [place for name in read if name.endswith(kinds) for place in check(ROOT / name, rows)]
    print("\n".join(places) or f"{len(read)} files say it as CONTRIBUTING.md does.")
    return 1 if places else 0


if __name__ == "__main__":
    sys.exit(main())
