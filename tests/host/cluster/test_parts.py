"""The parts of a cluster's workers that can be told without Ray."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clusters import SECONDS
from safelight.cli.worker_command import on_devices
from safelight.host.workers.cluster import demand_token, knows_token
from safelight.host.workers.cluster.files import Inputs, Kept, placed
from safelight.host.workers.cluster.machine import Machine
from safelight.host.workers.cluster.ray_pool import ClusterOptions, RayPool
from safelight.host.workers.cluster.relay import Ground, Relay
from safelight.host.workers.cluster.station import Station
from safelight.host.workers.cluster.wire import BridgeMessage, Gone, Heard, Open, Opened, Place
from safelight.host.workers.local_pool import PoolOptions
from safelight.host.workers.wire import LENGTH, Beat, Begin, Ended, Made, Quit, Ready, Setup, frame, from_worker
from safelight.media.registry import load_media
from safelight.sdk.codec import hash_bytes
from safelight.sdk.problem import ProblemError
from serving import saving, test_environment


def test_a_token_is_looked_for_where_ray_does(tmp_path: Path) -> None:
    assert not knows_token({}, tmp_path)
    assert knows_token({"RAY_AUTH_TOKEN": "secret"}, tmp_path)
    (tmp_path / "mine").write_text("secret\n")
    assert knows_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "mine")}, tmp_path)
    assert not knows_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}, tmp_path)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(" \n")
    assert not knows_token({}, tmp_path), "an empty file is no token"
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    assert knows_token({}, tmp_path)


@pytest.mark.parametrize(
    "given", [{}, {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN": "x"}, {"RAY_AUTH_MODE": "token"}]
)
def test_without_a_token_nothing_starts(given: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as raised:
        demand_token(given, tmp_path)
    assert raised.value.problems[0].code == "cluster_open"
    demand_token({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "x"}, tmp_path)


def test_devices_of_a_machine() -> None:
    assert on_devices([]) == ({}, [])
    assert on_devices(["cpu"]) == ({"SAFELIGHT_DEVICE": "cpu"}, ["--num-gpus", "0"])
    assert on_devices(["cuda:0", "cuda:2"]) == ({"CUDA_VISIBLE_DEVICES": "0,2"}, [])
    with pytest.raises(ProblemError):
        on_devices(["cpu", "cuda:0"])


def test_what_arrives_gets_a_name_and_overwrites_nothing(tmp_path: Path) -> None:
    media = load_media()

    def arrive(name: str, data: bytes) -> str:
        copy = tmp_path / "arrived"
        copy.write_bytes(data)
        made = Made(path="", media_type="text/plain", digest=hash_bytes(data), size=len(data), width=0, height=0)
        path = placed(made, name, copy, tmp_path / "output", media)
        copy.unlink(missing_ok=True)
        assert path.read_bytes() == data
        return path.relative_to(tmp_path / "output").as_posix()

    assert arrive("a/image_00001.txt", b"one") == "a/image_00001.txt"
    assert arrive("a/image_00001.txt", b"two") == "a/image_00002.txt"
    assert arrive("a/image_00001.txt", b"two") == "a/image_00002.txt", "the same bytes are there once"
    assert arrive("a/image_00001.txt", b"three") == "a/image_00003.txt"
    assert arrive("a/image_00001.txt", b"one") == "a/image_00001.txt"
    assert arrive("plain.txt", b"one") == "plain.txt"
    assert arrive("plain.txt", b"two") == "plain_2.txt"
    assert sorted(path.name for path in (tmp_path / "output").rglob("*.txt")) == [
        *("image_00001.txt", "image_00002.txt", "image_00003.txt", "plain.txt", "plain_2.txt")
    ]


def test_the_files_that_a_run_can_ask_for(tmp_path: Path) -> None:
    (tmp_path / "in" / "mine").mkdir(parents=True)
    (tmp_path / "in" / "mine" / "a.png").write_bytes(b"a")
    (tmp_path / "in" / "b.png").write_bytes(b"b")
    (tmp_path / "secret").write_bytes(b"s")
    nodes = {
        "x": {"values": {"file": "mine/a.png", "text": "../secret"}},
        "y": {"values": {"files": ["no.png", "x" * 5000, ""], "path": str(tmp_path / "secret")}},
    }
    begin = _begin({"nodes": nodes}, {"file": "b.png"})
    inputs = Inputs((tmp_path / "in",))
    assert [(name, digest) for name, _, digest in inputs.named(begin)] == [
        ("mine/a.png", hash_bytes(b"a")),
        ("b.png", hash_bytes(b"b")),
    ]
    (tmp_path / "in" / "b.png").write_bytes(b"other")
    assert [digest for name, _, digest in inputs.named(begin) if name == "b.png"] == [hash_bytes(b"other")]


def test_a_node_that_reads_a_folder_gets_all_of_it(tmp_path: Path) -> None:
    mine = tmp_path / "in" / "mine"
    (mine / "deep").mkdir(parents=True)
    for name in ("a.png", "a.txt", "deep/b.png", ".hidden", "../other.png"):
        (mine / name).write_bytes(name.encode())
    (mine / "link.png").symlink_to(tmp_path / "in" / "other.png")
    (mine / "out.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (mine / "gone.png").symlink_to(tmp_path / "in" / "gone.png")
    nodes = {"x": {"type": "dataset.image_folder", "values": {"captions": "mine/a.png"}}}
    inputs = Inputs((tmp_path / "in",), {"dataset.image_folder"})
    found = [name for name, _, _ in inputs.named(_begin({"nodes": nodes}, {}))]
    assert found == ["mine/a.png", "mine/a.txt", "mine/deep/b.png", "mine/link.png"], "as it is found here"
    plain = {"x": {"type": "image.load", "values": {"file": "mine/a.png"}}}
    assert [name for name, _, _ in inputs.named(_begin({"nodes": plain}, {}))] == ["mine/a.png"]


def test_a_file_that_cannot_be_read_keeps_no_other_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "in" / "mine"
    mine.mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        (mine / name).write_bytes(name.encode())
    inputs = Inputs((tmp_path / "in",), {"dataset.image_folder"})
    digest = inputs._digest

    def refused(path: Path) -> str:
        if path.name == "b.png":
            raise PermissionError(13, "Permission denied")
        return digest(path)

    monkeypatch.setattr(inputs, "_digest", refused)
    nodes = {"x": {"type": "dataset.image_folder", "values": {"captions": "mine/a.png"}}}
    assert [name for name, _, _ in inputs.named(_begin({"nodes": nodes}, {}))] == ["mine/a.png", "mine/c.png"]


def test_a_folder_on_a_machine_holds_what_it_holds_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that was removed here would be learned from there."""
    for name, value in test_environment(tmp_path / "machine").items():
        monkeypatch.setenv(name, value)

    async def go() -> None:
        station = Station()
        both = await asyncio.gather(station.open(1, 1), station.open(1, 1))
        assert both[0] == both[1], "asked twice at once, it starts one"
        home = Path(both[0][0])
        for name in ("input/mine/a.png", "input/mine/old.png", "input/other/b.png"):
            await station.write(name, 0, b"abc")
            assert await station.finish(name, hash_bytes(b"abc"))
        await station.only("input", ["input/mine/a.png", "input/mine/new.png"])
        assert [path.relative_to(home).as_posix() for path in (home / "input").rglob("*") if path.is_file()] == [
            "input/mine/a.png"
        ]
        assert station._process is not None
        station._process.kill()

    asyncio.run(go())


