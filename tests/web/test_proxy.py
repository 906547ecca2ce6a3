"""The editor behind an nginx with TLS, below a path that the proxy takes off or keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nginx import Proxy, nginx
from serving import Server, serving
from web.conftest import ROOT, missing
from web.editor import Editor
from web.test_journey import STATUS, drop

TOKEN = "tests"


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not (ROOT / "web" / "dist" / "index.html").is_file():
        missing("The editor is not built: run `npm ci && npm run build` in web/.")
    words = ("--root-path", "/studio", "--trusted-proxy", "127.0.0.1", "--token", TOKEN)
    with serving(tmp_path_factory.mktemp("behind") / "home", *words, pack=False) as running:
        yield running


@pytest.fixture(params=["strips", "keeps"])
def proxy(request: pytest.FixtureRequest, behind: Server, tmp_path: Path) -> Iterator[Proxy]:
    with nginx(tmp_path / "nginx", behind.url, keeps=request.param == "keeps") as running:
        yield running


@pytest.fixture
def visitor(browser: Any) -> Iterator[Any]:
    made = browser.new_context(
        viewport={"width": 1440, "height": 900}, color_scheme="dark", locale="en-US", ignore_https_errors=True
    )
    made.set_default_timeout(20_000)
    yield made
    made.close()


def opened(visitor: Any, url: str) -> Editor:
    editor = Editor(visitor.new_page(), url)
    editor.visit()
    return editor


def wait_seen(editor: Editor, selector: str) -> None:
    """Until such an image has come; none may have failed. (Those out of sight are asked for later.)"""
    editor.page.locator(selector).first.wait_for()
    images = f"[...document.querySelectorAll({selector!r})]"
    editor.wait(f"{images}.some(image => image.complete && image.naturalWidth > 0)")
    assert not editor.page.evaluate(f"{images}.filter(image => image.complete && !image.naturalWidth).length")


def test_everything_works_below_a_path(visitor: Any, proxy: Proxy, tmp_path: Path) -> None:
    signing_in = visitor.new_page()
    signing_in.goto(proxy.url)  # without a slash at its end
    signing_in.locator('input[name="token"]').fill(TOKEN)
    signing_in.get_by_role("button").click()
    signing_in.wait_for_url(f"{proxy.url}/")
    (cookie,) = visitor.cookies()
    assert cookie["path"] == "/studio/" and cookie["secure"] and cookie["httpOnly"]
    signing_in.close()

    editor, second = opened(visitor, proxy.url), opened(visitor, proxy.url)
    page = editor.page
    assert "token" not in page.url
    # Templates with their images; one of them runs, and its image is seen.
    page.evaluate("__safelight.app.setState({ panel: 'templates' })")
    wait_seen(editor, ".side-panel [data-template] img")
    page.locator('[data-template="text_to_image"]').click()
    editor.wait("__safelight.stage.geometry.nodes.size > 3")
    page.evaluate("__safelight.view.set(40, 60, 0.6)")
    page.locator('[data-node="prompt"] textarea').fill(f"a yellow banana, {proxy.url}")
    editor.wait_plan()
    page.click(".run-button")
    editor.wait(f"{STATUS} === 'done'", 120)
    wait_seen(editor, '[data-node="save"] .result img')
    # The other window was told by its own stream, and sees the image.
    run = editor.state("tabs.find(tab => tab.id === state.active).run")
    second.wait(f"__safelight.app.getState().runs[{run!r}]?.status === 'done'")
    second.page.evaluate("__safelight.app.setState({ panel: 'gallery' })")
    wait_seen(second, ".side-panel [data-image] img")
    # What is downloaded, by the gallery's link.
    second.page.locator(".side-panel [data-image]").first.click()
    with second.page.expect_download() as coming:
        second.page.locator("a[download]").first.click()
    assert Path(coming.value.path()).read_bytes().startswith(b"\x89PNG")
    second.page.keyboard.press("Escape")
    # A file that is dropped is uploaded, and shown.
    pillow = pytest.importorskip("PIL.Image")
    file = tmp_path / "dropped.png"
    pillow.new("RGB", (40, 24), (200, 40, 90)).save(file)
    drop(editor, file, "image/png", (900, 620))
    editor.wait("__safelight.write().includes('dropped.png')")
    wait_seen(editor, '[data-node="load"] .result img, [data-node^="load"] img')
    # Any address below leads to the editor; a reload keeps the work.
    deep = visitor.new_page()
    deep.goto(f"{proxy.url}/some/where")
    Editor(deep, proxy.url).wait("window.__safelight?.app.getState().ready")
    editor.visit()
    editor.wait("__safelight.write().includes('dropped.png')")
    names = page.evaluate("indexedDB.databases().then(all => all.map(one => one.name))")
    assert names == ["safelight/studio/"], "documents of another server on this host are its own"
    for one in (editor, second):
        assert not one.errors, one.errors
        assert not one.foreign, "something was asked outside of the path"


def test_the_editor_says_who_does_not_answer(visitor: Any, tmp_path: Path) -> None:
    words = ("--root-path", "/studio", "--trusted-proxy", "127.0.0.1")
    with (
        serving(tmp_path / "home", *words, pack=False) as server,
        nginx(tmp_path / "nginx", server.url, keeps=False) as proxy,
    ):
        editor = opened(visitor, proxy.url)
        server.stop()
        notice = editor.page.locator('[data-notice="elsewhere"]')
        notice.wait_for()
        assert "502" in notice.inner_text()
        proxy.stop()
        editor.page.get_by_text("No connection to the server.").first.wait_for()
        assert notice.count() == 0
