"""Presets of the values of nodes."""

from __future__ import annotations

from safelight.host.documents import presets
from safelight.protocol.presets import Preset, PresetBody, PresetChange
from safelight.protocol.records import PresetsChanged

from .routing import Call, Route


async def listed(call: Call) -> list[Preset]:
    found = await call.state.host.database.read(presets.listed)
    return await call.state.host.graphs.call(lambda studio: presets.today(found, studio.catalogue)) if found else []


async def save(call: Call) -> Preset:
    made = await call.state.host.database.write(lambda connection: presets.save(connection, call.body))
    call.state.host.publish(PresetsChanged())
    return made


async def change(call: Call) -> Preset:
    name, body = call.path["preset"], call.body
    found = await call.state.host.database.write(lambda connection: presets.change(connection, name, body))
    call.state.host.publish(PresetsChanged())
    return found


async def remove(call: Call) -> Preset:
    name = call.path["preset"]
    found = await call.state.host.database.write(lambda connection: presets.remove(connection, name))
    call.state.host.publish(PresetsChanged())
    return found


_ONE = "/presets/{preset}"
ROUTES = [
    Route("GET", "/presets", listed, "Values for nodes, under a name", "presets", list[Preset]),
    Route("PUT", "/presets", save, "Keep one", "presets", Preset, body=PresetBody),
    Route("PATCH", _ONE, change, "Rename; for new nodes", "presets", Preset, body=PresetChange, errors=(404, 409)),
    Route("DELETE", _ONE, remove, "Delete, and give what it was", "presets", Preset, errors=(404,)),
]
