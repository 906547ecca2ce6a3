"""Queue and history on disk: order, edits, ends that happen once, migrations, the lock."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from safelight.host import database as host_database
from safelight.host import preferences
from safelight.host.database import Database
from safelight.host.documents import workflows
from safelight.host.lock import FolderLock
from safelight.host.queue import history, runs
from safelight.host.queue.live import Live
from safelight.host.schema import MIGRATIONS
from safelight.protocol.records import RunOrder
from safelight.sdk.problem import Problem, ProblemError

DIED = Problem(code="worker_died", message="gone")


def submit(connection: sqlite3.Connection, count: int = 1, **more: object) -> list[str]:
    orders = [RunOrder(document=b"{}", name=f"run {number}", **more) for number in range(count)]  # type: ignore[arg-type]
    return [run.id for run, _ in runs.add(connection, orders)]


def order_of(connection: sqlite3.Connection) -> list[str]:
    live = Live(lambda: 1)
    live.fill(history.standing(connection))
    running, waiting, _ = live.standing(100)
    assert not running and [run.position for run in waiting] == list(range(len(waiting)))
    return [run.id for run in waiting]


def test_runs_start_in_order_of_priority_then_of_arrival(connection: sqlite3.Connection) -> None:
    low, high = submit(connection, 3), submit(connection, 2, priority=5)
    assert order_of(connection) == [*high, *low]
    taken = [runs.claim(connection, lambda *_: "w1", set()) for _ in range(6)]
    assert [one.run.id if one else None for one in taken] == [*high, *low, None]


def test_a_run_can_be_moved_any_number_of_times(connection: sqlite3.Connection) -> None:
    a, b, c = submit(connection, 3)
    for _ in range(120):  # more often than a float can be halved
        runs.edit(connection, c, ahead_of=b)
        assert order_of(connection) == [a, c, b]
        runs.edit(connection, b, ahead_of=c)
        assert order_of(connection) == [a, b, c]
    runs.edit(connection, a, behind=c)
    assert order_of(connection) == [b, c, a]
    assert [history.get(connection, name).position for name in (b, c, a)] == [0, 1, 2]


def test_a_moved_run_takes_the_priority_of_its_neighbour(connection: sqlite3.Connection) -> None:
    (low,), (high,) = submit(connection), submit(connection, priority=9)
    assert runs.edit(connection, low, ahead_of=high).priority == 9
    assert order_of(connection) == [low, high]


def test_a_key_is_accepted_once(connection: sqlite3.Connection) -> None:
    first = runs.add(connection, [RunOrder(document=b"{}", key="k")])
    again = runs.add(connection, [RunOrder(document=b'{"other":1}', key="k")])
    assert first[0][1] and not again[0][1]
    assert first[0][0].id == again[0][0].id


def test_an_end_is_given_once(connection: sqlite3.Connection) -> None:
    submit(connection)
    claimed = runs.claim(connection, lambda *_: "w1", set())
    assert claimed is not None
    run = claimed.run
    assert runs.end(connection, run.id, run.attempts, runs.End(status="done")) is not None
    assert runs.end(connection, run.id, run.attempts, runs.End(status="failed")) is None
    assert runs.died(connection, run.id, run.attempts, DIED, 3) is None
    assert history.get(connection, run.id).status == "done"
    assert connection.execute("SELECT ends FROM run").fetchone()[0] == 1


def test_an_answer_of_an_earlier_attempt_does_not_count(connection: sqlite3.Connection) -> None:
    submit(connection)
    first = runs.claim(connection, lambda *_: "w1", set())
    assert first is not None
    runs.recover(connection)
    second = runs.claim(connection, lambda *_: "w2", set())
    assert second is not None and second.run.attempts == 2
    assert runs.end(connection, first.run.id, 1, runs.End(status="failed")) is None
    assert runs.end(connection, first.run.id, 2, runs.End(status="done")) is not None


def test_after_a_death_a_run_waits_at_the_front_until_it_has_killed_too_many(connection: sqlite3.Connection) -> None:
    (bad,) = submit(connection)
    submit(connection, priority=50)
    runs.edit(connection, bad, priority=60)
    for death in (1, 2, 3):
        claimed = runs.claim(connection, lambda *_: "w1", set())
        assert claimed is not None and claimed.run.id == bad
        run = runs.died(connection, bad, claimed.run.attempts, DIED, 3)
        assert run is not None and run.deaths == death
    found = history.get(connection, bad)
    assert found.status == "failed" and found.problems[0].code == "worker_died"


@pytest.mark.parametrize(("asked", "becomes"), [("cancel", "cancelled"), ("pause", "paused"), (None, "interrupted")])
def test_what_was_asked_of_a_run_survives_the_server(
    connection: sqlite3.Connection, asked: str | None, becomes: str
) -> None:
    (run,) = submit(connection)
    runs.claim(connection, lambda *_: "w1", set())
    if asked:
        assert runs.ask(connection, run, asked)[1]
    runs.recover(connection)
    assert history.get(connection, run).status == becomes


def test_a_paused_run_goes_on(connection: sqlite3.Connection) -> None:
    (run,) = submit(connection)
    assert runs.ask(connection, run, "pause")[0].status == "paused"
    assert runs.claim(connection, lambda *_: "w1", set()) is None
    assert runs.ask(connection, run, "resume")[0].status == "queued"
    assert runs.claim(connection, lambda *_: "w1", set()) is not None


def test_what_is_resumed_before_it_has_stopped_goes_on(connection: sqlite3.Connection) -> None:
    (run,) = submit(connection)
    runs.claim(connection, lambda *_: "w1", set())
    assert runs.ask(connection, run, "pause")[1]
    assert runs.ask(connection, run, "resume")[0].status == "running"
    ended = runs.stopped(connection, run, 1, runs.End(status="cancelled"))
    assert ended is not None and ended.status == "interrupted"
    runs.claim(connection, lambda *_: "w1", set())
    runs.ask(connection, run, "cancel")
    runs.ask(connection, run, "resume")
    ended = runs.stopped(connection, run, 2, runs.End(status="cancelled"))
    assert ended is not None and ended.status == "cancelled", "who has cancelled it has the last word"


def test_nothing_starts_while_the_queue_is_paused(connection: sqlite3.Connection) -> None:
    submit(connection)
    preferences.set_setting(connection, "paused", "true")
    assert runs.claim(connection, lambda *_: "w1", set()) is None


def test_what_does_not_fit_the_state_is_refused(connection: sqlite3.Connection) -> None:
    (run,) = submit(connection)
    runs.claim(connection, lambda *_: "w1", set())
    for code, work in {
        "run_missing": lambda: history.get(connection, "r99"),
        "run_busy": lambda: runs.remove(connection, run),
        "run_not_waiting": lambda: runs.edit(connection, run, priority=1),
    }.items():
        with pytest.raises(ProblemError) as caught:
            work()
        assert caught.value.problems[0].code == code
    runs.end(connection, run, 1, runs.End(status="done"))
    with pytest.raises(ProblemError, match="cannot be cancelled"):
        runs.ask(connection, run, "cancel")


def test_history_is_searched_and_paged(connection: sqlite3.Connection) -> None:
    runs.add(connection, [RunOrder(document=b"{}", name="Äpfel", inputs={"prompt": "a Red apple"})])
    submit(connection, 25)
    found, total, _ = history.history(connection, search="RED äpfel")
    assert [run.id for run in found] == ["r1"] and total == 1
    seen: list[str] = []
    before = None
    while True:
        page, total, before = history.history(connection, before=before, limit=10)
        seen += [run.id for run in page]
        assert total == 26
        if before is None:
            break
    assert seen == [f"r{number}" for number in range(26, 0, -1)]


def test_old_runs_and_their_documents_are_forgotten(connection: sqlite3.Connection) -> None:
    for number in range(30):
        runs.add(connection, [RunOrder(document=b'{"n":%d}' % number)])
        claimed = runs.claim(connection, lambda *_: "w", set())
        assert claimed is not None
        runs.end(connection, claimed.run.id, 1, runs.End(status="done"))
    runs.trim(connection, 10)
    assert connection.execute("SELECT count(*) FROM run").fetchone()[0] == 10
    assert connection.execute("SELECT count(*) FROM document").fetchone()[0] == 10


def test_a_save_of_an_older_revision_is_a_conflict(connection: sqlite3.Connection) -> None:
    def save(revision: int, body: bytes) -> int:
        return workflows.save(connection, "w", body, revision=revision, message="", description="", nodes=0).revision

    assert save(0, b'{"a":1}') == 1
    assert save(1, b'{"a":2}') == 2
    assert save(2, b'{"a":2}') == 2  # nothing has changed
    for revision in (0, 1, 3):
        with pytest.raises(ProblemError) as caught:
            save(revision, b'{"a":3}')
        assert caught.value.problems[0].code == "workflow_conflict"
        assert caught.value.problems[0].value == 2
    assert workflows.get(connection, "w", 1).document == {"a": 1}
    assert workflows.rename(connection, "w", "v", 2).name == "v"
    assert [one.revision for one in workflows.revisions(connection, "v")] == [2, 1]


def test_autosaves_leave_one_revision_every_five_minutes(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(at: float, *, autosave: bool = True) -> None:
        nonlocal count
        monkeypatch.setattr("safelight.host.documents.workflows.time.time", lambda: at)
        body = b'{"n":%d}' % count
        made = workflows.save(
            connection, "w", body, revision=count, message="", description="", nodes=0, autosave=autosave
        )
        count += 1
        assert made.revision == count

    count = 0
    for at in (0.0, 10.0, 20.0, 290.0, 310.0, 320.0, 330.0):
        save(at)
    found = [(one.revision, one.created) for one in workflows.revisions(connection, "w")]
    assert found == [(7, 330.0), (4, 290.0), (1, 0.0)]
    save(331.0, autosave=False)
    save(332.0)
    save(333.0)
    assert [one.revision for one in workflows.revisions(connection, "w")] == [10, 8, 7, 4, 1]
    assert workflows.get(connection, "w").document == {"n": 9}


def test_writes_that_come_together_share_a_transaction_and_fail_alone(tmp_path: Path) -> None:
    async def work() -> tuple[list[object], int]:
        database = Database(tmp_path / "d.sqlite")

        def good(connection: sqlite3.Connection) -> str:
            return submit(connection)[0]

        def bad(connection: sqlite3.Connection) -> None:
            submit(connection)
            raise ValueError("no")

        jobs = [database.write(bad if number % 10 == 3 else good) for number in range(100)]
        results = await asyncio.gather(*jobs, return_exceptions=True)
        (count,) = await database.read(lambda connection: connection.execute("SELECT count(*) FROM run").fetchone())
        database.close()
        return results, count

    results, count = asyncio.run(work())
    assert sum(isinstance(result, ValueError) for result in results) == 10
    assert count == 90


def test_a_database_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "d.sqlite")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.commit()
    connection.close()
    with pytest.raises(ProblemError) as caught:
        Database(tmp_path / "d.sqlite")
    assert caught.value.problems[0].code == "database_newer"


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "d.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ProblemError) as caught:
        Database(tmp_path / "d.sqlite")
    assert caught.value.problems[0].code == "database_damaged"


def test_the_folder_is_locked_once(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    first.acquire()
    first.note({"pid": 1234, "url": "http://127.0.0.1:1"})
    with pytest.raises(ProblemError, match=r"http://127\.0\.0\.1:1 \(process 1234\)"):
        FolderLock(tmp_path).acquire()
    first.release()
    again = FolderLock(tmp_path)
    again.acquire()
    again.release()


def test_a_database_that_cannot_be_written_says_so_and_mends_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_database, "_ASK_AGAIN", 0.0)

    async def codes() -> list[str]:
        database = Database(tmp_path / "d.sqlite")
        found: list[str] = []

        async def ask() -> None:
            try:
                await database.must_write()
                found.append("")
            except ProblemError as error:
                found.append(error.problems[0].code)

        try:
            await ask()
            database._connection.execute("PRAGMA query_only = 1")  # pyright: ignore[reportPrivateUsage]
            await ask()
            database._connection.execute("PRAGMA query_only = 0")  # pyright: ignore[reportPrivateUsage]
            await ask()
        finally:
            database.close()
        return found

    assert asyncio.run(codes()) == ["", "database_failed", ""]


def test_a_disk_that_is_full_in_the_middle_of_a_job_is_a_problem(tmp_path: Path) -> None:
    async def fill() -> str:
        database = Database(tmp_path / "d.sqlite")
        try:
            (pages,) = database._connection.execute("PRAGMA page_count").fetchone()  # pyright: ignore[reportPrivateUsage]
            database._connection.execute(f"PRAGMA max_page_count = {pages}")  # pyright: ignore[reportPrivateUsage]
            with pytest.raises(ProblemError) as caught:
                await database.write(lambda c: preferences.set_setting(c, "large", "x" * 100_000))
            database._connection.execute(f"PRAGMA max_page_count = {pages + 100}")  # pyright: ignore[reportPrivateUsage]
            await database.write(lambda c: preferences.set_setting(c, "large", "x" * 100_000))
            return caught.value.problems[0].code
        finally:
            database.close()

    assert asyncio.run(fill()) == "database_failed"


def test_sweeps_take_turns_and_a_single_run_need_not_wait_for_their_end(connection: sqlite3.Connection) -> None:
    first = submit(connection, 4, batch="b1")
    for _ in range(2):
        assert runs.claim(connection, lambda *_: "w1", set()) is not None
    second = submit(connection, 3, batch="b2")
    (single,) = submit(connection)
    (later,) = submit(connection)
    assert order_of(connection) == [first[2], second[0], single, first[3], second[1], later, second[2]]
    runs.edit(connection, later, ahead_of=second[0])
    assert order_of(connection)[:3] == [first[2], later, second[0]]
    more = submit(connection, 2, batch="b1")
    assert order_of(connection)[3:] == [single, first[3], second[1], second[2], *more]


def test_ten_thousand_runs_are_accepted_in_a_breath(connection: sqlite3.Connection) -> None:
    submit(connection, 10_000, batch="b1")
    (single,) = submit(connection)
    assert order_of(connection).index(single) == 1
