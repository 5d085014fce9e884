"""The datatrove steps in a real local executor with two tasks."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from conftest import PAGE, ROWS

pytest.importorskip("datatrove")
pytestmark = pytest.mark.filterwarnings("ignore")  # the host's own

from datatrove.data import Document  # noqa: E402
from datatrove.executor import LocalPipelineExecutor  # noqa: E402
from datatrove.pipeline.readers import JsonlReader  # noqa: E402
from datatrove.pipeline.writers.jsonl import JsonlWriter  # noqa: E402

from consentclf.integrations.datatrove import ConsentAnnotator, ConsentCleaner, ConsentFilter  # noqa: E402

DROPPED = "\n".join(ROWS["consent"][1:4:2])  # shorter than any limit below


def page(number: int) -> str:
    return "\n".join(ROWS[label][(i + number) % 12] for label, i in PAGE)


def read(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(folder.rglob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            row = json.loads(line)
            assert row["id"] not in found
            found[row["id"]] = row
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for file in range(4):
        with open(folder / f"{file}.jsonl", "w", encoding="utf-8") as out:
            for i in range(20):
                text = DROPPED if i % 5 == 0 else page(i)
                out.write(json.dumps({"id": f"{file}-{i}", "text": text}, ensure_ascii=False) + "\n")
    return folder


@pytest.mark.parametrize("workers", [1, 2])
def test_local_executor_with_two_tasks(
    source: Path, small_model: Path, classifier: Any, tmp_path: Path, workers: int
) -> None:
    model = str(small_model)
    out = tmp_path / "out"
    executor = LocalPipelineExecutor(
        [
            JsonlReader(str(source)),
            ConsentAnnotator(model=model),
            JsonlWriter(str(out / "annotated")),
            ConsentFilter(min_chars=60, model=model, exclusion_writer=JsonlWriter(str(out / "excluded"))),
            JsonlWriter(str(out / "cleaned")),
        ],
        tasks=2, workers=workers, logging_dir=str(out / "logs"), start_method="spawn",
    )  # fmt: skip
    executor.run()
    annotated, cleaned, excluded = (read(out / name) for name in ("annotated", "cleaned", "excluded"))
    assert len(annotated) == 80
    assert annotated["0-1"]["text"] == page(1)
    labels = annotated["0-1"]["metadata"]["consentclf"]
    expected = classifier.predict_text(page(1))
    assert [(p["start"], p["end"], p["label"]) for p in labels] == [
        (p.start, p.end, p.label) for p in expected
    ]

    assert len(excluded) == 16
    assert cleaned.keys() | excluded.keys() == annotated.keys()
    assert not cleaned.keys() & excluded.keys()
    for name, row in cleaned.items():
        assert row["text"] == classifier.clean(annotated[name]["text"])
        assert "consentclf" not in row["metadata"]  # its offsets would be those of another text
    for row in excluded.values():
        assert row["metadata"]["filter_reason"] == "consentclf_too_short"
        assert row["text"] == DROPPED

    stats = json.loads((out / "logs" / "stats.json").read_text("utf-8"))
    by_step = {step["name"].split(" ", 1)[-1]: step["stats"] for step in stats}
    step = next(value for key, value in by_step.items() if "FILTER" in key)
    counted = {name: value if isinstance(value, int) else value["total"] for name, value in step.items()}
    assert counted["total"] == 80
    assert counted["dropped_consentclf_too_short"] == len(excluded)
    assert counted["paragraphs_consent"] > 0


def test_cleaner_with_pairs(small_model: Path, classifier: Any) -> None:
    def clean(**options: Any) -> str:
        step = ConsentCleaner(model=str(small_model), **options)
        (document,) = step.run(iter([Document(page(1), "x")]))
        return str(document.text)

    paragraphs = classifier.predict_text(page(1))
    sure = [p.text for p in paragraphs if p.scores["consent"] < 0.9]
    assert clean(remove_labels=("consent", 0.9)).split("\n") == sure
    both = [p.text for p in paragraphs if p.scores["article"] >= 0.2 or p.scores["banner"] >= 0.5]
    assert clean(keep_labels=[("article", 0.2), ("banner", 0.5)]).split("\n") == both
    assert clean() == classifier.clean(page(1))


def test_steps_pickle_small_and_load_late(small_model: Path) -> None:
    step = ConsentFilter(model=str(small_model))
    assert step.labels._classifier is None
    step.filter(Document(page(1), "x"))
    assert step.labels._classifier is not None
    data = pickle.dumps(step)
    assert len(data) < 5000
    assert pickle.loads(data).labels._classifier is None


def test_filter_by_share_without_cleaning(small_model: Path) -> None:
    step = ConsentFilter(min_chars=1, min_share=0.99, model=str(small_model))
    assert step.filter(Document(page(1), "x")) == (False, "consentclf_low_share")
    document = Document(page(1), "x")
    assert ConsentFilter(min_chars=1, clean=False, model=str(small_model)).filter(document) is True
    assert document.text == page(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_labels": ("article", 0.5), "remove_labels": ("consent", 0.5)}, "not both"),
        ({"keep_labels": ("articles", 0.5)}, "pairs, labels"),
        ({"mode": "best"}, "mode must be"),
    ],
)
def test_mistakes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConsentCleaner(**options)
