"""Cache, the machine, settings."""

from __future__ import annotations

import platform
import shutil
import sys
import time

import msgspec

from safelight.app import Studio
from safelight.engine import CacheInfo
from safelight.host.workers import library_versions, resident_bytes
from safelight.models.hardware import free_memory, total_memory
from safelight.protocol.common import Done
from safelight.protocol.records import Settings
from safelight.protocol.system import SettingsBody, SystemAnswer

from .problems import Refused
from .routing import Call, Route

_EDITOR_BYTES = 64 << 10


async def cache(call: Call) -> CacheInfo:
    info = await call.state.host.graphs.call(lambda studio: studio.cache.info())
    if call.state.loopback:
        return info
    shared = info.shared and msgspec.structs.replace(info.shared, url="", trouble="")
    return msgspec.structs.replace(info, folder=None, shared=shared)


async def cache_clear(call: Call) -> Done:
    call.state.host.pool.free(cache=True)
    await call.state.host.graphs.call(lambda studio: studio.cache.clear())
    return Done()


async def system(call: Call) -> SystemAnswer:
    state = call.state
    pool = state.host.pool

    def look(_: Studio) -> SystemAnswer:
        libraries = library_versions()
        return SystemAnswer(
            version=version(),
            python=platform.python_version(),
            libraries=libraries,
            platform=f"{platform.system()} {platform.machine()}",
            processors=_processors(),
            memory=total_memory(),
            free=free_memory(),
            server_memory=resident_bytes(),
            folder=str(state.host.home) if state.loopback else None,
            disk_free=shutil.disk_usage(state.host.home).free,
            uptime=time.time() - state.started,
            devices=pool.devices(),
            workers=pool.workers(),
        )

    return await state.host.graphs.call(look)


def version() -> str:
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as look

    try:
        return look("safelight")
    except PackageNotFoundError:
        return "0"


def _processors() -> int:
    import os

    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


async def free(call: Call) -> Done:
    call.state.host.pool.free()
    return Done(count=len(call.state.host.pool.workers()))


async def settings(call: Call) -> Settings:
    return call.state.host.settings


async def change_settings(call: Call) -> Settings:
    body: SettingsBody = call.body
    changes = {key: value for key, value in msgspec.structs.asdict(body).items() if value is not None}
    if body.editor is not None and len(msgspec.json.encode(body.editor)) > _EDITOR_BYTES:
        raise Refused(413, "too_large", "The editor's settings are larger than 64 KiB.")
    return await call.state.host.change_settings(changes)


ROUTES = [
    Route("GET", "/cache", cache, "Usage of the cache", "system", CacheInfo),
    Route("POST", "/cache/clear", cache_clear, "Forget everything that was computed", "system", Done),
    Route("GET", "/system", system, "Versions, devices, memory, workers", "system", SystemAnswer),
    Route("POST", "/system/free", free, "Let workers give memory back", "system", Done),
    Route("GET", "/settings", settings, "Settings", "system", Settings),
    Route("PATCH", "/settings", change_settings, "Change some", "system", Settings, body=SettingsBody),
]