def test_checkpoints_are_kept_by_run(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "states")
    kept.tidy()
    kept.put("r1", "a.state", b"1")
    kept.put("r1", "../../b.state", b"2")
    kept.put("r2", "a.state", b"3")
    assert [path.name for path in kept.of("r1")] == ["a.state", "b.state"]
    assert not list(tmp_path.glob("*.state"))
    kept.drop("r1", "a.state")
    assert [path.name for path in kept.of("r1")] == ["b.state"]
    kept.forget("r1")
    assert kept.of("r1") == [] and [path.read_bytes() for path in kept.of("r2")] == [b"3"]


class _OutOfReach(Exception):
    """Ray's `ActorUnavailableError`: what was asked for may have happened, or not."""


class _Method:
    def __init__(self, call: Callable[..., Awaitable[Any]], chance: random.Random) -> None:
        self._call = call
        self._chance = chance

    async def remote(self, *arguments: Any) -> Any:
        lot = self._chance.random()
        if lot < 0.15:
            raise _OutOfReach
        answer = await self._call(*arguments)
        if lot > 0.85:
            raise _OutOfReach
        return answer


class _Far:
    """A station behind a connection that breaks now and then, before or after what was asked for has been done."""

    def __init__(self, station: Station, chance: random.Random) -> None:
        self._station = station
        self._chance = chance

    def __getattr__(self, name: str) -> _Method:
        return _Method(getattr(self._station, name), self._chance)


def _begin(document: Any, inputs: dict[str, Any], run: str = "r1") -> Begin:
    return Begin(
        run=run,
        attempt=1,
        document=msgspec.json.encode(document),
        inputs=inputs,
        targets=None,
        force=[],
        checkpoint_seconds=1.0,
        previews=False,
    )


