"""ONNX files: what they say of themselves, and those that are none, or more than they seem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_mattes
from node_bench import offline_store
from safelight.models import headers
from safelight.models.onnx_files import Socket, read_onnx
from safelight.sdk import ProblemError

onnx = pytest.importorskip("onnx")


def told(path: Path) -> Any:
    with pytest.raises(ProblemError) as caught:
        headers.read_header(path)
    (problem,) = caught.value.problems
    assert problem.code == "weights_damaged" and problem.value == str(path)
    return problem


def test_it_says_what_the_library_of_the_format_says(tmp_path: Path) -> None:
    path = tiny_mattes.write(tmp_path / "any.onnx", ("h", 64), attention=True, half=True)
    found = read_onnx(path)
    assert found.inputs == (Socket("image", "F16", (1, 3, 0, 64)),)
    assert found.outputs == tuple(Socket(name, "F16", (1, 1, 0, 64)) for name in ("map", "map1"))
    graph = onnx.load(str(path)).graph
    assert found.operators == {node.op_type for node in graph.node}
    shapes = {name: one.shape for name, one in found.header.tensors.items()}
    assert shapes == {one.name: tuple(one.dims) for one in graph.initializer}
    assert headers.read_header(path).dtypes() == "F16"


def test_weights_that_are_named_among_the_inputs_are_none(tmp_path: Path) -> None:
    """Files of before IR version 4 have them there."""
    path = tiny_mattes.write(tmp_path / "old.onnx")
    made = onnx.load(str(path))
    made.graph.input.append(onnx.helper.make_tensor_value_info("weight", onnx.TensorProto.FLOAT, [1, 3, 1, 1]))
    onnx.save(made, str(path))
    assert [one.name for one in read_onnx(path).inputs] == ["image"]


def test_a_list_of_models_has_it_and_says_what_others_are(tmp_path: Path) -> None:
    models = tmp_path / "models"
    tiny_mattes.write(models / "preprocessors" / "isnet.onnx", (1024, 1024))
    tiny_mattes.write(models / "two.onnx", images=2)
    tiny_mattes.write(models / "colours.onnx", channels=3)
    (models / "noise.onnx").write_bytes(b"\xff" * 64)
    listed = {entry.name: entry for entry in offline_store(tmp_path).list_models() if entry.name != "starter"}
    listed = {name: entry for name, entry in listed.items() if name.endswith(".onnx")}
    good = listed.pop("preprocessors/isnet.onnx")
    assert (good.kind, good.format, good.precision, good.problem) == ("preprocessor", "onnx", "F32", None)
    problems = {name: entry.problem for name, entry in listed.items()}
    assert {name: problem.code for name, problem in problems.items() if problem} == {
        "two.onnx": "not_a_model", "colours.onnx": "not_a_model", "noise.onnx": "weights_damaged",
    }  # fmt: skip
    assert "it takes 'image' (1 x 3 x 64 x 64), 'image1' (1 x 3 x 64 x 64), and gives" in problems["two.onnx"].message


@pytest.mark.parametrize("where", ["../secret.bin", "/etc/passwd", "weights.bin"])
def test_weights_in_other_files_are_not_read(where: str, tmp_path: Path) -> None:
    problem = told(tiny_mattes.write(tmp_path / "any.onnx", beside=where))
    assert "keeps weights in files beside it" in problem.message and "Get it as one file" in problem.hint


def test_weights_in_other_files_are_found_wherever_they_are_named(tmp_path: Path) -> None:
    """In a branch, in the value of a constant, in a function, and in one that is sparse."""
    from onnx import TensorProto, helper

    outside = onnx.numpy_helper.from_array(__import__("numpy").zeros(1, "float32"), "w")
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    constant = helper.make_node("Constant", [], ["c"], value=outside)
    inner = helper.make_graph([constant], "inner", [], [])
    branch = helper.make_node("If", ["condition"], ["b"], then_branch=inner, else_branch=inner)
    function = helper.make_function("own", "f", [], ["c"], [constant], [helper.make_opsetid("", 17)])
    for place, change in enumerate(
        (
            lambda made: made.graph.node.append(constant),
            lambda made: made.graph.node.append(branch),
            lambda made: made.functions.append(function),
            lambda made: made.graph.sparse_initializer.add().values.CopyFrom(outside),
        )
    ):
        path = tiny_mattes.write(tmp_path / f"{place}.onnx")
        made = onnx.load(str(path))
        change(made)
        path.write_bytes(made.SerializeToString())
        assert "keeps weights in files beside it" in told(path).message


def test_a_second_network_behind_the_first_is_seen(tmp_path: Path) -> None:
    """Readers of protobuf merge what stands twice: what is looked at has to be all of it."""
    path = tiny_mattes.write(tmp_path / "any.onnx")
    other = tiny_mattes.write(tmp_path / "other.onnx", beside="/etc/passwd")
    path.write_bytes(path.read_bytes() + other.read_bytes())
    assert "more than one network" in told(path).message


def test_graphs_in_graphs_have_an_end(tmp_path: Path) -> None:
    def field(number: int, inside: bytes) -> bytes:
        length, size = len(inside), b""
        while length > 127:
            size, length = size + bytes([length & 127 | 128]), length >> 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + inside

    graph = b""
    for _ in range(5000):
        graph = field(1, field(5, field(6, graph)))
    path = tmp_path / "deep.onnx"
    path.write_bytes(field(7, graph))
    assert "more levels" in told(path).message


def test_files_of_another_sort_are_told(tmp_path: Path) -> None:
    path = tmp_path / "any.onnx"
    for data, said in (
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\x08\x08", "is no ONNX file"),
        (b"GGUF" + bytes(64), "is a GGUF file by another name"),
    ):
        path.write_bytes(data)
        assert said in told(path).message


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_file_is_told_or_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut off and with bytes that are others: nothing but a problem, and no more than the file holds."""
    folder = tmp_path_factory.getbasetemp()
    whole = folder / "whole.onnx"
    if not whole.exists():
        tiny_mattes.write(whole, attention=True)
    made = bytearray(whole.read_bytes()[: data.draw(st.integers(0, whole.stat().st_size))])
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)):
        if place < len(made):
            made[place] = byte
    path = folder / "damaged.onnx"
    path.write_bytes(bytes(made))
    try:
        headers.onnx_of(path)
    except ProblemError as error:
        assert error.problems[0].code == "weights_damaged"
