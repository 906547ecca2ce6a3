"""What the first visit costs: bytes, shifts of the layout, requests to elsewhere, messages on the console."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

from web.editor import Editor

DIST = Path(__file__).resolve().parents[2] / "web" / "dist"


def test_the_first_load_is_small() -> None:
    page = (DIST / "index.html").read_text()
    named = re.findall(r'(?:src|href)="\./(assets/[^"]+\.js)"', page)
    assert named
    size = sum(len(gzip.compress((DIST / name).read_bytes())) for name in named)
    assert size <= 350_000, f"{size} bytes of compressed script"


def test_nothing_shifts_fails_or_comes_from_elsewhere(context: Any, server: Any) -> None:
    context.add_init_script(
        """window.__shift = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.__shift += entry.value;
        }).observe({type: "layout-shift", buffered: true});"""
    )
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    editor.page.wait_for_timeout(500)
    assert editor.page.evaluate("window.__shift") < 0.01
    assert editor.errors == []
    assert editor.foreign == []
