"""Every medium end to end: into a file and back, the workflow inside, thumbnails, measures, uploads, hostile bytes."""

from __future__ import annotations

import random
import struct
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from safelight.host.uploads import accept
from safelight.media import boxes, glb, riff
from safelight.media.registry import built_in
from safelight.sdk import Audio, Mesh, ProblemError, Video
from tiny_images import decoded

MEDIA = built_in()
DOCUMENT = '{"format": "safelight/1", "name": "写真", "nodes": {}}'
CASES = [
    ("video", "mp4"),
    ("video", "av1"),
    ("video", "webm"),
    ("video", "webp"),
    ("video", "apng"),
    ("video", "gif"),
    ("audio", "wav"),
    ("audio", "flac"),
    ("audio", "ogg"),
    ("mesh", "glb"),
]
ENDINGS = {"av1": ".mp4", "apng": ".png"}
every = pytest.mark.parametrize(("medium", "form"), CASES)
LIBRARIES = {"mp4": "av", "av1": "av", "webm": "av", "flac": "soundfile", "ogg": "soundfile"}


def encoded(value: Any, form: str, **options: Any) -> tuple[bytes, str]:
    if form in LIBRARIES:
        pytest.importorskip(LIBRARIES[form])
    (made,) = MEDIA.encode(value, form, **options)
    return made.data, made.format.media_type


@pytest.fixture
def values(video: Video, sound: Audio, mesh: Mesh) -> dict[str, Any]:
    return {"video": video, "audio": sound, "mesh": mesh}


@every
def test_a_value_comes_back_from_its_file(medium: str, form: str, values: dict[str, Any], tmp_path: Path) -> None:
    data, kind = encoded(values[medium], form, quality=100)
    found = MEDIA.sniff(data)
    assert found is not None and found.media_type == kind
    path = tmp_path / f"a.{form}"
    path.write_bytes(data)
    back = MEDIA.decode(path, medium)
    assert back.fault() is None
    if isinstance(back, Video):
        assert back.frames.dtype == torch.uint8 and back.frames.shape == values["video"].frames.shape
        assert back.fps == pytest.approx(10, rel=0.01)
        assert (back.frames.float() - values["video"].frames.float()).abs().mean() < {"webp": 1e-9, "apng": 1e-9}.get(
            form, 6
        )
        assert (back.audio is not None) == (form in ("mp4", "av1", "webm"))
        if back.audio is not None:
            assert back.audio.samples.shape[-1] / back.audio.rate == pytest.approx(0.5, abs=0.1)
    elif isinstance(back, Audio):
        assert back.rate == 22_050
        closeness = {"wav": 5e-5, "flac": 2e-7, "ogg": 0.1}[form]
        assert (back.samples - values["audio"].samples).abs().max() < closeness
    else:
        assert all(torch.equal(getattr(back, name), getattr(values["mesh"], name)) for name in vars(back))


@every
def test_the_workflow_goes_into_the_file_and_comes_out(medium: str, form: str, values: dict[str, Any]) -> None:
    data, kind = encoded(values[medium], form)
    if form == "ogg":
        assert not MEDIA.can_embed(kind) and MEDIA.extract(data) is None
        return
    assert MEDIA.extract(data) is None
    once = MEDIA.embed(data, kind, DOCUMENT)
    assert MEDIA.extract(once) == DOCUMENT
    again = MEDIA.embed(once, kind, "{}")
    assert MEDIA.extract(again) == "{}" and len(again) < len(data) + 400
    shown = MEDIA.named(medium)
    assert shown is not None
    first, second = (shown.decode(source, "a") for source in (data, again))
    assert all(
        torch.equal(getattr(first, name), getattr(second, name))
        for name, part in vars(first).items()
        if isinstance(part, torch.Tensor)
    )


