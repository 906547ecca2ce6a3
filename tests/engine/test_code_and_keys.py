"""Results are never older than the code that would make them: source and version of a pack are part of every key."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from engine.engine_bench import Engine, doc
from safelight.engine import RunOptions
from safelight.sdk import Catalogue, load_packs
from safelight.sdk.pack import GROUP
from safelight.sdk.sources import PackSources, public_sources

NODE = '''
from __future__ import annotations
from safelight.sdk import node

@node()
def value(*, by: int = 1) -> int:
    """A number."""
    from {where} import factor
    return by * factor()
'''


class Pack:
    """A pack on disk, edited and loaded again as a restarted program would find it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "edited_pack"
        (self.folder / "_inner").mkdir(parents=True)
        self.write("__init__.py", '"""A pack."""')
        self.write("_inner/__init__.py", "from .deep import factor as factor")
        self.write("_inner/deep.py", "def factor():\n    return 10\n")
        self.write("_unused.py", "NUMBER = 1\n")
        self.write("one.py", NODE.replace("{where}", "._inner"))
        self.write("other.py", NODE.replace("from {where} import factor", "factor = lambda: 5"))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def load(self) -> Catalogue:
        for name in [name for name in sys.modules if name.partition(".")[0] == "edited_pack"]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return load_packs([EntryPoint("edited", "edited_pack", GROUP)])


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pack:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Pack(tmp_path)


def ran(tmp_path: Path, pack: Pack) -> dict[str, tuple[str, int]]:
    engine = Engine(tmp_path, pack.load())
    document = doc({"one": "one.value", "other": "other.value"}, [], {"one": "one.value", "other": "other.value"},
                   prefix="edited/")  # fmt: skip
    result = engine.run(document, options=RunOptions())
    engine.services.cache.close()
    return {name: (result.nodes[name].status, result.values[name]) for name in ("one", "other")}


def test_an_edited_node_is_stale_at_once_and_its_neighbours_are_not(tmp_path: Path, pack: Pack) -> None:
    assert ran(tmp_path, pack) == {"one": ("ran", 10), "other": ("ran", 5)}
    assert ran(tmp_path, pack) == {"one": ("cached", 10), "other": ("cached", 5)}
    pack.write("_inner/deep.py", "def factor():\n    return 20\n")  # what a node's import imports
    assert ran(tmp_path, pack) == {"one": ("ran", 20), "other": ("cached", 5)}
    pack.write("_unused.py", "NUMBER = 2\n")
    assert ran(tmp_path, pack) == {"one": ("cached", 20), "other": ("cached", 5)}
    pack.write("other.py", (pack.folder / "other.py").read_text().replace("5", "6"))
    assert ran(tmp_path, pack) == {"one": ("cached", 20), "other": ("ran", 6)}
    pack.write("_inner/deep.py", "def factor():\n    return 10\n")
    assert ran(tmp_path, pack) == {"one": ("cached", 10), "other": ("cached", 6)}, "the old code, the old result"


def test_the_closure_of_a_module_and_the_version_of_its_pack(pack: Pack) -> None:
    pack.load()
    package = sys.modules["edited_pack"]
    sources = PackSources(package, "1")
    assert sources.closure("edited_pack.one") == {
        "edited_pack", "edited_pack.one", "edited_pack._inner", "edited_pack._inner.deep",
    }  # fmt: skip
    assert sources.closure("edited_pack.other") == {"edited_pack", "edited_pack.other"}
    digests = [PackSources(package, version).of("edited_pack.one")() for version in ("1", "1", "2")]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    "how",
    [
        "from . import \\\n    _inner\n    factor = _inner.factor",
        "try: from ._inner import factor\n    except ImportError: raise",
        "import importlib; factor = importlib.import_module('edited_pack._inner').factor",
        "import edited_pack._inner.deep; factor = edited_pack._inner.deep.factor",
        "from pathlib import Path; number = int((Path(__file__).parent / 'data.txt').read_text())\n"
        "    factor = lambda: number",
    ],
)
def test_however_a_pack_reaches_its_own_code_and_data(tmp_path: Path, pack: Pack, how: str) -> None:
    pack.write("data.txt", "10")
    pack.write("one.py", NODE.replace("from {where} import factor", how))
    assert ran(tmp_path, pack)["one"] == ("ran", 10)
    pack.write("_inner/deep.py", "def factor():\n    return 20\n")
    pack.write("data.txt", "20")
    assert ran(tmp_path, pack)["one"] == ("ran", 20)


def test_a_pack_of_one_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "lone_pack.py"
    digests = []
    for factor in ("lambda: 1", "lambda: 1", "lambda: 2"):
        path.write_text(NODE.replace("from {where} import factor", f"factor = {factor}"))
        sys.modules.pop("lone_pack", None)
        importlib.invalidate_caches()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        catalogue = load_packs([EntryPoint("lone", "lone_pack", GROUP)])
        digests.append(catalogue["lone/lone_pack.value"].code)
    assert digests[0] == digests[1] != digests[2]


def test_every_built_in_node_knows_its_code() -> None:
    catalogue = load_packs([EntryPoint("safelight", "safelight_nodes", GROUP)])
    codes = {kind.spec.id: kind.code for kind in catalogue.values()}
    assert codes["sampling.sample"] != codes["image.load"]
    assert len(set(codes.values())) == len(codes)
    kind = catalogue["sampling.sample"]
    package = sys.modules["safelight_nodes"]
    closure = PackSources(package, "", public_sources()).closure(kind.function.__module__)
    assert "safelight.diffusion.samplers" in closure and "safelight_nodes._training.loop" not in closure
    closure = PackSources(package, "", public_sources()).closure("safelight_nodes.image.files")
    texts = public_sources()
    module = kind.function.__module__
    before = PackSources(package, "", texts).of(module, models=True)()
    edited = {**texts, "safelight.families._unet.denoiser": b"other"}
    assert PackSources(package, "", edited).of(module, models=True)() != before, "a node runs the families' code"
    assert (
        PackSources(package, "", edited).of("safelight_nodes.values")()
        == PackSources(package, "", texts).of("safelight_nodes.values")()
    )
    assert "safelight.sdk.image_files" in closure, "what the SDK does for a node is code of that node, too"
