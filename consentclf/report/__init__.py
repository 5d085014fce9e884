"""A page's labels as one self-contained HTML page, and what such pages share.

The text shown is a stranger's. It reaches the HTML through :func:`html.escape` or as JSON without a single
``<``, ``>`` or ``&``, and a content-security policy lets run no script and no style but the ones named by
their hash. There is no network: everything is in the file.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

from .. import __version__
from .. import text as _text
from ..classifier import MAX_PAGE, Classifier
from ..explain import Explanation
from ..labels import ARTICLE, BANNER, CONSENT, LABELS, MEANING, NAVIGATION

#: Paragraphs shown at the most: browsers grow slow on more.
MAX_PARAGRAPHS = 5_000
#: Spans of a paragraph that are stored, strongest first; the sum of the others is stored as one.
MAX_SPANS = 24
#: Order of the labels where space is shared out: what one keeps stands first.
ORDER = (ARTICLE, NAVIGATION, BANNER, CONSENT)


def page(
    texts: Iterable[tuple[str, str]],
    classifier: Classifier,
    limit: int = MAX_PARAGRAPHS,
    explain: bool = True,
) -> str:
    """The HTML page that shows how texts are labelled.

    Parameters
    ----------
    texts
        ``(name, text)`` of each page, such as a file's name and what is in it.
    classifier
        Labels them; its mode and thresholds are where the page's sliders start.
    limit
        Paragraphs shown of all texts together; the page says how many were left out.
    explain
        Store the reasons too. They make up most of the file.
    """
    documents = []
    room = limit
    for name, text in texts:
        document = _document(name, text, classifier, room, explain)
        room -= len(document["paragraphs"])
        documents.append(document)
    model = classifier.model
    floors = {**model.thresholds.get(classifier.mode, {}), **classifier.thresholds}
    data = {
        "labels": list(LABELS),
        "mode": classifier.mode,
        "floors": [floors.get(label, 0.0) for label in LABELS],
        "documents": [
            {"name": d["name"], "paragraphs": [_data(p) for p in d["paragraphs"]]} for d in documents
        ],
    }
    names = [d["name"] for d in documents]
    title = names[0] if len(names) == 1 else f"{len(names)} pages"
    body = _asset("page.html").format(
        title=_escape(title),
        chips="".join(_chip(label) for label in ORDER),
        keys="".join(f"<dt>{label}</dt><dd>{_escape(MEANING[label])}</dd>" for label in ORDER),
        documents="".join(_section(d, number, len(documents)) for number, d in enumerate(documents)),
        made=f"consentclf {_escape(__version__)}, model {_escape(model.digest[:12])}, mode "
        f"{_escape(classifier.mode)}",
    )
    return document_html(
        f"{title}, labelled", body, style=_asset("page.css"), script=_asset("page.js"), data=data
    )


def _document(name: str, text: str, classifier: Classifier, room: int, explain: bool) -> dict[str, Any]:
    spans = _text.split(text)
    paragraphs: list[dict[str, Any]] = []
    for begin in range(0, len(spans), MAX_PAGE):
        part = spans[begin : begin + MAX_PAGE]
        texts = [text[start:end] for start, end in part]
        if begin >= room:
            break
        labelled = classifier.predict_page(texts)
        # Reasons need the whole page; those of paragraphs that are not shown are dropped.
        reasons = classifier.explain_page(texts) if explain else [None] * len(texts)
        for (start, end), found, reason in zip(part, labelled, reasons, strict=True):
            before = text[spans[len(paragraphs) - 1][1] : start] if paragraphs else ""
            paragraphs.append({"found": found, "gap": before, "why": reason, "start": start, "end": end})
    return {"name": name, "paragraphs": paragraphs[: max(room, 0)], "total": len(spans)}


def _data(paragraph: Mapping[str, Any]) -> dict[str, Any]:
    found = paragraph["found"]
    out = {
        "text": found.text,
        "gap": paragraph["gap"][:1000],
        # Whole, so that the sliders decide as Python does where a score rounds to what is asked.
        "scores": [found.scores[label] for label in LABELS],
    }
    if paragraph["why"] is not None:
        out["why"] = reasons(paragraph["why"])
    return out


def reasons(explanation: Explanation) -> dict[str, Any]:
    """An explanation in short: its strongest spans, and the sums of everything else, in column order."""
    strength = {span.start: max(map(abs, span.weights.values())) for span in explanation.spans}
    shown = sorted(explanation.spans, key=lambda span: -strength[span.start])[:MAX_SPANS]
    parts = [explanation.parts(label, shown) for label in LABELS]
    return {
        "spans": [
            [span.start, span.end, *(round(span.weights[label], 3) for label in LABELS)]
            for span in sorted(shown, key=lambda span: span.start)
        ],
        "parts": {name: [round(part[name], 3) for part in parts] for name in parts[0]},
        "logits": [round(explanation.logits[label], 3) for label in LABELS],
    }


def _section(document: Mapping[str, Any], number: int, count: int) -> str:
    paragraphs = document["paragraphs"]
    items = "".join(_item(p, number, i) for i, p in enumerate(paragraphs))
    left = document["total"] - len(paragraphs)
    note = f'<p class="note">{left:,} more paragraphs are not shown; --limit shows more.</p>' if left else ""
    if not document["total"]:
        note = '<p class="note">No paragraph: the text is empty.</p>'
    heading = f"<h2>{_escape(document['name'])}</h2>" if count > 1 else ""
    return f'<section>{heading}<ol class="page" aria-label="Paragraphs">{items}</ol>{note}</section>'


def _item(paragraph: Mapping[str, Any], document: int, index: int) -> str:
    found = paragraph["found"]
    return (
        f'<li class="p {found.label}" data-d="{document}" data-i="{index}" tabindex="-1">'
        f'<span class="margin"><span class="name">{found.label}</span> '
        f'<span class="score">{found.score:.2f}</span></span>'
        f'<p class="text" dir="auto">{_escape(found.text)}</p></li>\n'
    )


def _chip(label: str) -> str:
    return (
        f'<label class="chip {label}"><input type="checkbox" class="filter" value="{label}" checked>'
        f'<span class="dot"></span>{label} <output class="count" data-label="{label}"></output></label>'
    )


# ---------------------------------------------------------------------------------------------------------
# What all pages share.


def document_html(title: str, body: str, style: str = "", script: str = "", data: Any = None) -> str:
    """A whole HTML document that carries its style, script and data, and may load and run nothing else."""
    style = _asset("base.css") + style
    stored = (
        "" if data is None else f'<script type="application/json" id="data">{script_json(data)}</script>\n'
    )
    code = f"<script>{script}</script>\n" if script else ""
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'" if script else "script-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n{body}{stored}{code}</body>\n</html>\n"
    )


def script_json(data: Any) -> str:
    """JSON that is safe inside a script element: without ``<``, ``>`` and ``&`` nothing ends or opens one."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _escape(text: str) -> str:
    """Text for HTML, between tags or in a quoted attribute; what UTF-8 cannot hold becomes U+FFFD."""
    clean = text.encode("utf-8", "replace").decode() if not text.isprintable() else text
    return html.escape(clean.replace("\0", "\ufffd"), quote=True)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _asset(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def ordered(labels: Iterable[str] = ORDER) -> Sequence[str]:
    """Labels in the order pages show them."""
    return [label for label in ORDER if label in set(labels)]