def _ground(folder: Path, station: Any, told: list[BridgeMessage], **more: Any) -> Ground:
    given: dict[str, Any] = {
        "start": lambda _: station,
        "end": lambda _: None,
        "out_of_reach": (_OutOfReach,),
        "dead": (),
        "tell": told.append,
        "share": lambda _: 1,
        "output": folder / "output",
        "inputs": Inputs((folder / "input",)),
        "kept": Kept(folder / "states"),
        "media": load_media,
        "threads": 1,
        "patience": 30.0,
        "start_seconds": SECONDS,
        "shown": lambda _: None,
    }
    return Ground(**given | more)


def _frames(told: list[BridgeMessage]) -> list[Any]:
    data, found = b"".join(one.data for one in told if isinstance(one, Heard)), []
    while data:
        (length,) = LENGTH.unpack_from(data)
        found.append(from_worker.decode(data[LENGTH.size : LENGTH.size + length]))
        data = data[LENGTH.size + length :]
    return found


def test_a_connection_that_breaks_loses_nothing_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    for name, value in test_environment(tmp_path / "machine").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("safelight.host.workers.cluster.relay._PAUSE", 0.01)
    told: list[BridgeMessage] = []

    async def go() -> None:
        ground = _ground(tmp_path / "server", _Far(Station(), random.Random(seed)), told)
        relay = Relay(ground, Open(worker="w1", place=Place("node", -1, "there")))
        living = asyncio.create_task(relay.live())
        relay.send(frame(Setup(home="/nowhere", worker="w1", memory=1 << 20, disk=1 << 30, warm=False)))
        for number in range(20):
            relay.send(frame(_begin(saving(), {"value": number}, f"r{number}")))
        relay.send(frame(Quit()))
        await asyncio.wait_for(living, SECONDS)

    asyncio.run(go())
    frames = _frames(told)
    ended = [one for one in frames if isinstance(one, Ended)]
    assert sum(isinstance(one, Ready) for one in frames) == 1
    assert sorted(one.run for one in ended) == sorted(f"r{number}" for number in range(20))
    assert {one.status for one in ended} == {"done"}
    files = [Path(file.path) for one in ended for file in one.files]
    assert sorted(int(path.read_text()) for path in files) == list(range(20)), "each file is here, once"
    assert len(list((tmp_path / "server" / "output").iterdir())) == 20
    assert not list((tmp_path / "machine").glob("cluster/*/output/*")), "what has arrived does not stay there"
    assert isinstance(told[0], Opened) and isinstance(told[-1], Gone) and told[-1].code == 0


def test_a_machine_that_stays_out_of_reach_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Never:
        def __getattr__(self, name: str) -> Any:
            async def remote(*_: Any) -> Any:
                raise _OutOfReach

            return type("Method", (), {"remote": staticmethod(remote)})

    monkeypatch.setattr("safelight.host.workers.cluster.relay._PAUSE", 0.01)
    told: list[BridgeMessage] = []
    ended: list[Any] = []
    ground = _ground(tmp_path, Never(), told, patience=0.3, end=ended.append)
    asyncio.run(Relay(ground, Open(worker="w1", place=Place("node", -1, "there"))).live())
    assert told == [Gone(worker="w1", said="there was out of reach for 0.3 seconds.")]
    assert len(ended) == 1, "its actor is ended, wherever it is"


def test_two_workers_of_a_machine_have_homes_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in test_environment(tmp_path / "machine").items():
        monkeypatch.setenv(name, value)

    async def go() -> None:
        one, two = Station(), Station()
        (home, pid, _), (other, _, _) = await one.open(1, 2), await two.open(1, 2)
        assert home != other and Path(home).parent == Path(other).parent
        assert (await one.open(1, 2))[:2] == (home, pid), "asked again, it starts no second"
        setup = frame(Setup(home=home, worker="w1", memory=1 << 20, disk=1 << 30, warm=False))
        await one.send(0, setup[:10])
        await one.send(0, setup)  # its first ten bytes are known
        said = b""
        async with asyncio.timeout(SECONDS):
            while len(said) < LENGTH.size + 4:
                said, code, _ = await one.receive(0)
                assert code is None
        first = from_worker.decode(said[LENGTH.size : LENGTH.size + LENGTH.unpack_from(said)[0]])
        assert isinstance(first, Ready | Beat)
        assert (await one.receive(0))[0].startswith(said), "until it has arrived it is told again"
        with pytest.raises(ValueError, match="leads out"):
            await one.read("../../secret", 0, 1)
        await one.write("input/a.txt", 0, b"abc")
        assert not await one.finish("input/a.txt", hash_bytes(b"abd")), "other bytes than were sent"
        assert await one.digest("input/a.txt") == ""
        for station in (one, two):
            with suppress(OSError):
                assert station._process is not None
                station._process.kill()
        async with asyncio.timeout(SECONDS):
            while (await two.receive(0))[1] is None:
                pass
        assert (await two.receive(0))[1] == -9

    asyncio.run(go())


