"""Keeps what the release at hand writes, so that later ones can be held to open and run it as this one did.

    python tests/releases/keep.py

writes a folder named after the installed version: every shipped workflow, an image that each of them saved (with the
document inside), and one document that has a node of every type with every value given. A folder is written once,
before the release, and its documents are never changed.

    python tests/releases/keep.py FOLDER

makes the images of a folder again, from the documents that lie in them: for a release that is not out yet, where the
starter's weights are other ones.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import msgspec
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from safelight.app import Studio
from safelight.engine import RunOptions
from safelight.graph import Port
from safelight.places import shipped_names, shipped_workflows

STEPS = 4
"""Of sampling, in what is kept: enough to tell one meaning from another, and soon done."""


def keep(folder: Path) -> None:
    """Writes `folder`. Raises FileExistsError where it is there already."""
    sys.path.append(str(Path(__file__).parents[1]))
    import real_weights

    folder.mkdir(parents=True)
    shutil.copytree(shipped_workflows() / "train", folder / "train")
    with tempfile.TemporaryDirectory() as home:
        studio = Studio.open(Path(home))
        real_weights.write_mtcnn(studio.home / "models")
        for name, path in sorted(shipped_names().items()):
            shutil.copy(path, folder / f"{name}.json")
            _keep_image(studio, name, folder)
        (folder / "every_node.json").write_bytes(msgspec.json.format(msgspec.json.encode(every_node(studio)), indent=2))


def _keep_image(studio: Studio, name: str, folder: Path) -> None:
    document = studio.read(name).with_values({Port("sample", "steps"): STEPS})
    with tempfile.TemporaryDirectory() as out:
        outcome = studio.run(document, output=Path(out), options=RunOptions(strict=True))
        assert outcome.result.problems == [], outcome.result.problems
        path = Path(next(entry["path"] for entries in outcome.outputs.values() for entry in entries))
        with Image.open(path) as image:
            assert image.info, "the document is in it"
        shutil.copy(path, folder / f"{name}{path.suffix}")


def make_again(folder: Path) -> None:
    """Replaces the pixels of a folder's images; the documents in them stay as they are."""
    with tempfile.TemporaryDirectory() as home:
        studio = Studio.open(Path(home))
        for path in sorted(folder.glob("*.png")):
            outcome = studio.run(studio.read(str(path)), output=Path(home) / "made", options=RunOptions(strict=True))
            assert outcome.result.problems == [], outcome.result.problems
            made = next(entry["path"] for entries in outcome.outputs.values() for entry in entries)
            texts = PngInfo()
            with Image.open(path) as old, Image.open(made) as new:
                for name, text in cast(PngImageFile, old).text.items():
                    texts.add_itxt(name, text, zip=True)
                new.load()
                new.save(path, pnginfo=texts)


def every_node(studio: Studio) -> dict[str, Any]:
    """A document with a node of every type: every value written out, and every choice made once."""
    nodes: dict[str, Any] = {}
    for kind in sorted(studio.catalogue):
        spec = studio.catalogue[kind].spec
        given = {port.name: port.default for port in spec.inputs if port.widget is not None and not port.required}
        choices = {port.name: port.choices for port in spec.inputs if port.choices}
        for number in range(max([1, *map(len, choices.values())])):
            made = {name: among[number % len(among)] for name, among in choices.items()}
            name = kind.replace(".", "_") + (f"_{number + 1}" if number else "")
            nodes[name] = {"type": kind, "version": spec.version, "values": given | made}
    return {"format": "safelight/1", "name": "every_node", "nodes": nodes, "links": []}


if __name__ == "__main__":
    if len(sys.argv) > 1:
        make_again(Path(sys.argv[1]))
    else:
        keep(Path(__file__).parent / version("safelight"))
