"""The report in a real browser: Chromium, headless, through Playwright.

``apt-get install chromium`` and ``pip install 'consentclf[browser]'``; CHROMIUM names another binary. Where
either is missing these tests are skipped, and say so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_report import HOSTILE

from consentclf import Classifier, report
from consentclf.labels import LABELS

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
try:
    from playwright.sync_api import Page, sync_playwright
except ImportError:
    pytest.skip("NOT TESTED IN A BROWSER: pip install playwright", allow_module_level=True)
if CHROMIUM is None:
    pytest.skip("NOT TESTED IN A BROWSER: no chromium on this machine", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path, classifier: Classifier) -> Iterator[Open]:
    """Open the report of a text; afterwards nothing was asked of the network, and nothing went wrong."""
    contexts, trouble = [], []

    def call(
        text: str, name: str = "page.txt", width: int = 1280, scheme: str = "light", **options: Any
    ) -> Page:
        path = tmp_path / "page.html"
        path.write_text(report.page([(name, text)], options.pop("using", classifier)), encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda r: trouble.append(r.url) if not r.url.startswith("file:") else None)
        page.goto(path.as_uri())
        return page

    yield call
    for context in contexts:
        context.close()
    assert [line for line in trouble if "violates the following Content Security Policy" not in line] == []


def slide(page: Page, name: str, value: float) -> None:
    page.eval_on_selector(
        f"#{name}", "(node, value) => { node.value = value; node.dispatchEvent(new Event('input')); }", value
    )


def labels_of(page: Page) -> list[str]:
    return [node.inner_text().removeprefix("✕ ") for node in page.query_selector_all("li.p .name")]


def test_paragraphs_in_order_with_label_and_score(show: Open, classifier: Classifier, page_text: str) -> None:
    page = show(page_text)
    expected = classifier.predict_text(page_text)
    assert [n.text_content() for n in page.query_selector_all("li.p .text")] == [p.text for p in expected]
    assert labels_of(page) == [p.label for p in expected]
    assert [n.inner_text() for n in page.query_selector_all("li.p .score")] == [
        f"{p.score:.2f}" for p in expected
    ]
    for label in LABELS:
        count = page.inner_text(f'.count[data-label="{label}"]')
        assert int(count) == sum(p.label == label for p in expected)
    kept = sum(len(p.text) for p in expected if p.label == "article")
    assert f"{kept:,} of {sum(len(p.text) for p in expected):,} characters" in page.inner_text("#lead")
    widths = page.eval_on_selector_all("#bar rect", "nodes => nodes.map(n => +n.getAttribute('width'))")
    assert sum(widths) == pytest.approx(1000)


def test_filters_hide_a_label(show: Open, page_text: str) -> None:
    page = show(page_text)
    page.get_by_text("navigation", exact=False).first.wait_for()
    page.click("label.chip.navigation")
    assert page.query_selector_all("li.p.navigation:visible") == []
    assert page.query_selector_all("li.p.article:visible") != []
    page.focus('input.filter[value="navigation"]')
    page.keyboard.press("Space")
    assert page.query_selector_all("li.p.navigation:visible") != []


@pytest.mark.parametrize("drop", [0.0, 0.35, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("keep", [None, 0.5, 0.95])
def test_sliders_decide_as_the_library_does(
    show: Open, classifier: Classifier, page_text: str, drop: float, keep: float | None
) -> None:
    page = show(page_text)
    slide(page, "drop", drop)
    asked = dict.fromkeys(LABELS[1:], drop)
    if keep is not None:
        slide(page, "keep", keep)
        asked["article"] = keep
    there = classifier.with_mode(thresholds=asked)
    assert labels_of(page) == [p.label for p in there.predict_text(page_text)]
    assert page.input_value("#kept") == there.clean(page_text).replace("\r\n", "\n")
    assert f"--threshold {drop:.2f}" in page.inner_text("#command")


def test_sliders_start_at_the_mode_and_come_back(show: Open, classifier: Classifier, page_text: str) -> None:
    strict = classifier.with_mode(thresholds={"article": 0.99})
    page = show(page_text, using=strict)
    before = labels_of(page)
    assert before == [p.label for p in strict.predict_text(page_text)]
    slide(page, "keep", 0)
    slide(page, "drop", 1)
    loose = classifier.with_mode(thresholds={**dict.fromkeys(LABELS, 1.0), "article": 0.0})
    assert labels_of(page) == [p.label for p in loose.predict_text(page_text)] != before
    page.click("#reset")
    assert labels_of(page) == before


def test_kept_text_is_copied(show: Open, classifier: Classifier, page_text: str) -> None:
    page = show(page_text, permissions=["clipboard-read", "clipboard-write"])
    page.click("#copy")
    page.wait_for_function("document.getElementById('copied').textContent")
    assert page.inner_text("#copied") == "Copied."
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.replace("\r\n", "\n") == classifier.clean(page_text).replace("\r\n", "\n")


def test_reasons_on_hover_and_on_focus(show: Open, classifier: Classifier, page_text: str) -> None:
    page = show(page_text)
    expected = classifier.explain_page([p.text for p in classifier.predict_text(page_text)])
    items = page.query_selector_all("li.p")
    items[2].hover()
    assert f"Why {expected[2].label}?" in page.inner_text("#why")
    logit = expected[2].logits[expected[2].label]
    assert f"{abs(logit):.2f}" in page.inner_text("#why tr.sum")
    assert page.query_selector_all("li.p:nth-child(3) mark") != []
    assert items[2].query_selector(".text").text_content() == expected[2].text  # type: ignore[union-attr]
    page.mouse.move(0, 0)
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.dataset.i")
    assert f"Why {expected[int(focused)].label}?" in page.inner_text("#why")
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.dataset.i") == str(len(expected) - 1)
    page.keyboard.press("Escape")
    assert page.query_selector_all("mark") == []


def test_offsets_hold_beyond_the_basic_plane(show: Open, classifier: Classifier) -> None:
    text = "🍪🍪 Accept all 𝒞ookies 🍪 and subscribe"
    page = show(text)
    page.keyboard.press("j")
    marked = [node.text_content() for node in page.query_selector_all("mark")]
    spans = {span.text for span in classifier.explain_page([text])[0].spans}
    assert marked
    assert set(marked) <= spans


def test_the_tab_key_reaches_everything(show: Open, page_text: str) -> None:
    page = show(page_text)
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    joined = " ".join(map(str, reached))
    for stop in ("filter", "drop", "keep", "reset", "p ", "copy", "kept"):
        assert stop in joined


def test_hostile_text_is_only_text(show: Open, classifier: Classifier) -> None:
    page = show(
        HOSTILE, name='"><img src=x onerror="window.broken=1"></title><script>window.broken=1</script>'
    )
    slide(page, "drop", 1)
    for _ in range(12):
        page.keyboard.press("j")
    page.wait_for_timeout(200)
    assert page.evaluate("window.broken") is None
    assert page.evaluate("document.querySelectorAll('img, iframe, link').length") == 0
    assert page.evaluate("document.scripts.length") == 2
    texts = [p.text for p in classifier.predict_text(HOSTILE)]
    shown = page.eval_on_selector_all("li.p .text", "nodes => nodes.map(n => n.textContent)")
    assert [t.replace("\ufffd", "\0") for t in shown] == texts
    assert page.is_visible("li.p")


def test_injected_script_would_not_run(show: Open, page_text: str) -> None:
    page = show(page_text)
    allowed = page.evaluate(
        """() => new Promise(done => {
            document.addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
            const node = document.createElement('script');
            node.textContent = 'window.broken = 1';
            document.body.append(node);
            setTimeout(() => done('ran'), 500);
        })"""
    )
    assert allowed.startswith("script-src")
    assert page.evaluate("window.broken") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_overflows_and_text_can_be_read(
    show: Open, page_text: str, tmp_path: Path, scheme: str, width: int
) -> None:
    page = show(page_text + "\n\n" + "unbroken" * 60, width=width, scheme=scheme)
    page.keyboard.press("j")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot = page.screenshot(path=tmp_path / f"{scheme}-{width}.png")
    assert len(shot) > 10_000
    ratios = page.evaluate(
        """() => {
            const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
            const rgb = colour => {
                canvas.clearRect(0, 0, 1, 1);
                canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
                return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
            };
            const light = colour => rgb(colour).map(v => v / 255)
                .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
                .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
            return [...document.querySelectorAll('li.p')].flatMap(item =>
                [...item.querySelectorAll('.text, .name, .score')].map(node => {
                    const a = light(getComputedStyle(node).color);
                    const b = light(getComputedStyle(item).backgroundColor);
                    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
                }));
        }"""
    )
    assert min(ratios) >= 4.5  # WCAG AA


def test_without_javascript_it_still_reads(show: Open, classifier: Classifier, page_text: str) -> None:
    page = show(page_text, java_script_enabled=False)
    assert page.locator("li.p").count() == len(classifier.predict_text(page_text))
    assert page.locator("noscript").count() == 1
