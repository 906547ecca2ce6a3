"""Dates, and what a run computes with."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from safelight.sdk import Context, Text, node

from .._refusal import refusal


class Moment(NamedTuple):
    text: Annotated[str, "Written as the form says."]
    seconds: Annotated[int, "Seconds since 1970."]
    year: int
    month: int
    day: int
    hour: int
    minute: int


@node(version=1, title="Date and time", cache=False, tags=("date", "timestamp", "Get Date Time", "now", "clock"))
def now(
    *,
    form: Annotated[
        str,
        Text(max_length=200),
        "%Y is the year, %m the month, %d the day, %H the hour, %M the minute, %S the second, %A the day of the week.",
    ] = "%Y-%m-%d",
) -> Moment:
    """The date and the time of the machine that runs this. What is made with it is made again in each run."""
    from datetime import datetime

    moment = datetime.now().astimezone()
    try:
        text = moment.strftime(form)
        if form and not text:  # so it is told of what is too long
            raise ValueError(form)
    except ValueError:
        message, hint = f"{form!r} is no form of a date.", "Write it like %Y-%m-%d %H:%M."
        raise refusal(code="bad_template", message=message, hint=hint, port="form", value=form) from None
    rest = moment.year, moment.month, moment.day, moment.hour, moment.minute
    return Moment(text, int(moment.timestamp()), *rest)


class Machine(NamedTuple):
    device: Annotated[str, "What models compute on: cpu, cuda, mps."]
    precision: Annotated[str, "The precision that they compute in, such as bfloat16."]
    safelight: Annotated[str, "Its version."]
    torch: Annotated[str, "The version of torch."]
    diffusers: Annotated[str, "The version of diffusers."]
    system: Annotated[str, "The operating system."]


@node(version=1, title="Facts of the run", cache=False, tags=("system info", "device", "version", "environment"))
def machine(*, ctx: Context) -> Machine:
    """What this run computes with, to be written beside a result."""
    import platform
    from importlib.metadata import version

    device, dtype = ctx.models.device()
    safelight, torch, diffusers = (version(name) for name in ("safelight", "torch", "diffusers"))
    precision = str(dtype).removeprefix("torch.")
    return Machine(device.type, precision, safelight, torch, diffusers, platform.system())
