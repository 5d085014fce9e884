"""The HTML pages: self-contained, and safe whatever the text. What a browser does is in tests/browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from consentclf import Classifier, report
from consentclf.evaluation import html as evaluation_html
from consentclf.labels import LABELS

Run = Callable[..., Result]

HOSTILE = """<script>window.broken = 1</script>
</script><script>window.broken = 1</script>
</style><style>body{display:none}</style>
<img src=x onerror="window.broken = 1">
" onmouseover="window.broken = 1" x="
' autofocus onfocus='window.broken = 1
<!-- <script> --> ]]> <![CDATA[
&lt;script&gt;window.broken = 1&lt;/script&gt; &amp;
javascript:alert(1) [link](javascript:window.broken=1) {title} {0} %s ${x} `x`
\u202eright to left\u202c and \u2028 a line \ufeff\u200b end
A null \0 byte and an escape \x1b[31m
"""


class Tags(HTMLParser):
    """Every tag and attribute of a page, and the content of script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self.raw.append((self.cdata_elem, data))


def data_of(page: str) -> Any:
    stored = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert stored
    assert not set("<>&") & set(stored[1])
    return json.loads(stored[1])


def policy_of(tags: Tags) -> str:
    return next(
        a["content"] or ""
        for t, a in tags.found
        if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )


def check_self_contained(page: str, scripts: int) -> None:
    tags = Tags(page)
    names = [tag for tag, _ in tags.found]
    assert names.count("script") == scripts
    assert names.count("style") == 1
    assert not set(names) & {"img", "link", "iframe", "object", "embed", "form", "base", "audio", "video"}
    for _, attributes in tags.found:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("src", "style", "srcdoc", "action")
            if name == "href":
                assert (value or "").startswith("#")
    policy = policy_of(tags)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for kind, text in tags.raw:
        if not text.startswith("{"):
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy, kind


@pytest.mark.parametrize("text", ["", "One line.", HOSTILE, "a\udcff b"])
def test_a_page_is_self_contained_and_safe(classifier: Classifier, text: str) -> None:
    name = '"><script>window.broken = 1</script>.txt'
    page = report.page([(name, text), ("other.txt", text)], classifier)
    page.encode("utf-8")
    check_self_contained(page, scripts=2)
    stored = data_of(page)
    for document in stored["documents"]:
        assert [p["text"] for p in document["paragraphs"]] == [p.text for p in classifier.predict_text(text)]
        for p, expected in zip(document["paragraphs"], classifier.predict_text(text), strict=True):
            assert p["scores"] == [expected.scores[k] for k in LABELS]


def test_the_stored_reasons_add_up(classifier: Classifier, page_text: str) -> None:
    long = "Cookies and newsletters are what this shop sells, every day, to all of its readers. " * 20
    stored = data_of(report.page([("a", page_text + "\n\n" + long)], classifier))
    for paragraph in stored["documents"][0]["paragraphs"]:
        why = paragraph["why"]
        assert len(why["spans"]) <= report.MAX_SPANS
        spans = np.array([span[2:] for span in why["spans"]]).reshape(-1, 4).sum(axis=0)
        total = spans + np.array(list(why["parts"].values())).sum(axis=0)
        assert total.tolist() == pytest.approx(why["logits"], abs=0.02)


def test_a_limit_is_told(classifier: Classifier, page_text: str) -> None:
    page = report.page([("a", page_text), ("b", page_text)], classifier, limit=3)
    count = len(classifier.predict_text(page_text))
    assert page.count('<li class="p ') == 3
    assert f"{count - 3:,} more paragraphs are not shown" in page
    assert f"{count:,} more paragraphs are not shown" in page


def test_without_reasons_it_is_smaller(classifier: Classifier, page_text: str) -> None:
    full, slim = (report.page([("a", page_text)], classifier, explain=e) for e in (True, False))
    assert len(slim) < len(full)
    assert "why" not in data_of(slim)["documents"][0]["paragraphs"][0]


# -- the commands -------------------------------------------------------------------------------------------


def test_report_and_predict_write_the_same_page(
    run: Run, tmp_path: Path, page_text: str, small_model: Path
) -> None:
    (tmp_path / "page.txt").write_bytes(page_text.encode())
    out = tmp_path / "page.html"
    options = ["--model", small_model, "--mode", "recall", "--threshold", "consent=0.9"]
    result = run("report", tmp_path / "page.txt", "-o", out, *options)
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{out.stat().st_size:,} bytes" in result.stderr
    printed = run("predict", "--format", "html", tmp_path / "page.txt", *options).stdout
    assert printed.encode() == out.read_bytes()
    assert data_of(printed)["mode"] == "recall"
    assert data_of(printed)["floors"][LABELS.index("consent")] == 0.9


def test_one_file_that_cannot_be_read_does_not_stop_the_others(
    run: Run, tmp_path: Path, page_text: str
) -> None:
    (tmp_path / "page.txt").write_bytes(page_text.encode())
    result = run("report", tmp_path / "none.txt", tmp_path / "page.txt")
    assert result.exit_code == 2
    assert "no such file" in result.stderr
    assert '<li class="p ' in result.stdout
    result = run("report", tmp_path / "none.txt", "-o", tmp_path / "out.html")
    assert result.exit_code == 2
    assert not (tmp_path / "out.html").exists()


def test_evaluate_writes_a_page(run: Run, tmp_path: Path, corpus_file: Path, small_model: Path) -> None:
    curve = {str(f): {"figures": {"macro_f1": 0.5 + f / 3, "trained_on": 1000 * f}} for f in (0.25, 0.5, 1.0)}
    (tmp_path / "curve.json").write_text(json.dumps({"by_share_of_batches": curve}))
    out = tmp_path / "figures.html"
    result = run(
        "evaluate", corpus_file, "--model", small_model, "--html", out, "--curve", tmp_path / "curve.json"
    )
    assert result.exit_code == 0, result.stderr
    page = out.read_text()
    check_self_contained(page, scripts=0)
    for part in (
        "Confusion matrix",
        "Precision against recall",
        "Reliability",
        "Learning curve",
        "By language",
    ):
        assert part in page
    result = run("evaluate", corpus_file, "--model", small_model, "--curve", corpus_file, "--html", out)
    assert result.exit_code == 2
    assert "no learning curve" in result.stderr


def test_worst_errors_are_escaped_and_explained(run: Run, tmp_path: Path, small_model: Path) -> None:
    texts = [
        "Accept all cookies <script>window.broken=1</script>",
        "We use cookies",
        'Subscribe "now" & here',
    ]
    lines = [json.dumps({"text": text, "label": "article", "lang": "<b>en"}) for text in texts]
    (tmp_path / "wrong.jsonl").write_text("\n".join(lines))
    out = tmp_path / "figures.html"
    assert run("evaluate", tmp_path / "wrong.jsonl", "--model", small_model, "--html", out).exit_code == 0
    page = out.read_text()
    check_self_contained(page, scripts=0)
    assert "Worst errors" in page
    assert "Logit of consent" in page


def test_average_precision_is_scikit_learns() -> None:
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(3)
    score = np.round(rng.random(500), 2)
    positive = rng.random(500) < score
    recall, precision, average = evaluation_html.precision_recall(score, positive)
    assert average == pytest.approx(average_precision_score(positive, score))
    assert recall[-1] == 1
    assert precision[-1] == pytest.approx(positive.mean())
