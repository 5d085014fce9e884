"""Everything measured as one self-contained HTML page: tables, pictures, and the worst errors explained."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import report as _report
from ..classifier import Classifier
from ..explain import Explanation
from ..labels import ARTICLE, LABELS
from . import metrics
from .datasets import Dataset
from .measure import Calls

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

#: Errors shown of a dataset.
WORST = 20
#: Stages of our own; all others are baselines.
STAGES = {"first": "each paragraph alone", "page": "with its page"}
_ARTICLE = LABELS.index(ARTICLE)
#: Points of a curve at the most.
_POINTS = 240
#: Width, height and margin of a picture, in its own units.
_W, _H, _M = 360, 300, 54
_HEAT = (
    ("macro_f1", "macro-F1", 0.5),
    ("accuracy", "right", 0.5),
    ("article_precision", "article P", 0.5),
    ("article_recall", "article R", 0.5),
    ("main_f1", "main text F1", 0.5),
    ("consent_recall", "consent R", 0.5),
)
_HEADLINES = (
    ("macro_f1", "macro-F1"),
    ("accuracy", "paragraphs right"),
    ("main_f1", "main text F1 by characters"),
    ("article_loss_chars", "article lost, by characters"),
    ("consent_recall", "consent recall"),
    ("consent_leak", "consent called article"),
)
_STYLE = """
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;margin:.5rem 0}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}
td.heat+td,th+th{white-space:nowrap}tr:first-child th{white-space:normal;vertical-align:bottom}
figure table{font-size:.8rem}figure th,figure td{padding:.25rem .3rem}figure tr:first-child th{white-space:nowrap}
th{font-weight:600;color:var(--soft)}
.wide{overflow-x:auto}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:1.5rem}
figure{margin:0;min-width:0}figcaption{font-size:.9rem;color:var(--soft);margin-top:.3rem}
figure svg{width:100%;max-width:30rem;height:auto;background:var(--raised);border:1px solid var(--line);
border-radius:8px}
svg text{fill:var(--soft);font-size:11px}
svg .axis{stroke:var(--line);stroke-width:1}svg .ideal{stroke:var(--soft);stroke-dasharray:3 4;fill:none}
svg .curve{fill:none;stroke:var(--c);stroke-width:2}svg .dot{fill:var(--c)}
svg .column{fill:var(--navigation);opacity:.75}svg .size{fill:var(--line)}
svg .l1{stroke-dasharray:7 3}svg .l2{stroke-dasharray:2 3}svg .l3{stroke-dasharray:9 3 2 3}
.key{display:flex;flex-wrap:wrap;gap:.1rem 1rem;list-style:none;padding:0;margin:.3rem 0 0;font-size:.85rem}
.key li::before{content:"";display:inline-block;width:1.4em;border-top:3px solid var(--c);margin-right:.4em;
vertical-align:middle}
td.heat{border:2px solid var(--ground)}
.errors{list-style:none;padding:0}
.errors li{padding:.6rem .8rem;margin:.5rem 0;background:var(--raised);border:1px solid var(--line);
border-left:5px solid var(--bad);border-radius:4px}
.errors blockquote{margin:.2rem 0;white-space:pre-wrap;overflow-wrap:anywhere}
.errors p{margin:.2rem 0;font-size:.9rem;color:var(--soft);overflow-wrap:anywhere}
.tag{color:var(--c);font-weight:600}
nav ul{columns:2;padding-left:1.2rem}
@media(max-width:36rem){nav ul{columns:1}}
""" + "".join(
    f".q{i}{{background:color-mix(in srgb,var(--bad) {5 * i}%,var(--article-tint) {100 - 5 * i}%)}}"
    for i in range(11)
)


@dataclass(frozen=True)
class Entry:
    """A dataset, what each classifier called its paragraphs, and the report made of it."""

    dataset: Dataset
    stages: Mapping[str, Calls]
    report: Mapping[str, Any]


def page(
    entries: Sequence[Entry],
    classifier: Classifier | None,
    about: str,
    curve: Mapping[str, Any] | None = None,
    explained: str = "",
) -> str:
    """The HTML page.

    Parameters
    ----------
    entries
        What was measured.
    classifier
        Explains the worst errors; without it they are shown unexplained, and ``explained`` may say why.
    about
        What was measured by what, in one line.
    curve
        ``by_share_of_batches`` of a run with ``--learning-curve``: share -> report.
    """
    parts = [f'<header><h1>How well the labels fit</h1><p class="note">{_e(about)}</p></header>']
    if len(entries) > 1:
        links = "".join(
            f'<li><a href="#d{i}">{_e(entry.dataset.name)}</a></li>' for i, entry in enumerate(entries)
        )
        parts.append(f"<nav><ul>{links}</ul></nav>")
    parts.append(_learning_curve(curve))
    for i, entry in enumerate(entries):
        parts.append(f'<section id="d{i}">{_dataset(entry, classifier, explained)}</section>')
    style = _STYLE + "a{color:var(--focus)}"
    return _report.document_html("consentclf evaluation", "\n".join(parts), style=style)


def _dataset(entry: Entry, classifier: Classifier | None, explained: str) -> str:
    dataset, report = entry.dataset, entry.report
    last = [name for name in STAGES if name in entry.stages][-1]
    calls = entry.stages[last]
    measured = report["stages"][last]
    facts = f"{len(dataset.texts):,} paragraphs"
    facts += f" on {len(dataset.sizes):,} pages" if dataset.paged else ", each by itself"
    facts += f"; gold: {report['gold']}; SHA-256 {report['sha256'][:16]}"
    parts = [f'<h2>{_e(dataset.name)}</h2><p class="note">{_e(facts)}</p>']
    parts += [f'<p class="note">{_e(note)}</p>' for note in report["notes"]]
    parts.append(_headlines(report["stages"]))
    title = STAGES[last]
    parts.append(f'<div class="pictures">{_confusion(measured["confusion"], title)}')
    if calls.scores is not None:
        parts.append(_precision_recall(dataset, calls.scores, title))
    if "calibration" in measured:
        parts.append(_reliability(measured["calibration"], title))
    parts.append("</div>")
    parts += [_heat(name, rows, title) for name, rows in measured["by"].items()]
    parts.append(_worst(dataset, calls, classifier, last, explained))
    return "\n".join(parts)


def _headlines(stages: Mapping[str, Any]) -> str:
    rows = []
    for figure, name in _HEADLINES:
        values = [stage["figures"].get(figure) for stage in stages.values()]
        if any(_known(value) for value in values):
            rows.append([name, *(_cell(stages[s], figure) for s in stages)])
    errors = [stage.get("calibration", {}).get("ece") for stage in stages.values()]
    rows.append(["expected calibration error", *(_number(error) for error in errors)])
    return _table(["", *(STAGES.get(name, name) for name in stages)], rows)


def _cell(stage: Mapping[str, Any], figure: str) -> str:
    shown = _number(stage["figures"].get(figure))
    interval = stage.get("intervals", {}).get(figure)
    return shown + (f" [{_number(interval[0])}, {_number(interval[1])}]" if interval else "")


# -- pictures -----------------------------------------------------------------------------------------------


def _confusion(table: Sequence[Sequence[int]], title: str) -> str:
    names = metrics.CLASSES
    counts = np.array(table)
    rows = [i for i in range(len(names)) if counts[i].sum()]
    columns = [j for j in range(len(names)) if j < len(LABELS) or counts[:, j].sum()]
    lines = []
    for i in rows:
        cells = [f"<th>{names[i]}</th>"]
        for j in columns:
            share = counts[i, j] / counts[i].sum()
            # Right is good and wrong is bad, so the colour runs the other way beside the diagonal.
            step = round(10 * (1 - share)) if i == j else min(10, math.ceil(25 * share))
            tone = "" if i == metrics.OTHER else f' class="heat q{step}"'
            cells.append(f"<td{tone}>{counts[i, j]:,}<br>{_percent(share)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{names[j]}</th>" for j in columns)
    return (
        f'<figure><div class="wide"><table><tr><th></th>{head}</tr>{"".join(lines)}</table></div>'
        f"<figcaption>Confusion matrix, {title}: a row for each true label, a column for each label given; "
        "paragraphs, and their share of the row.</figcaption></figure>"
    )


def precision_recall(score: F64, positive: NDArray[np.bool_]) -> tuple[F64, F64, float]:
    """Recall and precision at every threshold, and average precision as scikit-learn defines it."""
    order = np.argsort(-score, kind="stable")
    score, positive = score[order], positive[order]
    hits = np.cumsum(positive)
    last = np.append(score[1:] != score[:-1], True)  # paragraphs of equal score pass a threshold together
    precision = (hits / np.arange(1, len(score) + 1))[last]
    recall = (hits / max(int(positive.sum()), 1))[last]
    average = float(np.sum(np.diff(np.concatenate(([0.0], recall))) * precision))
    return recall, precision, average


def _precision_recall(dataset: Dataset, scores: F64, title: str) -> str:
    measured = dataset.gold != metrics.LEFT_OUT
    curves, keys = [], []
    for k, label in enumerate(LABELS):
        positive = dataset.gold[measured] == k
        if not positive.any() or not (dataset.four or k == _ARTICLE):
            continue
        recall, precision, average = precision_recall(scores[measured, k], positive)
        chosen = np.unique(np.linspace(0, len(recall) - 1, min(_POINTS, len(recall))).astype(int))
        points = " ".join(f"{_x(recall[i]):.1f},{_y(precision[i]):.1f}" for i in chosen)
        curves.append(f'<g class="{label}"><polyline class="curve l{k}" points="{points}"/></g>')
        keys.append(f'<li class="{label}">{label} {average:.3f}</li>')
    return (
        f"<figure>{_frame('recall', 'precision', ''.join(curves), 'Precision-recall curves')}"
        f'<ul class="key">{"".join(keys)}</ul>'
        f"<figcaption>Precision against recall of each label, {title}; the figure is average precision."
        "</figcaption></figure>"
    )


def _reliability(calibration: Mapping[str, Any], title: str) -> str:
    bins = calibration["table"]
    most = max((b["paragraphs"] for b in bins), default=1)
    shapes = [f'<line class="ideal" x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}"/>']
    for b in bins:
        left, right = _x(b["from"]) + 2, _x(b["to"]) - 2
        size = _y(0) - (_y(0) - _y(0.25)) * b["paragraphs"] / most
        tip = f"{b['paragraphs']:,} paragraphs, mean score {b['score']:.3f}, right {b['right']:.3f}"
        shapes.append(
            f"<g><title>{tip}</title>"
            f'<rect class="column" x="{left:.1f}" y="{_y(b["right"]):.1f}" width="{right - left:.1f}"'
            f' height="{max(0, _y(0) - _y(b["right"])):.1f}"/>'
            f'<rect class="size" x="{left + 4:.1f}" y="{size:.1f}" width="{max(0, right - left - 8):.1f}"'
            f' height="{max(0, _y(0) - size):.1f}"/></g>'
        )
    return (
        f"<figure>{_frame('score of the label given', 'share right', ''.join(shapes), 'Reliability diagram')}"
        f"<figcaption>Reliability, {title}: where columns end on the dashed line, scores are what they say. "
        f"The inner columns show how many paragraphs. Expected calibration error {calibration['ece']:.4f}."
        "</figcaption></figure>"
    )


def _learning_curve(curve: Mapping[str, Any] | None) -> str:
    if not curve or len(curve) < 2:
        return ""
    points = []
    for share, report in sorted(curve.items(), key=lambda item: float(item[0])):
        figures = report["figures"]
        points.append((float(share), figures.get("trained_on"), figures["macro_f1"]))
    low = math.floor(20 * min(p[2] for p in points)) / 20
    low = min(low, 0.95)
    most = _round_up(max(p[1] or p[0] for p in points))
    place = [(_x((p[1] or p[0]) / most), _y((p[2] - low) / (1 - low))) for p in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
    marks = "".join(
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        f'<text x="{min(x, _x(0.96)):.1f}" y="{y - 9:.1f}" text-anchor="middle">{p[2]:.3f}</text>'
        for (x, y), p in zip(place, points, strict=True)
    )
    shapes = f'<g class="article"><polyline class="curve" points="{line}"/>{marks}</g>'
    rows = [[f"{p[0]:.0%}", f"{p[1]:,.0f}" if p[1] else "-", _number(p[2])] for p in points]
    return (
        '<section><h2>Learning curve</h2><div class="pictures"><figure>'
        + _frame("rows trained on", "macro-F1", shapes, "Learning curve", (low, 1.0), (0, most))
        + "<figcaption>Macro-F1 of paragraphs of batches the model never saw, each judged alone, by how much "
        "of the authored data it was trained on.</figcaption></figure>"
        + _table(["share of batches", "rows trained on", "macro-F1"], rows)
        + "</div></section>"
    )


def _round_up(value: float) -> float:
    """The next value that five even steps reach with round numbers."""
    step = 10.0 ** math.floor(math.log10(value))
    return next(k * step for k in (1, 2, 2.5, 5, 10) if k * step >= value)


def _x(value: float) -> float:
    return _M + value * (_W - _M - 20)


def _y(value: float) -> float:
    return _H - _M + value * (12 - _H + _M)


def _frame(
    across: str,
    up: str,
    shapes: str,
    name: str,
    rise: tuple[float, float] = (0, 1),
    run: tuple[float, float] = (0, 1),
) -> str:
    """An SVG picture with both axes from 0 to 1, or labelled otherwise."""
    grid = []
    for i in range(6):
        v = i / 5
        y_text = f"{rise[0] + v * (rise[1] - rise[0]):.2f}"
        at = run[0] + v * (run[1] - run[0])
        x_text = f"{at:.1f}" if run[1] <= 1 else f"{at / 1000:.0f}k"
        grid.append(
            f'<line class="axis" x1="{_x(v):.1f}" y1="{_y(0)}" x2="{_x(v):.1f}" y2="{_y(1)}"/>'
            f'<line class="axis" x1="{_x(0)}" y1="{_y(v):.1f}" x2="{_x(1)}" y2="{_y(v):.1f}"/>'
            f'<text x="{_x(v):.1f}" y="{_y(0) + 15}" text-anchor="middle">{x_text}</text>'
            f'<text x="{_x(0) - 5}" y="{_y(v) + 4:.1f}" text-anchor="end">{y_text}</text>'
        )
    middle = (_y(0) + _y(1)) / 2
    return (
        f'<svg viewBox="0 0 {_W} {_H}" role="img" aria-label="{_e(name)}">{"".join(grid)}{shapes}'
        f'<text x="{_x(0.5):.1f}" y="{_H - 10}" text-anchor="middle">{_e(across)}</text>'
        f'<text x="12" y="{middle:.1f}" text-anchor="middle" transform="rotate(-90 12 {middle:.1f})">{_e(up)}'
        "</text></svg>"
    )


def _heat(name: str, rows: Mapping[str, Mapping[str, float]], title: str) -> str:
    columns = [
        (figure, heading, worst)
        for figure, heading, worst in _HEAT
        if any(_known(row.get(figure)) for row in rows.values())
        # A kind of single paragraphs belongs to one label: beside the share that is right nothing is defined.
        and not (
            name == "kind" and (figure == "macro_f1" or (figure != "accuracy" and ": " in next(iter(rows))))
        )
    ]

    def order(item: tuple[str, Mapping[str, float]]) -> tuple[float, str]:
        key, row = item
        return float(key.rstrip("+").partition("-")[0]) if name == "length" else -row["paragraphs"], key

    lines = []
    for key, row in sorted(rows.items(), key=order):
        cells = [f"<th>{_e(key)}</th><td>{row['paragraphs']:,.0f}</td>"]
        for figure, _, worst in columns:
            value = row.get(figure)
            if value is None or not _known(value):
                cells.append("<td>-</td>")
                continue
            step = round(10 * min(1.0, max(0.0, (1 - value) / (1 - worst))))
            cells.append(f'<td class="heat q{step}">{value:.3f}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{heading}</th>" for _, heading, _ in columns)
    return (
        f'<h3>By {_e(name)}, {title}</h3><div class="wide"><table>'
        f"<tr><th>{_e(name)}</th><th>paragraphs</th>{head}</tr>{''.join(lines)}</table></div>"
    )


# -- errors -------------------------------------------------------------------------------------------------


def _worst(dataset: Dataset, calls: Calls, classifier: Classifier | None, stage: str, explained: str) -> str:
    measured = dataset.gold != metrics.LEFT_OUT
    if dataset.four:
        wrong = measured & (calls.called != dataset.gold)
    else:
        wrong = measured & ((calls.called == _ARTICLE) != (dataset.gold == _ARTICLE))
    found = np.flatnonzero(wrong)
    count = int(measured.sum())
    if not len(found):
        return f"<h3>Errors</h3><p>None in {count:,} paragraphs.</p>"
    score = np.zeros(len(found))
    if calls.scores is not None:
        score = calls.scores[found, np.minimum(calls.called[found], len(LABELS) - 1)]
    found = found[np.argsort(-score, kind="stable")][:WORST]
    reasons = _reasons(dataset, found, classifier, stage)
    items = []
    for i in found.tolist():
        given, true = metrics.CLASSES[calls.called[i]], metrics.CLASSES[dataset.gold[i]]
        sure = f" {calls.scores[i, calls.called[i]]:.3f}" if calls.scores is not None else ""
        where = ", ".join(_e(x) for x in (dataset.lang[i], dataset.kind[i]) if x)
        text = dataset.texts[i]
        items.append(
            f'<li><p><span class="tag {given}">{given}{sure}</span>, but it is '
            f'<span class="tag {true}">{true}</span>{f" ({where})" if where else ""}</p>'
            f'<blockquote dir="auto">{_e(text[:600])}{"…" if len(text) > 600 else ""}</blockquote>'
            f"{_why(reasons[i], given, true) if i in reasons else ''}</li>"
        )
    note = f'<p class="note">{_e(explained)}</p>' if explained else ""
    return (
        f"<h3>Worst errors</h3><p>{int(wrong.sum()):,} of {count:,} paragraphs are wrong; these "
        f"{len(found)} most confidently so.</p>{note}<ol class='errors'>{''.join(items)}</ol>"
    )


def _reasons(
    dataset: Dataset, found: I64, classifier: Classifier | None, stage: str
) -> dict[int, Explanation]:
    if classifier is None:
        return {}
    if stage != "page":
        return {i: classifier.explain(dataset.texts[i]) for i in found.tolist()}
    ends = np.cumsum(dataset.sizes)
    out: dict[int, Explanation] = {}
    for page_number in np.unique(np.searchsorted(ends, found, side="right")).tolist():
        end = int(ends[page_number])
        begin = end - dataset.sizes[page_number]
        explanations = classifier.explain_page(dataset.texts[begin:end])
        out.update({i: explanations[i - begin] for i in found.tolist() if begin <= i < end})
    return out


def _why(found: Explanation, given: str, true: str) -> str:
    if given not in found.logits:
        return ""
    lines = [f"For {given}: {_words(found, given)}"]
    if true in found.logits:
        lines.append(f"For {true}: {_words(found, true)}")
    parts = found.parts(given)
    names = {"other words": "words", "start": "start", "page": "page around"}
    terms = ", ".join(
        f"{names.get(name, name)} {value:+.2f}" for name, value in parts.items() if abs(value) >= 0.005
    )
    lines.append(f"Logit of {given} {found.logits[given]:+.2f} = {_e(terms)}")
    return "".join(f"<p>{line}</p>" for line in lines)


def _words(found: Explanation, label: str) -> str:
    top = [f"{_e(span.text[:40])} {span.weights[label]:+.2f}" for span in found.top(label, 4)]
    return " · ".join(top) or "no word"


# -- small things -------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{_e(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table><tr>{"".join(f"<th>{_e(h)}</th>" for h in head)}</tr>{lines}</table></div>'
    )


def _known(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


def _number(value: float | None) -> str:
    return f"{value:.3f}" if value is not None and not math.isnan(value) else "-"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _e(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode(), quote=True)
