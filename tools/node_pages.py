"""Writes `docs/nodes/`, a page for each category of nodes, and with `--images` the small images in it.

    python tools/node_pages.py                    # the pages, from the descriptions of the nodes
    python tools/node_pages.py --images [ID]    # runs the example of each node, and draws what it makes

An image holds the example itself, as all that Safelight saves does: drop it on the editor, and it opens.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

# A script finds modules beside itself only; pytest adds the folder of the tests.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from PIL import Image  # noqa: E402

import example_home  # noqa: E402
import safelight_nodes  # noqa: E402
from node_examples import example  # noqa: E402
from safelight.app import Studio  # noqa: E402
from safelight.sdk import Catalogue, NodeSpec, load_packs  # noqa: E402
from safelight.sdk.node import InputSpec, OutputSpec  # noqa: E402

PAGES = ROOT / "docs" / "nodes"
IMAGES = Path(safelight_nodes.__file__).parent / "images"
RANDOM = ("preprocess.", "faces.")
SIDE = 256
MOST = 4


def pages(catalogue: Catalogue) -> dict[str, str]:
    """The text of each page by the name of its file."""
    rooms: dict[str, list[NodeSpec]] = {}
    for kind in catalogue.values():
        if not kind.spec.deprecated:
            rooms.setdefault(kind.spec.category, []).append(kind.spec)
    made = {f"{_slug(name)}.md": _page(name, nodes) for name, nodes in sorted(rooms.items())}
    count = sum(map(len, rooms.values()))
    lines = [
        "# All nodes",
        "",
        f"{count} nodes in {len(rooms)} categories. Made by `make pages` from what the nodes say of themselves;",
        "`safelight nodes` prints the same. The images are made by the nodes: each holds its example, so drop it on",
        "the editor to open that.",
        "",
    ]
    for name, nodes in sorted(rooms.items()):
        titles = ", ".join(f"[{spec.title}]({_slug(name)}.md#{_anchor(spec)})" for spec in nodes)
        lines += [f"**[{name}]({_slug(name)}.md)**: {titles}.", ""]
    made["README.md"] = "\n".join(lines)
    return made


def _page(name: str, nodes: Iterable[NodeSpec]) -> str:
    lines = [f"# {name[:1].upper()}{name[1:]}", "", "[All nodes](README.md)", ""]
    for spec in nodes:
        lines += [f"## {spec.title}", "", f"`{spec.id}`", ""]
        file = IMAGES / f"{spec.id}.webp"
        if file.is_file():
            lines += [f"![{spec.title}](../../nodes/safelight_nodes/images/{file.name})", ""]
        lines += [*spec.help.splitlines(), ""]
        if spec.inputs or spec.outputs:
            lines += ["| | name | type | |", "|---|---|---|---|"]
            lines += [_row("in", port) for port in spec.inputs] + [_row("out", port) for port in spec.outputs] + [""]
    return "\n".join(lines)


def _row(way: str, port: InputSpec | OutputSpec) -> str:
    kind = ", ".join(port.choices) if port.choices else port.type
    said = port.help
    if isinstance(port, InputSpec) and not port.required and port.default not in (None, ""):
        said = f"{said} Default: {port.default!r}.".strip()
    return f"| {way} | `{port.name}` | {_cell(kind)} | {_cell(said)} |"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def _slug(name: str) -> str:
    return name.lower().replace(" ", "_").replace("/", "_")


def _anchor(spec: NodeSpec) -> str:
    kept = "".join(mark for mark in spec.title.lower() if mark.isalnum() or mark in " -_")
    return kept.replace(" ", "-")


def draw(catalogue: Catalogue, names: Iterable[str]) -> None:
    """Runs examples, and writes what they make as small images; those that make none have no image."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio.open(example_home.fill(Path(folder) / "home"))
        for name in names:
            document = example(catalogue[name], catalogue)
            if "tiny_" in document.dumps() or name.startswith(RANDOM):  # what a random miniature makes shows nothing
                continue
            outcome = studio.run(document, output=Path(folder) / "made")
            if outcome.result.problems:
                raise SystemExit(f"{name}: {outcome.result.problems[0].message}")
            entries = [entry for made in outcome.outputs.values() for entry in made]
            files = [Path(entry["path"]) for entry in entries if entry.get("media_type") in ("image/png", "image/webp")]
            if files:
                data = _sheet([Image.open(path).convert("RGB") for path in files[:MOST]])
                data = studio.media.embed(data, "image/webp", document.dumps())
                (IMAGES / f"{name}.webp").write_bytes(data)
                print(f"{name}: {len(data) / 1000:.1f} kB")


def _sheet(images: list[Image.Image]) -> bytes:
    """Side by side, none larger than SIDE; small ones are shown with their pixels."""
    drawn: list[Image.Image] = []
    for image in images:
        side = max(image.size)
        scale = SIDE / side if side > SIDE else max(1, 128 // side)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        drawn.append(image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS))
    gap = 4
    width = sum(image.width for image in drawn) + gap * (len(drawn) - 1)
    sheet = Image.new("RGB", (width, max(image.height for image in drawn)), "#808080")
    left = 0
    for image in drawn:
        sheet.paste(image, (left, 0))
        left += image.width + gap
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=75, method=6)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", action="store_true", help="run the examples, and draw the images again")
    parser.add_argument("ids", nargs="*", metavar="ID", help="only these nodes")
    given = parser.parse_args()
    catalogue = load_packs()
    if given.images:
        draw(catalogue, given.ids or list(catalogue))
    PAGES.mkdir(exist_ok=True)
    made = pages(catalogue)
    for old in PAGES.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (PAGES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