@pytest.mark.parametrize("form", ["mp4", "av1", "webm", "webp", "apng", "gif"])
def test_a_video_says_that_a_model_made_it(form: str, video: Video) -> None:
    data, kind = encoded(video, form)
    marked = MEDIA.mark(data, kind)
    assert b"digitalsourcetype/trainedAlgorithmicMedia" in marked and b"digitalsourcetype" not in data
    shown = MEDIA.named("video")
    assert shown is not None
    for both in (MEDIA.embed(marked, kind, DOCUMENT), MEDIA.mark(MEDIA.embed(data, kind, DOCUMENT), kind)):
        assert MEDIA.extract(both) == DOCUMENT and MEDIA.mark(both, kind).count(b"digitalsourcetype") == 1
        assert torch.equal(shown.decode(both, "a").frames, shown.decode(data, "a").frames)


def test_a_coder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, video: Video) -> None:
    av = pytest.importorskip("av")

    def missing(name: str, mode: str) -> None:
        raise ValueError(name)

    monkeypatch.setattr(av, "Codec", missing)
    with pytest.raises(ProblemError, match="without libsvtav1, which writes AV1") as caught:
        MEDIA.encode(video, "av1")
    assert caught.value.problems[0].port == "format"


@every
def test_uploads_keep_the_medium_and_lose_the_rest(medium: str, form: str, values: dict[str, Any]) -> None:
    data, kind = encoded(values[medium], form)
    given = MEDIA.embed(data, kind, DOCUMENT) if MEDIA.can_embed(kind) else data
    kept = accept(f"folder/a.{form}", given, MEDIA)
    assert Path(kept.name).suffix == ENDINGS.get(form, f".{form}")
    assert kept.workflow == (DOCUMENT if MEDIA.can_embed(kind) else None)
    assert MEDIA.extract(kept.data) is None
    shown = MEDIA.named(medium)
    assert shown is not None and shown.decode(kept.data, "a").fault() is None
    other = accept("a.bin", given, MEDIA)
    assert other.name == f"a{ENDINGS.get(form, f'.{form}')}", "the ending is that of what it is"


@every
def test_thumbnails_and_measures(medium: str, form: str, values: dict[str, Any], tmp_path: Path) -> None:
    data, kind = encoded(values[medium], form)
    path = tmp_path / f"a.{form}"
    path.write_bytes(data)
    for source in (data, path):
        small = decoded(MEDIA.thumbnail(source, kind, 32))
        assert max(small.size) == 32
        measures = MEDIA.measure(source, kind)
        if medium == "audio":
            assert measures.seconds == pytest.approx(0.5, abs=0.03)
        if form == "mp4":
            assert (measures.width, measures.height, measures.frames) == (48, 32, 5)
            assert measures.seconds == pytest.approx(0.5)
    colours = numpy.asarray(small.convert("RGB")).reshape(-1, 3)
    assert len(numpy.unique(colours, axis=0)) > 8, "something is to be seen"


@every
def test_damaged_bytes_are_problems_and_nothing_worse(
    medium: str, form: str, values: dict[str, Any], tmp_path: Path
) -> None:
    data, kind = encoded(values[medium], form)
    data = MEDIA.embed(data, kind, DOCUMENT) if MEDIA.can_embed(kind) else data
    source = random.Random(3)
    path = tmp_path / f"a.{form}"
    for _ in range(60):
        hurt = bytearray(data[: source.choice([len(data), source.randrange(len(data))])])
        for _ in range(source.randrange(4)):
            if hurt:
                hurt[source.randrange(min(len(hurt), source.choice([64, 1 << 20])))] = source.choice([0, 1, 0x7F, 0xFF])
        path.write_bytes(hurt)
        for call in (
            lambda: MEDIA.extract(path.read_bytes()),
            lambda: MEDIA.measure(path, kind),
            lambda: MEDIA.decode(path, medium),
            lambda: MEDIA.thumbnail(path, kind, 32),
            lambda: accept(path.name, path.read_bytes(), MEDIA),
        ):
            try:
                call()
            except ProblemError as error:
                assert error.problems[0].message


