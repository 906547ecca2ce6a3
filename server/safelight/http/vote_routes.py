"""Votes on the runs of a sweep."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from safelight.host.queue import batches, votes
from safelight.protocol.common import Done
from safelight.protocol.records import Axis
from safelight.protocol.votes import Preferences, Standing, Vote, VoteBody
from safelight.sdk import votes as ratings

from .routing import Call, Route


class PreferenceQuery(msgspec.Struct, kw_only=True):
    """`by`: the axis whose values are compared; empty compares every combination of the sweep."""

    by: Annotated[str, Meta(max_length=300)] = ""


async def vote(call: Call) -> Vote:
    name, body = call.path["batch"], call.body
    return await call.state.host.database.write(lambda connection: votes.add(connection, name, body))


async def unvote(call: Call) -> Done:
    name, number = call.path["batch"], call.path["vote"]
    await call.state.host.database.write(lambda connection: votes.remove(connection, name, number))
    return Done()


async def preferences(call: Call) -> Preferences:
    found, axes = await _votes(call)
    table = await asyncio.to_thread(lambda: ratings.table(votes.named(found, axes, call.query.by)))
    standings = [msgspec.convert(one, Standing, from_attributes=True) for one in table.standings]
    return Preferences(votes=found, standings=standings, steady=table.steady)


async def votes_file(call: Call) -> web.Response:
    found, axes = await _votes(call)
    return _file("votes.csv", ratings.votes_csv(votes.named(found, axes, call.query.by)))


async def preferences_file(call: Call) -> web.Response:
    found, axes = await _votes(call)
    table = await asyncio.to_thread(lambda: ratings.table(votes.named(found, axes, call.query.by)))
    return _file("preferences.csv", ratings.table_csv(table.standings))


async def _votes(call: Call) -> tuple[list[Vote], list[Axis]]:
    name = call.path["batch"]

    def work(connection: sqlite3.Connection) -> tuple[list[Vote], list[Axis]]:
        return votes.listed(connection, name), batches.axes(connection, name)

    return await call.state.host.database.read(work)


def _file(name: str, text: str) -> web.Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)


_VOTES = "/batches/{batch}/votes"
_CSV = "text/csv"
_ERRORS = (404, 422)
ROUTES = [
    Route("POST", _VOTES, vote, "Prefer one of two runs", "votes", Vote, 201, VoteBody, errors=_ERRORS),
    Route("DELETE", f"{_VOTES}/{{vote}}", unvote, "Take a vote back", "votes", Done, errors=(404,)),
    Route("GET", _VOTES, preferences, "Votes and ratings", "votes", Preferences, query=PreferenceQuery, errors=_ERRORS),
    Route("GET", f"{_VOTES}.csv", votes_file, "The votes", "votes", _CSV, query=PreferenceQuery, errors=_ERRORS),
    Route(
        "GET",
        "/batches/{batch}/preferences.csv",
        preferences_file,
        "The ratings",
        "votes",
        _CSV,
        query=PreferenceQuery,
        errors=_ERRORS,
    ),
]
