"""What a worker says of a run's end, as it is kept and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safelight.media.registry import MediaRegistry
from safelight.protocol.records import NodeState, OutputItem, Run, RunFile

from .gallery import Record, record_of
from .queue import Active, End, number_of
from .workers import Ended, Made


def end_of(ended: Ended, output: Path, media: MediaRegistry, live: Active | None) -> End:
    """The end of an attempt. `output` is the folder that files are named below, `live` what was told of the run while
    it was under way: the nodes that some worker has computed (to the others they look cached), what they showed at a
    glance, and what any worker has warned of."""
    ran, warnings = (live.ran, live.warnings) if live else ((), [])
    # Not of turns: a thousand of them would fill the record.
    states = {name: state for name, state in live.nodes.items() if name not in live.turns} if live else {}
    told = {(problem.code, problem.node, problem.port, problem.message) for problem in ended.problems}
    others = [one for one in warnings if (one.code, one.node, one.port, one.message) not in told]
    files = [_file(made, output, media) for made in ended.files]
    by_path = {made.path: file for made, file in zip(ended.files, files, strict=True)}
    return End(
        status="failed" if ended.status == "failed" else "done",
        seconds=ended.seconds,
        problems=[*ended.problems, *others],
        outputs={name: [_item(entry, by_path) for entry in items] for name, items in ended.outputs.items()},
        files=files,
        nodes={
            name: NodeState(
                status="ran" if name in ran else report.status,
                seconds=report.seconds,
                curve=states[name].curve if name in states else (),
                values=states[name].values if name in states else {},
                files=tuple(ended.shown.get(name, ())),
            )
            for name, report in ended.nodes.items()
        },
    )


def records_of(ended: Ended, run: Run, files: list[RunFile]) -> list[Record]:
    """The records of the files that an attempt has made."""
    made = {(file.name, file.digest): (file, one.facts) for file, one in zip(files, ended.files, strict=True)}
    workflow = run.workflow or run.name or None
    return [record_of(file, number_of(run.id), workflow, run.batch, facts) for file, facts in made.values()]


def _file(made: Made, output: Path, media: MediaRegistry) -> RunFile:
    path = Path(made.path)
    name = path.relative_to(output).as_posix() if path.is_relative_to(output) else path.name
    return RunFile(
        name=name,
        digest=made.digest,
        media_type=made.media_type,
        size=made.size,
        width=made.width,
        height=made.height,
        frames=made.frames,
        seconds=made.seconds,
        node=made.node,
        output=made.output,
        url=f"/api/v1/blobs/{made.digest}",
        thumbnail=f"/api/v1/thumbnails/{made.digest}" if media.has_thumbnail(made.media_type) else "",
    )


def _item(entry: dict[str, Any], files: dict[str, RunFile]) -> OutputItem:
    if "path" in entry:
        return OutputItem(file=files.get(entry["path"]))
    return OutputItem(value=entry.get("value"), type=entry.get("type"))
