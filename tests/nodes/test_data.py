"""JSON, tables, files of text, and facts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from safelight.sdk import ProblemError
from safelight.testing import BenchContext, call
from safelight_nodes.data import facts, files, structured, tables

TEXT = '{"images": [{"name": "a", "size": [8, 9]}, {"name": "b"}], "a key": null, "deep": {"yes": true}}'


def code_of(error: pytest.ExceptionInfo[ProblemError]) -> tuple[str, str | None]:
    return error.value.problems[0].code, error.value.problems[0].port


@pytest.mark.parametrize(
    ("path", "text", "items"),
    [
        ("images[0].name", "a", ["a"]),
        ("images[-1].name", "b", ["b"]),
        ("images[*].name", "a", ["a", "b"]),
        ("images[0].size", "[8, 9]", ["8", "9"]),
        ('["a key"]', "null", ["null"]),
        ("deep", '{"yes": true}', ["true"]),
        ("$.deep.yes", "true", ["true"]),
    ],
)
def test_values_are_read_out_of_json(path: str, text: str, items: list[str]) -> None:
    found = call(structured.read_json, TEXT, path=path)
    assert (found.text, found.items, found.found) == (text, items, True)


def test_what_json_does_not_hold() -> None:
    assert call(structured.read_json, TEXT, path="images[7].name") == ("", [], [], False)
    assert structured.read_json(TEXT, path="").keys == ["images", "a key", "deep"]
    for text in ("", "{", "[1,]", "NaN", "[" * 5000, "{'a': 1}", "9" * 5000, '"\\ud800"'):
        with pytest.raises(ProblemError) as caught:
            structured.read_json(text)
        assert code_of(caught) == ("bad_json", "text"), text[:10]
    for path in ("a..b", "[", "a[b]", ".a", "a]", '["a'):
        with pytest.raises(ProblemError) as caught:
            structured.read_json(TEXT, path=path)
        assert code_of(caught) == ("bad_json_path", "path"), path


def test_numbers_that_json_cannot_hold_are_refused_and_forms_that_are_too_long() -> None:
    for found in (lambda: structured.read_json('{"a": 1e999}', path="a"), lambda: structured.read_json("[-1e999]")):
        with pytest.raises(ProblemError) as caught:
            found()
        assert code_of(caught) == ("bad_json", "text")
    assert structured.put_json(value="1e999") == '"1e999"', "no number, so a text"
    with pytest.raises(ProblemError) as caught:
        facts.now(form="%9999999Y")
    assert code_of(caught) == ("bad_template", "form")
    assert facts.now(form="").text == ""


def test_values_are_put_into_json() -> None:
    made = call(structured.put_json, path="a.b", value="12")
    assert json.loads(made) == {"a": {"b": 12}}
    made = structured.put_json(made, path="list[0]", value="12", kind="text")
    assert json.loads(made) == {"a": {"b": 12}, "list": ["12"]}
    assert json.loads(structured.put_json('{"a": [1, 2]}', path="a[-1]", value="a cat")) == {"a": [1, "a cat"]}
    assert structured.put_json(path="a", value="[1]", indent=True) == '{\n  "a": [\n    1\n  ]\n}'
    assert structured.put_json(value="a") == '"a"'
    assert structured.put_json(path="[0].a", value="1") == '[{"a": 1}]'
    assert structured.read_json('"\\ud83d\\ude00"').text == "\U0001f600"
    with pytest.raises(ProblemError):
        structured.read_json("{}", path='["\\u12"]')
    for text, path, value, kind, code in (
        (None, "a", "{", "json", ("bad_json", "value")),
        ("{}", "a[1]", "1", "auto", ("bad_json_path", "path")),
        ('{"a": 1}', "a.b", "1", "auto", ("bad_json_path", "path")),
        ("{}", "a[*]", "1", "auto", ("bad_json_path", "path")),
        (None, "a" + "[0]" * 330, "1", "auto", ("", "")),
    ):
        try:
            structured.put_json(text, path=path, value=value, kind=kind)  # type: ignore[arg-type]
        except ProblemError as error:
            assert (error.problems[0].code, error.problems[0].port) == code
        else:
            assert not code[0]


def test_tables_are_read_and_written() -> None:
    found = call(tables.read_table, '\ufeffname;prompt\r\ncat;"a ""red"" cat; big"\r\n\r\ndog\r\n')
    assert found.columns == ["name", "prompt"]
    assert [json.loads(row) for row in found.rows] == [
        {"name": "cat", "prompt": 'a "red" cat; big'},
        {"name": "dog", "prompt": ""},
    ]
    prompts = [structured.read_json(row, path="prompt").text for row in found.rows]
    assert prompts == ['a "red" cat; big', ""]
    assert tables.read_table(tables.write_table(found.rows)).rows == found.rows
    assert tables.read_table("1\t2", header=False).rows == ['{"1": "1", "2": "2"}']
    assert tables.read_table("").rows == []
    assert call(tables.write_table, ['{"a": 1}', '{"b": "x,y", "a": null}']) == 'a,b\n1,\nnull,"x,y"\n'
    for text in ("a,a\n1,2", 'a\n"open', 'a\n"x"y'):
        with pytest.raises(ProblemError) as caught:
            tables.read_table(text)
        assert code_of(caught) == ("bad_table", "text"), text
    with pytest.raises(ProblemError) as caught:
        tables.write_table(["[1]"])
    assert code_of(caught) == ("bad_table", "rows")


def test_files_of_text(tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_bytes(b"\xef\xbb\xbf# mine\r\na cat\r\n\r\n  a dog\r\na bird")
    (tmp_path / "wide.txt").write_text("hé", encoding="utf-16")
    (tmp_path / "image.txt").write_bytes(b"\x89PNG\0")
    bench = BenchContext(folder=tmp_path)
    assert call(files.load_text, file="wide.txt", ctx=bench) == "hé"
    assert call(files.load_lines, file="prompts.txt", ctx=bench) == ["a cat", "a dog", "a bird"]
    assert files.load_lines(file="prompts.txt", comments=False, limit=2, ctx=bench) == ["# mine", "a cat"]
    assert files.load_lines(file="prompts.txt", start=2, ctx=bench) == ["a bird"]
    with pytest.raises(ProblemError) as caught:
        files.load_text(file="image.txt", ctx=bench)
    assert code_of(caught) == ("text_unreadable", "file")
    call(files.save_text, "a cat", name="caption.txt", ctx=bench)
    call(files.save_text, "{}", name="facts", format="json", ctx=bench)
    assert bench.saved == {"caption.txt": b"a cat", "facts.json": b"{}"}


def test_folders_are_listed_in_the_order_of_people(tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    (folder / "more").mkdir(parents=True)
    for name in ("b10.png", "b2.png", "A1.PNG", ".hidden.png", "note.txt", "more/c.png"):
        (folder / name).write_text("x")
    bench = BenchContext(folder=tmp_path)
    found = call(files.list_folder, file="shots/note.txt", pattern="*.png", ctx=bench)
    assert found == (["shots/A1.PNG", "shots/b2.png", "shots/b10.png"], ["A1", "b2", "b10"])
    assert len(files.list_folder(file="shots/note.txt", deep=True, ctx=bench).files) == 5
    assert len(files.list_folder(file="shots/note.txt", pattern="*.txt, c*", deep=True, limit=1, ctx=bench).files) == 1
    assert call(files.name_parts, "shots/A1.PNG") == ("A1", "A1.PNG", ".png", "shots")
    assert files.name_parts("a") == ("a", "a", "", "")


def test_facts() -> None:
    moment = call(facts.now, form="%Y/%m/%d")
    assert moment.text == f"{moment.year}/{moment.month:02}/{moment.day:02}"
    assert moment.seconds > 1_700_000_000


def test_the_machine_is_named() -> None:
    import torch

    class Models:
        def device(self) -> tuple[torch.device, torch.dtype]:
            return torch.device("cpu"), torch.float32

    class Bench(BenchContext):
        @property
        def models(self) -> Models:  # type: ignore[override]
            return Models()

    found = call(facts.machine, ctx=Bench())
    assert found[:2] == ("cpu", "float32")
    assert re.match(r"\d+\.\d+", found.torch)