def test_what_no_run_asks_for_goes_from_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in test_environment(tmp_path / "machine").items():
        monkeypatch.setenv(name, value)

    async def opened(*names: str) -> tuple[Path, list[str]]:
        station = Station()
        home = Path((await station.open(1, 1))[0])
        found = [name for name in names if await station.digest(f"input/{name}")]
        assert station._process is not None and station._release is not None
        station._process.kill()
        station._process.wait()
        station._release()
        return home, found

    home, _ = asyncio.run(opened())
    long_ago = time.time() - 31 * 24 * 3600
    for name in ("used", "left"):
        (home / "input" / name).parent.mkdir(exist_ok=True)
        (home / "input" / name).write_text(name)
        os.utime(home / "input" / name, (long_ago + 2 * 24 * 3600, long_ago))
    assert asyncio.run(opened("used"))[1] == ["used"], "what was used lately stays"
    os.utime(home / "input" / "left", (long_ago, long_ago))
    assert asyncio.run(opened("used", "left"))[1] == ["used"]


def test_an_input_that_cannot_be_sent_costs_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in test_environment(tmp_path / "machine").items():
        monkeypatch.setenv(name, value)

    class Vanishing(Inputs):
        def named(self, begin: Begin) -> Any:
            yield "photo.png", tmp_path / "photo.png", "0" * 40

    told: list[BridgeMessage] = []
    chance = random.Random(0)
    monkeypatch.setattr("safelight.host.workers.cluster.relay._PAUSE", 0.01)

    async def go() -> None:
        ground = _ground(tmp_path / "server", _Far(Station(), chance), told, inputs=Vanishing((tmp_path,)))
        relay = Relay(ground, Open(worker="w1", place=Place("node", -1, "there")))
        living = asyncio.create_task(relay.live())
        relay.send(frame(Setup(home="/nowhere", worker="w1", memory=1 << 20, disk=1 << 30, warm=False)))
        relay.send(frame(_begin(saving(), {"value": 1})))
        relay.send(frame(Quit()))
        await asyncio.wait_for(living, SECONDS)

    asyncio.run(go())
    assert [one.status for one in _frames(told) if isinstance(one, Ended)] == ["done"]
    assert told[-1] == Gone(worker="w1", code=0)


class _Silent:
    """A listener of a pool."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def test_a_bridge_that_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_process(*_: Any, **__: Any) -> Any:
        raise OSError(24, "Too many open files")

    pool = RayPool(_options(tmp_path), ClusterOptions(join=0.3))

    async def go() -> None:
        monkeypatch.setattr(asyncio, "create_subprocess_exec", no_process)
        with pytest.raises(ProblemError, match="did not answer"):
            await pool.start(_Silent())

    asyncio.run(go())
    assert "Too many open files" in pool.fault()


def test_workers_given_up_are_forgotten_with_their_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here no worker starts: nobody is there to tell."""
    pool = RayPool(_options(tmp_path), ClusterOptions())
    monkeypatch.setattr("safelight.host.workers.local_pool._BACKOFF", (0.0,))

    async def settled(ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not ready():
                await asyncio.sleep(0.01)

    async def go() -> None:
        pool._listener = _Silent()
        pool._settle([Place("node", -1, "there")])
        await settled(lambda: [one.given_up for one in pool._workers] == [True])
        pool.renew()  # a start anew, as after a pack was installed
        await settled(lambda: [one.given_up for one in pool._workers] == [True])
        pool._settle([])
        assert pool.workers() == []

    asyncio.run(go())


def _options(folder: Path) -> PoolOptions:
    return PoolOptions(setup=Setup(home=str(folder), worker="", memory=1 << 20, disk=1 << 30, warm=False), threads=1)


def test_a_machine_joins_again_until_it_is_told_to_leave() -> None:
    """Ray gives a busy machine too little time to join; and a cluster may be gone for a while."""
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> Callable[..., subprocess.Popen[bytes]]:
        def run(*_: Any, **__: Any) -> subprocess.Popen[bytes]:
            started.append(subprocess.Popen([sys.executable, "-c", code]))
            return started[-1]

        return run

    assert Machine([], {}, pause=0.01).stay(start("raise SystemExit(7)")) == 7
    assert len(started) > 2, "it has tried more than once"
    machine = Machine([], {}, pause=0.01)
    threading.Timer(1.0, machine.leave).start()
    assert machine.stay(start("import time; time.sleep(600)")) == 0
    assert started[-1].poll() is not None, "nothing is left"
