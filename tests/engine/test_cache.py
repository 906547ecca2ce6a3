"""The cache as the engine sees it: values, lists, actions, files, checkpoints, across restarts."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from engine.cache_tools import Open, folder_of, index_of, open_cache, payload, run_python, same
from safelight.engine.cache import MISSING, Action, ValueRef
from safelight.sdk import Conditioning, File, Image, Latent, Prompt
from safelight.sdk.codec import CodecError, hash_bytes

torch = pytest.importorskip("torch")
__all__ = ["open_cache"]


def values() -> list[Any]:
    pixels = torch.rand(2, 3, 8, 8)
    prompt = Prompt({"embeddings": torch.rand(1, 4, 6), "pooled": torch.rand(1, 6)}, size={"original": (64, 32)})
    return [
        None,
        True,
        0,
        -(2**70),
        1.5,
        float("inf"),
        "",
        "grüße \ud800 \0",
        b"\x00\xff",
        [],
        [1, [2.0, "three"]],
        (1, (2, None)),
        {"b": [1], "a": {"$type": "trap"}},
        "x" * 100_000,
        torch.tensor(3.5),
        torch.zeros(0, 4),
        torch.rand(40, 40).bfloat16(),
        torch.rand(4, 4, dtype=torch.float64) + 0j,
        torch.tensor([True, False]),
        torch.rand(7, 3).to(torch.float8_e4m3fn),
        Image(pixels.permute(0, 2, 3, 1)),
        Latent(torch.rand(1, 4, 8, 8), "sd1", mask=torch.ones(1, 1, 8, 8)),
        Conditioning((prompt, prompt), family="sd1"),
        [Image(torch.rand(1, 90, 90, 3)), [Image(torch.rand(1, 4, 4, 3))], 3, "four"],
    ]


@pytest.mark.parametrize("restart", [False, True])
def test_every_kind_of_value_comes_back(open_cache: Open, restart: bool) -> None:
    cache = open_cache()
    kept = [(value, cache.put(value)) for value in values()]
    if restart:
        cache.close()
        cache = open_cache()
    for value, ref in kept:
        assert cache.has(ref)
        assert same(cache.get(ref), value), value
        assert cache.digest(value) == ref.digest
    assert len({ref for _, ref in kept}) == len(kept)


def test_memory_only(open_cache: Open) -> None:
    cache = open_cache(None)
    for value in values():
        assert same(cache.get(cache.put(value)), value)
    cache.record("k", Action(seconds=2.0))
    assert cache.lookup("k") == Action(seconds=2.0)
    assert cache.get_bytes(cache.put_bytes(b"abc")) == b"abc"
    cache.save_state("s", {"step": 1})
    assert cache.load_state("s") == {"step": 1}
    cache.flush()
    assert cache.info().folder is None
    cache.clear()
    assert cache.lookup("k") is None and cache.load_state("s") is None


def test_memory_holds_the_live_tensor(open_cache: Open) -> None:
    cache = open_cache()
    image = Image(torch.rand(1, 8, 8, 3))
    assert cache.get(cache.put(image)) is image


def test_what_cannot_be_kept_is_said(open_cache: Open) -> None:
    cache = open_cache()
    with pytest.raises(CodecError):
        cache.put(object())
    with pytest.raises(CodecError, match="sparse"):
        cache.put(torch.eye(3).to_sparse())


def test_actions_survive(open_cache: Open) -> None:
    cache = open_cache()
    whole = Action({"image": cache.put(7), "mask": ValueRef("ab" * 20, 5)}, 1.25)
    cache.record("whole", whole)
    cache.record("choice", Action(demands="left"))
    assert cache.lookup("whole") == whole
    assert cache.lookup("none") is None
    cache.close()
    cache = open_cache()
    assert cache.lookup("whole") == whole
    assert cache.lookup("choice") == Action(demands="left")


def test_an_action_is_seen_by_others_after_flush(open_cache: Open) -> None:
    one, other = open_cache(), open_cache()
    assert other.lookup("k") is None
    ref = one.put("shared")
    one.record("k", Action({"text": ref}))
    one.flush()
    action = other.lookup("k")
    assert action is not None and other.get(action.outputs["text"]) == "shared"


def test_actions_are_bounded_and_the_oldest_go(open_cache: Open) -> None:
    cache = open_cache(action_rows=100)
    cache.record("first", Action())
    cache.flush()
    connection = index_of(cache)
    connection.execute("UPDATE action SET at = at - 1000")
    connection.commit()
    for number in range(150):
        cache.record(str(number), Action())
    cache.flush()
    assert 50 <= cache.info().actions <= 100
    assert open_cache().lookup("first") is None


def test_seconds_of_a_type_are_a_moving_average(open_cache: Open) -> None:
    cache = open_cache()
    assert cache.last_seconds("sampling.sample") is None
    cache.note_seconds("sampling.sample", 10.0)
    cache.note_seconds("sampling.sample", 20.0)
    pace = cache.last_seconds("sampling.sample")
    assert pace is not None and 10 < pace < 20
    cache.close()
    assert open_cache().last_seconds("sampling.sample") == pace


def test_lists_share_their_elements(open_cache: Open) -> None:
    cache = open_cache()
    images = [Image(torch.rand(1, 90, 90, 3)) for _ in range(3)]
    alone = [cache.put(pil_image) for pil_image in images]
    cache.flush()
    before = cache.info().disk_bytes
    together = cache.put(images)
    cache.flush()
    assert cache.info().disk_bytes - before < 2_000
    assert cache.elements(together) == alone
    assert cache.compose(alone) == together
    assert cache.compose(reversed(alone)) != together
    assert cache.elements(alone[0]) is None


def test_a_list_is_composed_of_elements_never_loaded(open_cache: Open) -> None:
    cache = open_cache()
    images = [Image(torch.rand(1, 90, 90, 3)) for _ in range(3)]
    refs = [cache.put(pil_image) for pil_image in images]
    cache.close()
    cache = open_cache()
    listed = cache.compose(refs)
    assert cache.has(listed) and cache.info().memory_values == 1
    cache.close()
    assert same(open_cache().get(listed), images)


def test_a_list_without_an_element_is_missing(open_cache: Open) -> None:
    cache = open_cache()
    refs = [cache.put(Image(torch.rand(1, 90, 90, 3))) for _ in range(2)]
    listed = cache.compose(refs)
    cache.close()
    payload(cache, refs[1].digest).unlink()
    cache = open_cache()
    assert not cache.has(listed)
    assert cache.get(listed) is MISSING


def test_plain_lists_give_elements_that_can_be_got(open_cache: Open) -> None:
    cache = open_cache()
    ref = cache.put([1, 2.5, "three"])
    cache.close()
    cache = open_cache()
    elements = cache.elements(ref)
    assert elements is not None and [cache.get(element) for element in elements] == [1, 2.5, "three"]
    assert cache.compose(elements) == ref


def test_what_is_got_may_be_changed(open_cache: Open) -> None:
    cache = open_cache()
    given = [{"a": [1]}, 2]
    ref = cache.put(given)
    given[0]["a"].append(9)
    got = cache.get(ref)
    got[0]["a"].append(2)
    got.append(3)
    assert cache.get(ref) == [{"a": [1]}, 2]


def test_plain_data_never_loads_torch(open_cache: Open, tmp_path: Path) -> None:
    cache = open_cache()
    refs = [cache.put(value) for value in (1, "two", [3.0, {"four": (5,)}], File("a.png", "image/png", "00", 3))]
    cache.record("k", Action({str(place): ref for place, ref in enumerate(refs)}))
    cache.save_state("s", {"step": 1})
    cache.close()
    code = """
        import sys
        from pathlib import Path
        from safelight.engine.cache import Cache
        from safelight.sdk import File
        from safelight.sdk.codec import Codec
        cache = Cache(Path(sys.argv[1]), Codec([File]), memory_bytes=1 << 20, disk_bytes=1 << 20)
        got = [cache.get(ref) for ref in cache.lookup("k").outputs.values()]
        assert got[:3] == [1, "two", [3.0, {"four": (5,)}]] and got[3].name == "a.png", got
        assert cache.load_state("s") == {"step": 1}
        cache.put([1, 2, "x"]); cache.digest({"a": 1}); cache.info(); cache.put_bytes(b"x"); cache.close()
        assert not any(name.split(".")[0] in ("torch", "numpy") for name in sys.modules)
    """
    run_python(code, str(tmp_path / "cache"))


def test_a_program_that_forgets_to_close_keeps_its_results(open_cache: Open, tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from safelight.engine.cache import Action, Cache
        from safelight.sdk.codec import Codec
        cache = Cache(Path(sys.argv[1]), Codec([]), memory_bytes=1 << 20, disk_bytes=1 << 20)
        cache.record("k", Action({"v": cache.put("kept")}))
    """
    run_python(code, str(tmp_path / "cache"))
    cache = open_cache()
    action = cache.lookup("k")
    assert action is not None and cache.get(action.outputs["v"]) == "kept"


