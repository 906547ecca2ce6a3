"""The editor's unit tests know the nodes and the connection rule from files that Python wrote: are they still true?"""

import pytest

from web import make_fixtures


@pytest.mark.parametrize("name", ["connect.json"])
def test_the_editor_decides_what_connects_as_the_server_does(name: str) -> None:
    written = (make_fixtures.FOLDER / name).read_text()
    assert written == make_fixtures.fixtures()[name], "run `python tests/web/make_fixtures.py`"
