"""One server that answers ComfyUI's clients, with the built-in nodes and the starter model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comfyui_client import Client, our_image
from serving import Server, serving


@pytest.fixture(scope="session")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("comfyui") / "home", "--comfyui-api", pack=False) as made:
        yield made


@pytest.fixture
def client(comfyui: Server) -> Client:
    return Client(comfyui)


@pytest.fixture(scope="session")
def apple(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The pixels that `comfyui_client.prompt` makes, from a run of ours on a server that shares no cache with it."""
    with serving(tmp_path_factory.mktemp("ours") / "home", pack=False) as made:
        return our_image(made)