def test_bytes(open_cache: Open) -> None:
    cache = open_cache()
    small, large = b"png", os.urandom(200_000)
    digests = [cache.put_bytes(small), cache.put_bytes(large)]
    assert digests == [hash_bytes(small), hash_bytes(large)]
    assert cache.get_bytes(digests[1]) == large
    cache.close()
    cache = open_cache()
    assert [cache.get_bytes(digest) for digest in digests] == [small, large]
    assert cache.get_bytes(digests[0]) is not None and cache.get_bytes("00") is None
    assert cache.get_bytes("00") is None


def test_a_file_without_its_bytes_is_missing(open_cache: Open) -> None:
    cache = open_cache(memory_bytes=0)
    digest = cache.put_bytes(os.urandom(100_000))
    file = File("a.png", "image/png", digest, 100_000)
    one, several = cache.put(file, 1.0), cache.put({"files": [(file,)]}, 1.0)
    assert cache.has(one) and cache.has(several)
    cache.flush()
    cost = index_of(cache).execute("SELECT seconds FROM entry WHERE id = ?", ("b:" + digest,)).fetchone()
    assert cost == (1.0,), "the bytes are worth what the file took"
    payload(cache, "b:" + digest).unlink()
    assert not cache.has(one) and not cache.has(several)
    cache.close()
    assert not open_cache().has(one)


