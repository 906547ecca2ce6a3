"""Everything in Chinese and back: the editor's own words, the nodes' names, help and choices; both themes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from serving import Server
from web.conftest import ROOT
from web.editor import Editor, graph

I18N = ROOT / "web" / "src" / "i18n"
LANGUAGES = sorted(
    file.stem for file in I18N.glob("*.ts") if re.fullmatch(r"[a-z]{2}(-[A-Z]{2})?", file.stem) and file.stem != "en"
)
CHAIN = graph(
    {"empty": ("latent.empty", 0, 0), "sample": ("sampling.sample", 340, 0), "scale": ("image.resize", 700, 0)},
    [("empty.latent", "sample.latent")],
)


@pytest.fixture
def chinese(browser: Any, server: Server) -> Any:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="zh-CN")
    context.set_default_timeout(20_000)
    editor = Editor(context.new_page(), server.url)
    editor.visit()
    editor.wait("document.documentElement.lang === 'zh-CN'")
    yield editor
    assert not editor.errors, editor.errors
    context.close()


def test_nodes_speak_the_language_of_the_browser(chinese: Editor) -> None:
    page = chinese.page
    chinese.open(CHAIN)
    title = chinese.node("sample").locator(".node-title")
    chinese.wait("document.querySelector('[data-node=sample] .node-title').textContent.startsWith('采样')")
    assert "步数" in page.locator('[data-widget="sample.steps"]').inner_text()
    assert "lanczos" in page.locator('[data-widget="scale.method"]').inner_text()
    assert "拉伸" in page.locator('[data-widget="scale.fit"]').inner_text()
    chinese.node("sample").hover()
    chinese.node("sample").get_by_label("此节点的作用").click()
    assert "逐步把噪声变成图片的潜变量" in page.locator(".popup.help").inner_text()
    assert not re.search(r"Number of steps|The method that", page.locator(".popup.help").inner_text())
    page.keyboard.press("Escape")
    page.mouse.dblclick(900, 700)
    page.wait_for_selector('[role="combobox"]:focus')
    page.keyboard.type("解码")
    assert page.locator('[role="option"]').first.get_attribute("data-option") == "vae.decode"
    page.keyboard.press("Escape")
    choose_language(chinese, "语言", "en")
    chinese.wait("document.documentElement.lang === 'en'")
    assert title.inner_text().startswith("Sample")


def table(language: str) -> dict[str, str]:
    source = (I18N / f"{language}.ts").read_text(encoding="utf-8")
    return dict(re.findall(r'^  "([^"]+)":\s*"((?:[^"\\]|\\.)*)",$', source, re.MULTILINE))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_the_editor_is_left_in_english(language: str) -> None:
    """All tables have the same keys by their types; here, that each is translated and fills the same gaps."""
    english = table("en")
    assert len(english) > 200
    gaps = re.compile(r"\{(\w+)(?:\|[^{}]*)?\}")
    for key, text in table(language).items():
        assert set(gaps.findall(english[key])) == set(gaps.findall(text)), key
        # One word may be the same in two languages ("Form"), a sentence is not.
        words = re.findall(r"[A-Za-z]{3,}", gaps.sub("", english[key]))
        assert text != english[key] or len(words) < 2, f"{key} is not translated: {text}"


def test_each_language_can_be_chosen_and_has_all_its_files() -> None:
    rows = re.findall(r'\{ id: "([\w-]+)"', (I18N / "languages.ts").read_text(encoding="utf-8"))
    assert sorted(rows) == sorted(["en", *LANGUAGES])
    for folder in (ROOT / "nodes" / "safelight_nodes" / "locale", ROOT / "workflows" / "locale"):
        assert sorted(file.stem for file in folder.glob("*.json")) == LANGUAGES


def choose_language(editor: Editor, label: str, language: str) -> None:
    """In the settings, as a user does."""
    editor.press("Control+,")
    editor.page.get_by_label(label).select_option(language)
    editor.page.keyboard.press("Escape")


def test_every_problem_has_a_chinese_title() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "problems.md").read_text(encoding="utf-8"), re.MULTILINE)
    source = (ROOT / "web" / "src" / "i18n" / "problems.zh.ts").read_text(encoding="utf-8")
    titles = re.findall(r'^  (\w+): "(.+)",$', source[source.index("export const titles") :], re.MULTILINE)
    assert sorted(code for code, _ in titles) == sorted(explained)
    assert not [title for _, title in titles if not re.search("[\u4e00-\u9fff]", title)]


def test_problems_have_a_chinese_title_above_what_the_server_says(chinese: Editor) -> None:
    chinese.open(graph({"empty": ("latent.empty", 0, 0), "save": ("image.save", 400, 0)}))
    chinese.press("Control+Enter")
    problem = chinese.node("save").locator(".node-problem")
    problem.wait_for()
    assert problem.locator("strong").inner_text() == "缺少必需的输入"
    assert re.search("[a-z]{3}", problem.inner_text()), "the message itself is the server's"
    chinese.press("e")
    chinese.page.locator(".problem-list", has_text="缺少必需的输入").wait_for()


def test_why_a_wire_does_not_fit_is_said_in_chinese(chinese: Editor) -> None:
    chinese.open(CHAIN)
    reason = chinese.page.locator(".reason")
    chinese.drag(chinese.output("sample.latent"), chinese.input("scale.image"), release=False)
    assert reason.inner_text() == "输出给出的是潜变量，而输入需要图片。请先解码。"
    chinese.page.mouse.up()
    chinese.drag(chinese.output("sample.latent"), chinese.input("sample.latent"), release=False)
    assert reason.inner_text() == "连线会形成循环。"
    chinese.page.mouse.up()
    assert (
        chinese.page.locator('[data-port="sample.latent"][data-side="output"]').get_attribute("title")
        == "潜变量: 潜变量"
    )


def test_no_sentence_stands_in_the_components() -> None:
    """Texts for people come from the tables: no words between tags, and none in the attributes that are read out."""
    found = []
    for path in sorted((ROOT / "web" / "src").rglob("*.tsx")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = re.findall(
                r'(?:aria-label|title|placeholder|alt)="([^"]*[a-z]{3}[^"]*)"|>([A-Z][a-z]+ [a-z ]+)<', line
            )
            found += [f"{path.name}:{number}: {pair[0] or pair[1]}" for pair in words]
    assert [line for line in found if not re.search(r"Safelight|Ctrl[+]|: \w+[.]\w+$", line)] == []


def test_a_change_of_theme_reaches_what_is_painted(editor: Editor) -> None:
    editor.open(CHAIN, zoom=0.25)
    page = editor.page
    editor.wait("document.querySelector('#canvas').dataset.far !== undefined")

    def ink() -> list[int]:
        place = editor.rect("sample")
        x, y = editor.at(place["x"] + place["w"] / 2, place["y"] + place["h"] - 20)
        script = """([x, y]) => {
            const canvas = document.querySelector('canvas.below');
            const ratio = canvas.width / canvas.clientWidth, box = canvas.getBoundingClientRect();
            return [...canvas.getContext('2d').getImageData((x - box.x) * ratio, (y - box.y) * ratio, 1, 1).data];
        }"""
        return page.evaluate(script, [x, y])

    dark = ink()
    page.evaluate("__safelight.app.setState(s => ({ preferences: { ...s.preferences, theme: 'light' } }))")
    editor.wait("document.documentElement.dataset.theme === 'light'")
    light = ink()
    for _ in range(100):  # the canvas is painted in the frames after
        if sum(light[:3]) > 600:
            break
        page.wait_for_timeout(50)
        light = ink()
    assert sum(dark[:3]) < 200, dark
    assert sum(light[:3]) > 600, light
