"""Fonts where none is chosen: letters of all the languages of Europe, and the look of before where none is lacking."""

from __future__ import annotations

import pytest
from PIL import ImageFont

import safelight_nodes._fonts as fonts
from safelight.testing import call
from safelight_nodes.image import draw


@pytest.mark.parametrize(
    "text", ["a red apple", "Größe éàçñãõœ", "Привет", "Ελλάδα", "“quoted” – dashed × 2", "Łódź İstanbul"]
)
def test_no_letter_of_europe_is_a_box(text: str) -> None:
    font = fonts.built_in(20, text)
    assert not fonts.lacking(font, {sign for sign in text if not sign.isspace()})


def test_what_pillow_has_is_written_as_before() -> None:
    found, before = fonts.built_in(20, "a red apple"), ImageFont.load_default(20)
    assert found.getname() == before.getname()
    assert fonts.built_in(20, "é").getname()[0] == "DejaVu Sans"


def test_signs_that_no_font_has_are_told_apart_and_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_of_system", lambda: ())
    font = fonts.built_in(20, "a 日本")
    assert font.getname()[0] == "DejaVu Sans"
    assert fonts.lacking(font, {"a", "é", "日"}) == {"日"}


def test_a_font_of_the_system_is_taken_where_it_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    there = fonts._of_system()
    if not there:
        pytest.skip("this system has no font for Chinese, Japanese and Korean")
    font = fonts.built_in(20, "a 日本 ü")
    assert not fonts.lacking(font, set("a日本ü"))


def test_an_accent_is_drawn_on_an_image() -> None:
    plain, accented = (call(draw.text, text=text, outline=0.0, size=40.0).image.pixels for text in ("e", "é"))
    assert accented[..., 3].sum() > plain[..., 3].sum()
    box = call(draw.text, text="\U0010fffe", outline=0.0, size=40.0).image.pixels
    assert not bool((accented == box).all())
