"""What there is: classes of nodes, models, the machine."""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path

from aiohttp import web

from safelight.app import Studio
from safelight.host.uploads import MAX_BYTES
from safelight.host.workers import library_versions
from safelight.models.hardware import free_memory, total_memory
from safelight.models.headers import read_header
from safelight.protocol.records import Device
from safelight.sdk.problem import ProblemError

from ..problems import Refused
from ..state import State
from ..system_routes import version
from .answers import answer
from .classes import Offered, object_info
from .models import shelves

FEATURES = {"supports_preview_metadata": True, "max_upload_size": MAX_BYTES}
_LEVEL = "0.8.0"
"""The ComfyUI whose API this is."""
_SCAN_PATIENCE = 60.0
_FILES = 1_000
_LISTED = "GET /models/FOLDER has those that are there."


async def _models(state: State) -> dict[str, dict[str, str]]:
    return shelves(await state.host.models.look(_SCAN_PATIENCE))


async def info(state: State, request: web.Request) -> web.Response:
    name = request.match_info.get("name")
    known = await _models(state)
    files, _ = await asyncio.to_thread(state.folders.listed, "input", "", 0, _FILES)
    media = state.folders.media
    by_kind: dict[str, list[str]] = {}
    for one in sorted(files, key=lambda one: one.name):
        medium = media.of_type(one.media_type)
        if medium is not None:
            by_kind.setdefault(medium.name, []).append(one.name)
    by_kind["mask"] = by_kind.get("image", [])

    def work(studio: Studio) -> web.Response:
        return answer(object_info(studio.catalogue, Offered(known, by_kind), name))

    return await state.host.graphs.call(work)


async def folders(state: State, request: web.Request) -> web.Response:
    del request
    return answer(list(await _models(state)))


async def models(state: State, request: web.Request) -> web.Response:
    return answer(sorted(await _folder(state, request)))


async def _folder(state: State, request: web.Request) -> dict[str, str]:
    folder = request.match_info["folder"]
    known = await _models(state)
    if folder not in known:
        raise Refused(404, "folder_missing", f"There is no folder of models {folder[:50]!r}.", "GET /models has them.")
    return known[folder]


async def embeddings(state: State, request: web.Request) -> web.Response:
    del request
    return answer(sorted(name.rpartition(".")[0] or name for name in (await _models(state))["embeddings"]))


async def metadata(state: State, request: web.Request) -> web.Response:
    """What the maker of a file of weights wrote into it. No path that a client gives is opened."""
    name = (await _folder(state, request)).get(request.query.get("filename", ""))
    entries = await state.host.models.look(_SCAN_PATIENCE)
    path = next((Path(entry.path) for entry in entries if entry.name == name and entry.format == "safetensors"), None)
    if path is None:
        raise Refused(404, "model_missing", "There is no safetensors file of this name in the folder.", _LISTED)
    try:
        found = (await asyncio.to_thread(read_header, path)).metadata
    except OSError:
        raise Refused(404, "model_missing", "The file is gone.", _LISTED) from None
    except ProblemError as error:
        raise Refused(404, error.problems[0].code, error.problems[0].message) from None
    return answer(found)


async def extensions(state: State, request: web.Request) -> web.Response:
    """Scripts of packs for ComfyUI's own page: there are none."""
    del state, request
    return answer([])


async def features(state: State, request: web.Request) -> web.Response:
    del state, request
    return answer(FEATURES)


async def system(state: State, request: web.Request) -> web.Response:
    del request
    libraries = await asyncio.to_thread(library_versions)
    # Before the first worker is warm it is not known what it computes on, and clients look for one at least.
    found = state.host.pool.devices() or [Device(name="cpu", kind="cpu")]
    devices = [
        {
            "name": device.name,
            "type": device.kind,
            "index": place,
            "vram_total": device.memory or total_memory(),
            "vram_free": device.free or free_memory(),
            "torch_vram_total": 0,
            "torch_vram_free": 0,
        }
        for place, device in enumerate(found)
    ]
    about = {
        "os": platform.system().lower(),
        "ram_total": total_memory(),
        "ram_free": free_memory(),
        "comfyui_version": _LEVEL,
        "safelight_version": version(),
        "required_frontend_version": "",
        "installed_templates_version": "",
        "required_templates_version": "",
        "python_version": platform.python_version(),
        "pytorch_version": libraries.get("torch", ""),
        "embedded_python": False,
        "argv": [],
    }
    return answer({"system": about, "devices": devices})
