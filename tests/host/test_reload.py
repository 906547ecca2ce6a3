"""`serve --dev`: an edited pack is there without a new start, and a broken one says why."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from made_packs import make_pack, write
from serving import Server, serving
from waiting import until

NODES = '''
from safelight.sdk import node

@node()
def number(*, value: int = 1) -> int:
    """A number."""
    return value {more}
'''
DOCUMENT = {
    "format": "safelight/1",
    "nodes": {"n": {"type": "lab/work.number", "values": {"value": 20}}},
    "links": [],
    "outputs": [{"name": "result", "from": "n.value"}],
}


def catalogue(server: Server, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The catalogue once it is so."""
    return until(lambda: server.ask("GET", "/catalogue"), enough)


def result(server: Server) -> Any:
    run = server.ask("POST", "/runs", {"document": DOCUMENT})
    found = server.wait(run["id"])
    assert found["status"] == "done", found["problems"]
    return found["outputs"]["result"][0]["value"]


def test_an_edited_pack_is_reloaded_and_a_broken_one_says_why(tmp_path: Path) -> None:
    package = make_pack(tmp_path / "packs", "lab", {"work.py": NODES.format(more="")})
    paths = os.pathsep.join([str(tmp_path / "packs"), os.environ.get("PYTHONPATH", "")])
    with serving(tmp_path / "home", "--dev", pack=False, PYTHONPATH=paths) as server:
        first = catalogue(server, lambda found: any(node["id"] == "lab/work.number" for node in found["nodes"]))
        assert result(server) == 20

        write(package / "work.py", NODES.format(more="+ 1"))
        write(package / "further.py", NODES.format(more="+ 2"))
        found = catalogue(server, lambda found: any(node["id"] == "lab/further.number" for node in found["nodes"]))
        assert found["digest"] != first["digest"]
        assert result(server) == 21, "the worker runs the code of today, and no result of the code before is taken"

        write(package / "work.py", "import no_such_library_at_all")
        found = catalogue(server, lambda found: any(pack["reason"] for pack in found["packs"]))
        assert not any(node["id"] == "lab/work.number" for node in found["nodes"])
        (problem,) = server.ask("POST", "/check", {"document": DOCUMENT})["problems"]
        assert problem["code"] == "unknown_type" and "no_such_library_at_all" in problem["hint"]

        write(package / "work.py", NODES.format(more="* 2"))
        catalogue(server, lambda found: not any(pack["reason"] for pack in found["packs"]))
        assert result(server) == 40
        workers = server.ask("GET", "/system")["workers"]
        assert not any(worker["note"] for worker in workers), "replacing a worker is no death of one"
