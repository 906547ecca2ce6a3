"""What the tests of all rooms share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import HealthCheck, settings

from proofs import Proof

_PARTS = 3
_PART = "SAFELIGHT_TEST_PART"

# How long drawing examples takes is the machine's affair, not that of what is tested.
settings.register_profile("anywhere", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anywhere")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run all slow proofs, not only the part whose turn it is today")


def pytest_configure(config: pytest.Config) -> None:
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    part = "all" if named or config.getoption("--all") else str(date.today().toordinal() % _PARTS)
    # Told to the workers of xdist by the environment, so that all agree at midnight.
    os.environ.setdefault(_PART, part)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the proofs that take turns a third runs each day, and each at least every third day. Where tests are named, or
    with --all, all of them run."""
    part = os.environ[_PART]
    if part == "all":
        return
    turns = [item for item in items if item.get_closest_marker("in_turn")]
    later = {item for place, item in enumerate(turns) if place % _PARTS != int(part)}
    config.hook.pytest_deselected(items=list(later))
    items[:] = [item for item in items if item not in later]


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Proof:
    """Holds what a test compares to its bar, and tells `python -m benchmarks.parity`, where that runs the test."""
    return Proof(request.config.pluginmanager.get_plugin("parity"))


@pytest.fixture(autouse=True)
def same_logs() -> Iterator[None]:
    """A command that was run in this process logs to what pytest took for standard error, and soon closes."""
    root, ours = logging.getLogger(), logging.getLogger("safelight")
    handlers, levels = [*root.handlers], (root.level, ours.level)
    yield
    if root.handlers != handlers:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


@pytest.fixture(autouse=True)
def same_place_in_line() -> Iterator[None]:
    """No test leaves its process, and so all that comes after, before or behind all other programs of the machine."""
    yield
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER
