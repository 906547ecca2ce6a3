"""Rules that hold for every built-in node."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import safelight_nodes
from node_examples import example
from safelight.sdk import NodeType, load_packs

ROOT = Path(safelight_nodes.__file__).parent
CATALOGUE = load_packs()


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.spec.id)
def test_help_is_a_sentence_and_choices_are_explained(kind: NodeType) -> None:
    spec = kind.spec
    assert re.search(r"[.!?]$", spec.help), "the help of a node ends like a sentence"
    assert len(spec.help.splitlines()[0]) <= 120
    for port in (*spec.inputs, *spec.outputs):
        assert not port.help or re.search(r"[.!?:]$", port.help), (port.name, port.help)


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.spec.id)
def test_it_is_found_by_the_words_of_the_field_and_shown_in_use(kind: NodeType) -> None:
    """Beside its help: a place in the list, other words to find it by, and an example, which another test runs."""
    spec = kind.spec
    assert spec.category
    assert spec.tags and len(set(spec.tags)) == len(spec.tags)
    document = example(kind, CATALOGUE)
    assert spec.id in {node.type for graph in (document, *document.subgraphs.values()) for node in graph.nodes.values()}


def test_every_module_loads() -> None:
    assert [pack.reason for pack in CATALOGUE.packs] == [""] * len(CATALOGUE.packs)


def test_an_optional_socket_needs_no_link_wherever_it_stands() -> None:
    ports = {port.name: port for port in CATALOGUE["sampling.sample"].spec.inputs}
    assert not ports["negative"].required
    assert ports["latent"].required


def test_every_code_of_a_problem_is_documented() -> None:
    codes = {code for file in ROOT.rglob("*.py") for code in re.findall(r'code="(\w+)"', file.read_text())}
    documented = (Path(__file__).parents[2] / "docs" / "problems.md").read_text()
    assert sorted(code for code in codes if f"`{code}`" not in documented) == []


def test_the_pack_is_described_without_heavy_libraries() -> None:
    heavy = ("torch", "diffusers", "transformers", "PIL", "cv2", "numpy", "scipy")
    program = (
        "import sys; from safelight.sdk import load_packs; load_packs(); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
