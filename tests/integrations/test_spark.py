"""A real local Spark session with two cores."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PAGE, ROOT, ROWS

pytest.importorskip("pyspark")
if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
    pytest.skip("SPARK IS NOT TESTED: there is no Java on this machine", allow_module_level=True)
pytestmark = pytest.mark.filterwarnings("ignore")  # the host's own


def page(number: int) -> str:
    return "\n".join(ROWS[label][(i + number) % 12] for label, i in PAGE)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    given = {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1"}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "2")
    session = builder.config("spark.sql.warehouse.dir", str(folder)).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module")
def frame(spark: Any) -> Any:
    rows = [(i, None if i == 5 else "" if i == 6 else page(i)) for i in range(40)]
    return spark.createDataFrame(rows, "id int, text string").repartition(4)


def test_clean(frame: Any, small_model: Path, classifier: Any) -> None:
    from consentclf.integrations import spark

    out = spark.clean(frame, "text", model=str(small_model))
    assert dict(out.dtypes) == {"id": "int", "text": "string", "consentclf_share": "double"}
    rows = {row.id: row for row in out.collect()}
    assert len(rows) == 40
    assert (rows[5].text, rows[5].consentclf_share) == (None, None)
    assert (rows[6].text, rows[6].consentclf_share) == ("", 0.0)
    for i in set(rows) - {5, 6}:
        assert rows[i].text == classifier.clean(page(i))
        assert 0 <= rows[i].consentclf_share <= 1


def test_label(frame: Any, small_model: Path, classifier: Any) -> None:
    from consentclf.integrations import spark

    out = spark.label(frame, "text", model=str(small_model))
    assert {kind for _, kind in out.dtypes} == {"int", "string", "double"}
    rows = sorted((row for row in out.collect() if row.id == 3), key=lambda row: row.paragraph)
    expected = classifier.predict_text(page(3))
    assert [(r.start, r.end, r.paragraph_text, r.label) for r in rows] == [
        (p.start, p.end, p.text, p.label) for p in expected
    ]
    assert rows[0].score_article == pytest.approx(expected[0].scores["article"])
    assert not out.where("id in (5, 6)").count()


def test_clean_udf(frame: Any, small_model: Path, classifier: Any) -> None:
    from consentclf.integrations import spark

    clean = spark.clean_udf(keep=("article", "banner"), model=str(small_model))
    rows = {row.id: row.text for row in frame.withColumn("text", clean("text")).collect()}
    assert rows[5] is None
    assert rows[3] == classifier.clean(page(3), keep=("article", "banner"))


def test_one_model_per_worker_process(spark: Any, small_model: Path) -> None:
    """Many tasks, few processes, one load in each."""
    from consentclf.integrations.spark import _classifier

    path = str(small_model)

    def run(part: Any) -> Iterator[tuple[int, int]]:
        _classifier(path, "balanced")
        yield os.getpid(), _classifier.cache_info().misses

    found = spark.sparkContext.parallelize(range(12), 12).mapPartitions(run).collect()
    assert len(found) == 12
    assert len({pid for pid, _ in found}) <= 4
    assert {misses for _, misses in found} == {1}


def test_mistakes(frame: Any) -> None:
    from consentclf.integrations import spark

    with pytest.raises(ValueError, match="no column 'body'; columns are id, text"):
        spark.clean(frame, "body")
    with pytest.raises(ValueError, match="mode must be"):
        spark.clean(frame, "text", mode="best")
    with pytest.raises(ValueError, match="has a column 'label' already"):
        spark.label(frame.withColumnRenamed("id", "label"), "text")