def test_states(open_cache: Open) -> None:
    cache = open_cache()
    state = {"step": 3, "latents": torch.rand(1, 4, 8, 8).bfloat16(), "more": [{"x": torch.get_rng_state()}, (1.5,)]}
    assert cache.load_state("key") is None
    cache.save_state("key", {"step": 2})
    cache.save_state("key", state)
    other = open_cache()
    assert same(dict(other.load_state("key") or {}), state)
    assert other.load_state("another") is None
    assert cache.info().states == 1
    other.drop_state("key")
    other.drop_state("key")
    assert cache.load_state("key") is None


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_a_damaged_state_is_none(open_cache: Open, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    cache = open_cache()
    for place in (9, 300, 1000, -3):
        cache.save_state("key", {"step": 2, "x": torch.rand(16, 16)})
        (path,) = folder_of(cache).joinpath("states").iterdir()
        data = bytearray(path.read_bytes())
        if damage == "flip":
            data[place] ^= 16
        path.write_bytes({"cut": data[:place], "empty": b"", "foreign": os.urandom(len(data))}.get(damage, data))
        assert cache.load_state("key") is None
        assert not path.exists()
    assert "checkpoint" in caplog.text


def test_old_states_give_way_to_new_ones(open_cache: Open) -> None:
    cache = open_cache(disk_bytes=400_000)
    for number in range(5):
        cache.save_state(str(number), {"noise": torch.rand(10_000)})
        for path in folder_of(cache).joinpath("states").iterdir():
            os.utime(path, (path.stat().st_mtime - 100,) * 2)
    cache.close()
    cache = open_cache(disk_bytes=400_000)
    cache.save_state("new", {"noise": torch.rand(10_000)})
    assert [cache.load_state(key) is not None for key in ("0", "1", "2", "3", "4", "new")] == [False] * 4 + [True] * 2


def test_fingerprints(open_cache: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = open_cache()
    path = tmp_path / "weights"
    with pytest.raises(FileNotFoundError):
        cache.fingerprint(path)
    now = time.time_ns()
    path.write_bytes(b"one")
    os.utime(path, ns=(now, now))
    assert cache.fingerprint(path) == hash_bytes(b"one")
    # Within one tick of the clock, with the same size: the content decides.
    path.write_bytes(b"two")
    os.utime(path, ns=(now, now))
    assert cache.fingerprint(path) == hash_bytes(b"two")
    os.utime(path, (1, 1))
    monkeypatch.setattr("safelight.engine.cache.fingerprints.SETTLED_NS", 0)
    cache.fingerprint(path)
    cache.close()
    cache = open_cache()
    wanted = hash_bytes(b"two")
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.blake2b", None)
        assert cache.fingerprint(path) == wanted
    path.write_bytes(b"six")
    os.utime(path, (2, 2))
    assert cache.fingerprint(path) == hash_bytes(b"six")
    # A program that sets the time back after it has changed a file of the same size is found out.
    path.write_bytes(b"ten")
    os.utime(path, (2, 2))
    assert cache.fingerprint(path) == hash_bytes(b"ten")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        cache.fingerprint(path)


def test_clear_while_another_uses_it(open_cache: Open) -> None:
    one, other = open_cache(), open_cache(memory_bytes=0)
    ref, action = one.put(Image(torch.rand(1, 90, 90, 3))), Action(seconds=3)
    digest = one.put_bytes(os.urandom(50_000))
    one.record("k", action)
    one.save_state("s", {"step": 1})
    one.flush()
    assert other.has(ref)
    one.clear()
    assert not one.has(ref) and one.get(ref) is MISSING and one.lookup("k") is None and one.load_state("s") is None
    assert not other.has(ref) and other.get(ref) is MISSING and other.get_bytes(digest) is None
    info = other.info()
    assert (info.disk_bytes, info.disk_values, info.actions, info.states) == (0, 0, 0, 0)
    assert not [path for path in folder_of(one).rglob("*") if path.is_file() and "index" not in path.name]
    other.put("again")
    other.flush()
    assert other.info().disk_values == 1


def test_threads(open_cache: Open) -> None:
    cache = open_cache(memory_bytes=200_000)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for number in range(40):
                value = torch.full((30, 30), float((seed + number) % 50))
                ref = cache.put(value, 0.1)
                cache.record(f"{seed}-{number}", Action({"v": ref}))
                assert same(cache.get(ref), value)
                assert cache.lookup(f"{seed}-{number}") is not None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache.flush()
    assert not failures
    assert cache.info().memory_bytes <= 200_000


def test_one_warning_and_no_exception_when_the_folder_cannot_be_used(
    open_cache: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    cache = open_cache(blocker / "cache")
    with caplog.at_level(logging.WARNING):
        ref = cache.put([1, torch.rand(4)])
        cache.record("k", Action({"v": ref}))
        cache.flush()
    assert cache.get(ref) is not MISSING and cache.lookup("k") is not None
    assert cache.get_bytes(cache.put_bytes(b"abc")) == b"abc"
    cache.save_state("s", {"step": 1})
    assert cache.load_state("s") == {"step": 1}
    assert cache.info().trouble
    assert (
        len([entry for entry in caplog.records if "memory only" in entry.message and "cache folder" in entry.message])
        == 1
    )
