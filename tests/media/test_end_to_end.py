"""Each medium through a whole run: nodes, files written out, workflows opened from them, and a medium of a pack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch

from safelight.app import Studio
from safelight.graph import Document
from safelight.host.uploads import accept
from safelight.media.registry import GROUP, built_in, load_media
from safelight.scripting import Workflow
from safelight.sdk import Audio, Mesh, ProblemError, Video
from safelight.sdk.pack import GROUP as NODES
from safelight.sdk.pack import load_packs
from tiny_images import decoded

PACK = Path(__file__).parents[1] / "packs" / "points"


def document(nodes: dict[str, Any], links: list[tuple[str, str]], output: str = "") -> Document:
    return Document.parse(
        {
            "format": "safelight/1",
            "name": "clip",
            "nodes": {name: {"type": kind, "version": 1, "values": values} for name, (kind, values) in nodes.items()},
            "links": [{"from": source, "to": target} for source, target in links],
            "outputs": [{"name": "made", "from": output}] if output else [],
        }
    )


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    (tmp_path / "in").mkdir()
    with Studio.open(tmp_path / "home", [tmp_path / "in"]) as made:
        made.__dict__["numerics"] = "cpu"  # measuring the processor takes longer than all of this
        yield made


def put(studio: Studio, folder: Path, value: Any, form: str) -> None:
    (made,) = studio.media.encode(value, form)
    (folder / "in" / f"a.{form}").write_bytes(made.data)


@pytest.mark.parametrize(
    ("medium", "form", "needs"),
    [("video", "mp4", "av"), ("video", "webp", ""), ("audio", "wav", ""), ("mesh", "glb", "")],
)
def test_a_file_goes_in_and_comes_out_and_carries_its_workflow(
    medium: str, form: str, needs: str, studio: Studio, tmp_path: Path, video: Video, sound: Audio, mesh: Mesh
) -> None:
    if needs:
        pytest.importorskip(needs)
    put(studio, tmp_path, {"video": video, "audio": sound, "mesh": mesh}[medium], form)
    wanted = document(
        {
            "load": (f"{medium}.load", {"file": f"a.{form}"}),
            "save": (f"{medium}.save", {"name": "out", "format": form}),
        },
        [(f"load.{medium}", f"save.{medium}")],
        "save.files",
    )
    outcome = studio.run(wanted, output=tmp_path / "out")
    assert outcome.result.status == "done", outcome.result.problems
    (entry,) = outcome.outputs["made"]
    path = Path(entry["path"])
    assert path.name == f"out.{form}"
    assert studio.read(path).data() == wanted.data(), "the file opens as the workflow that made it"
    if medium != "mesh":
        assert entry["seconds"] == pytest.approx(0.5, abs=0.03)
    again = studio.run(studio.read(path), output=tmp_path / "out")
    assert {report.status for report in again.result.nodes.values()} == {"cached"}
    assert [one["path"] for one in again.outputs["made"]] == [str(path)]


def test_a_value_that_is_an_output_is_written_by_its_medium(studio: Studio, tmp_path: Path, sound: Audio) -> None:
    put(studio, tmp_path, sound, "wav")
    wanted = document({"load": ("audio.load", {"file": "a.wav"})}, [], "load.audio")
    (entry,) = studio.run(wanted, output=tmp_path / "out").outputs["made"]
    assert (Path(entry["path"]).name, entry["media_type"]) == ("clip_made_00001.wav", "audio/wav")


def test_from_python_other_media_are_files_and_not_images(studio: Studio, tmp_path: Path, sound: Audio) -> None:
    put(studio, tmp_path, sound, "wav")
    wanted = document({"load": ("audio.load", {"file": "a.wav"})}, [], "load.audio")
    result = Workflow(wanted, studio).run(output=tmp_path / "out")
    assert not result.images and [path.suffix for path in result.files] == [".wav"]


def test_frames_go_into_a_video_and_come_out_as_they_were(studio: Studio, tmp_path: Path, video: Video) -> None:
    put(studio, tmp_path, video, "gif")
    wanted = document(
        {
            "load": ("video.load", {"file": "a.gif"}),
            "frames": ("video.frames", {"first": 1, "every": 2}),
            "video": ("video.from_images", {"fps": 4.0}),
        },
        [("load.video", "frames.video"), ("frames.image", "video.images")],
        "video.video",
    )
    wanted = Document.parse({**wanted.data(), "outputs": [{"name": "made", "from": "video.video"}]})
    pytest.importorskip("av")
    outcome = studio.run(wanted, output=tmp_path / "out")
    made = outcome.result.values["made"]
    assert made.frames.dtype == torch.uint8 and len(made) == 2 and made.fps == 4.0
    assert (made.frames[0].float() - video.frames[1].float()).abs().mean() < 6


def test_a_value_of_the_wrong_kind_and_a_frame_behind_the_end_are_said(
    studio: Studio, tmp_path: Path, sound: Audio, video: Video
) -> None:
    put(studio, tmp_path, sound, "wav")
    put(studio, tmp_path, video, "gif")
    (tmp_path / "in" / "b.gif").write_bytes(b"GIF89a, or is it")
    codes = []
    for nodes, links in (
        ({"load": ("video.load", {"file": "a.wav"})}, []),
        ({"load": ("video.load", {"file": "b.gif"})}, []),
        ({"load": ("mesh.load", {"file": "a.wav"})}, []),
        (
            {"load": ("video.load", {"file": "a.gif"}), "frames": ("video.frames", {"first": 5})},
            [("load.video", "frames.video")],
        ),
    ):
        outcome = studio.run(document(nodes, links), output=tmp_path / "out", targets=[list(nodes)[-1]])
        (problem,) = outcome.result.problems
        assert problem.hint and problem.node
        codes.append(problem.code)
    assert codes[1:] == ["file_unreadable", "file_unreadable", "area_outside"]
    assert codes[0] in ("file_damaged", "needs_package")


@pytest.fixture
def points() -> Iterator[list[EntryPoint]]:
    sys.path.insert(0, str(PACK))
    yield [EntryPoint("points", "points_pack.medium:POINTS", GROUP)]
    sys.path.remove(str(PACK))


def test_a_pack_brings_a_medium_for_a_value_of_a_name_that_is_taken(
    points: list[EntryPoint], tmp_path: Path, mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = load_media(points)
    packs = [EntryPoint("safelight", "safelight_nodes", NODES), EntryPoint("points", "points_pack", NODES)]
    with Studio.open(tmp_path / "home", [tmp_path]) as studio:
        monkeypatch.setitem(studio.__dict__, "numerics", "cpu")
        monkeypatch.setitem(studio.__dict__, "media", media)
        monkeypatch.setitem(studio.__dict__, "catalogue", load_packs(packs))
        wanted = document({"make": ("points/cloud.make", {"points": "7 8"})}, [], "make.mesh")
        (entry,) = studio.run(wanted, output=tmp_path / "out").outputs["made"]
        path = Path(entry["path"])
        assert (path.suffix, entry["media_type"], entry["frames"]) == (".pts", "application/x-points", 3)
        assert path.read_bytes().startswith(b"POINTS7 8") and studio.read(path).data() == wanted.data()
        (tmp_path / "a.pts").write_bytes(path.read_bytes())
        wanted = document({"load": ("points/cloud.load", {"file": "a.pts"})}, [], "load.mesh")
        assert studio.run(wanted, output=tmp_path / "out").result.values["made"].points == "7 8"
        assert media.encode(mesh)[0].format.name == "GLB", "the built-in mesh has its own medium"
    assert max(decoded(media.thumbnail(path, "application/x-points", 24)).size) == 24
    kept = accept("up.pts", path.read_bytes(), media)
    assert kept.data == b"POINTS7 8\n" and kept.workflow
    with pytest.raises(ProblemError) as caught:
        accept("up.pts", b"POINTS" + bytes(2000), media)
    assert caught.value.problems[0].code == "file_too_large"
    assert [one.name for one in media.described()][-1] == "points"


def test_a_medium_that_fails_to_import_is_left_out(points: list[EntryPoint], caplog: pytest.LogCaptureFixture) -> None:
    wrong = [EntryPoint("gone", "points_pack.nowhere:POINTS", GROUP), EntryPoint("no", "points_pack.cloud:make", GROUP)]
    media = load_media([*wrong, *points])
    assert len(media.media) == len(built_in().media) + 1
    assert "gone" in caplog.text and "no instance of safelight.media.Medium" in caplog.text
