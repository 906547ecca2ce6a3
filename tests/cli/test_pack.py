"""`safelight pack new` makes a working pack, and `safelight pack check` tells what is wrong with one."""

from __future__ import annotations

import os
import re
import site
import subprocess
import venv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import safelight
import safelight_nodes
from cli.safelight_command import Command
from made_packs import write


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def codes(report: dict[str, Any]) -> list[str]:
    return [problem["code"] for pack in report["packs"] for problem in pack["problems"]]


def test_a_new_pack_works_and_passes_its_own_tests(command: Command) -> None:
    made = command.json("pack", "new", "line_art", "somewhere/new", "--license", "MIT")
    folder = Path(made["folder"])
    assert {"LICENSE", "README.md", "pyproject.toml", ".gitignore", "tests/test_nodes.py"} < set(made["files"])
    assert not [file for file in made["files"] if re.search("@[A-Z]+@", (folder / file).read_text())]
    assert "MIT License" in (folder / "LICENSE").read_text()
    report = command.json("pack", "check", str(folder))
    (pack,) = report["packs"]
    assert (report["status"], pack["problems"]) == ("ok", [])
    assert pack["nodes"] == ["line_art/image.vignette", "line_art/palette.extract", "line_art/palette.swatch"]
    assert "passed" in pack["tests"]


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("new", "Line-Art"), "bad_pack_name", "Try line_art."),
        (("new", "safelight"), "bad_pack_name", "Choose another"),
        (("new",), "bad_pack_name", "pack new"),
        (("new", "mine", "full"), "folder_taken", "pack new mine FOLDER"),
        (("check", "safelite"), "pack_missing", "Did you mean safelight?"),
        (("check", "full"), "pack_missing", "entry-points"),
    ],
)
def test_wrong_commands_name_the_remedy(command: Command, words: tuple[str, ...], code: str, hint: str) -> None:
    write(command.folder / "full" / "pyproject.toml", "[project]\nname = 'full'\n")
    (problem,) = command.json("pack", *words, code=2)["problems"]
    assert problem["code"] == code and hint in problem["hint"]


def test_everything_that_is_wrong_is_told_at_once(command: Command) -> None:
    folder = command.folder / "bad"
    node = '''
        from safelight.sdk import node
        {extra}
        @node({options})
        def {name}(*, size: int = 1) -> int:
            """A node."""
            return size
        '''
    value = """
        from dataclasses import dataclass
        from safelight.sdk import value
        @value
        @dataclass(frozen=True)
        class Mesh:
            size: int
        """
    files = {
        "pyproject.toml": '[project.entry-points."safelight.nodes"]\nbad = "bad_pack"\n',
        "src/bad_pack/__init__.py": "",
        "src/bad_pack/heavy.py": node.format(extra="import PIL.Image", options="", name="cut"),
        "src/bad_pack/broken.py": "import no_such_library_at_all",
        "src/bad_pack/twice/__init__.py": "",
        "src/bad_pack/twice/a.py": node.format(extra="", options="", name="same"),
        "src/bad_pack/twice/b.py": node.format(extra="", options="", name="same"),
        "src/bad_pack/old.py": node.format(extra="", options="aliases=('safelight/x.y', 'bad/heavy.cut')", name="new"),
        "src/bad_pack/value_a.py": value,
        "src/bad_pack/value_b.py": value,
        "src/bad_pack/wrong.py": "1 / 0",
        "src/bad_pack/moved.py": node.format(
            extra="from safelight.sdk import Migration",
            options="version=2, migrations={1: Migration(inputs={'large': 'siez'}, outputs={'large': 'value'})}",
            name="grown",
        ),
        "src/bad_pack/locale/zh.json": "[]",
        "tests/test_it.py": "def test_it():\n    assert False\n",
    }
    for path, text in files.items():
        write(folder / path, text)
    report = command.json("pack", "check", "bad", code=1)
    assert report["status"] == "faulty"
    found = codes(report)
    assert set(found) == {
        "pack_heavy_import",
        "pack_incomplete",
        "pack_bad_migration",
        "pack_undescribed",
        "texts_unreadable",
        "pack_tests_failed",
    }
    text = str(report)
    for said in (
        "bad_pack.heavy imports PIL",
        "no_such_library_at_all",
        "share the id 'bad/twice.same'",
        "'bad/heavy.cut' belongs to old documents",
        "share the name 'bad_pack:Mesh'",
        "renames the input 'large' to 'siez'",
        "Did you mean size?",
        "Mend the line that it names.",
        "bad/old.new says nothing of its field size",
    ):
        assert said in text, said
    assert "Ask the authors" not in text and found.count("pack_bad_migration") == 1
    assert "pack_tests_failed" not in codes(command.json("pack", "check", "bad", "--no-tests", code=1))


@pytest.mark.slow
def test_a_new_pack_is_installed_into_a_fresh_environment_and_passes_there(command: Command) -> None:
    command.json("pack", "new", "fresh", "fresh")
    home = command.folder / "venv"
    venv.create(home, with_pip=True)
    (packages,) = home.glob("lib/python*/site-packages")
    # Safelight and what it needs come from the environment of the tests; the pack alone is installed.
    sources = [Path(module.__file__).parents[1] for module in (safelight, safelight_nodes)]
    lines = [*map(str, sources), *(f"import site; site.addsitedir({path!r})" for path in site.getsitepackages())]
    (packages / "tests.pth").write_text("\n".join(lines) + "\n")
    here = ["--no-build-isolation"] if find_spec("hatchling") else []
    python = home / "bin" / "python"

    def run(*words: str) -> str:
        environment = {**os.environ, **command.env, "PYTHONPATH": ""}
        at = command.folder / "fresh"
        done = subprocess.run([python, *words], cwd=at, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    run("-m", "pip", "install", "-q", "--no-deps", *here, ".")
    assert "passed" in run("-m", "pytest", "-q")
    assert "fresh/image.vignette" in run("-m", "safelight", "nodes", "--search", "darken edges")
    assert run("-m", "safelight", "pack", "check", "fresh").startswith("fresh: 3 nodes, no problems")