def test_samples_of_every_width_are_read() -> None:
    samples = numpy.array([[0.0, 0.5, -0.5, -1.0]], numpy.float32)
    for kind, bits in (
        (riff.PCM, 8),
        (riff.PCM, 16),
        (riff.PCM, 24),
        (riff.PCM, 32),
        (riff.FLOATS, 32),
        (riff.FLOATS, 64),
    ):
        if kind == riff.FLOATS:
            raw = samples.astype(f"<f{bits // 8}").tobytes()
        elif bits == 8:
            raw = (samples * 128 + 128).astype(numpy.uint8).tobytes()
        else:
            whole = (samples.astype(float) * 2 ** (bits - 1)).astype("<i8")[0]
            raw = b"".join(int(one).to_bytes(bits // 8, "little", signed=True) for one in whole)
        form = struct.pack("<HHIIHH", kind, 1, 8000, 8000 * bits // 8, bits // 8, bits)
        found, rate = riff.unpack(riff.wave_file([(b"fmt ", form), (b"data", raw)]))
        assert rate == 8000 and found.tolist() == samples.tolist(), (kind, bits)


def test_a_scene_is_read_as_one_mesh_where_its_nodes_put_the_parts(mesh: Mesh) -> None:
    triangles = glb.Triangles(mesh.vertices.numpy(), mesh.faces.numpy())
    scene, binary = glb.split(glb.pack(triangles))
    scene["nodes"] = [
        {"children": [1, 2]},
        {"mesh": 0, "translation": [10, 0, 0]},
        {"mesh": 0, "scale": [-1, 1, 1], "rotation": [0, 0, 0, 1]},
    ]
    found = glb.unpack(glb.join(scene, binary))
    assert len(found.vertices) == 10 and len(found.faces) == 8
    assert numpy.allclose(found.vertices[:5], triangles.vertices + numpy.array([10, 0, 0]))
    assert found.faces[4:].tolist() == [[face[2] + 5, face[1] + 5, face[0] + 5] for face in mesh.faces.tolist()]
    scene["nodes"][1]["children"] = [0]
    with pytest.raises(glb.NotMesh):
        glb.unpack(glb.join(scene, binary))


def test_a_scene_whose_nodes_stand_in_several_places_ends_at_once(mesh: Mesh) -> None:
    scene, binary = glb.split(glb.pack(glb.Triangles(mesh.vertices.numpy(), mesh.faces.numpy())))
    scene["nodes"] = [{"children": [place + 1, place + 1]} for place in range(40)] + [{"mesh": 0}]
    with pytest.raises(glb.NotMesh, match="two places"):
        glb.unpack(glb.join(scene, binary))


def test_the_place_of_a_video_does_not_stay_in_it(video: Video) -> None:
    data, _ = encoded(video, "mp4")
    place = next(start for kind, start, _, _ in boxes.boxes(data) if kind == b"moov")
    secret = b"+48.8577+002.295/"
    box = struct.pack(">I4s", 8 + len(secret), b"udta") + secret
    moov = struct.unpack_from(">I", data, place)[0]
    told = (
        data[:place] + struct.pack(">I", moov + len(box)) + data[place + 4 : place + moov] + box + data[place + moov :]
    )
    assert secret in told and secret not in accept("a.mp4", told, MEDIA).data


def test_what_is_missing_is_named_with_the_command(
    video: Video, sound: Audio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("av", "soundfile"):
        monkeypatch.setitem(sys.modules, library, None)
    for value, form in ((video, "mp4"), (sound, "flac")):
        with pytest.raises(ProblemError) as caught:
            MEDIA.encode(value, form)
        (problem,) = caught.value.problems
        assert problem.code == "needs_package" and f"pip install {LIBRARIES[form]}" in problem.hint
    assert MEDIA.encode(video, "webp")[0].data and MEDIA.encode(sound, "wav")[0].data


def test_limits_are_said() -> None:
    long = riff.pack(numpy.zeros((1, 4 * 3601), numpy.float32), 4)
    with pytest.raises(ProblemError) as caught:
        accept("a.wav", long, MEDIA)
    assert caught.value.problems[0].code == "file_too_large" and "3600 seconds" in caught.value.problems[0].hint


def test_what_is_no_sound_is_told_in_words_that_stay_the_same(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    file = tmp_path / "a.flac"
    file.write_bytes(b"\x89PNG no sound at all")
    with pytest.raises(ProblemError) as caught:
        MEDIA.decode(file, "audio", "a.flac")
    assert caught.value.problems[0].message == "a.flac cannot be read: Format not recognised."
