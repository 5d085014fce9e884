"""Spark: functions over DataFrames, on as many machines as the cluster has.

Each Python worker of the executors loads the model once. The model file must be where ``model`` says on every
machine; the shipped one is where the package is installed. Columns are plain strings and numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..classifier import MODES, Classifier, check_keep, join_kept, load
from ..labels import ARTICLE, LABELS
from . import need

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

#: Columns that :func:`label` adds, and their types.
_LABEL_COLUMNS = (
    ("paragraph", "int"), ("start", "int"), ("end", "int"), ("paragraph_text", "string"), ("label", "string"),
    ("score", "double"), *((f"score_{label}", "double") for label in LABELS),
)  # fmt: skip


def clean(
    frame: DataFrame,
    column: str = "text",
    *,
    keep: Sequence[str] = (ARTICLE,),
    model: str | None = None,
    mode: str = "balanced",
) -> DataFrame:
    """The same rows with ``column`` cleaned, and ``consentclf_share``: the share of its characters kept."""
    _check(frame, column, mode)
    schema = _schema(frame, [("consentclf_share", "double")])
    wanted = check_keep(keep)

    def run(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        classifier = _classifier(model, mode)
        for batch in batches:
            texts: list[str | None] = []
            shares: list[float | None] = []
            present = batch[column].notna().tolist()
            labelled = iter(classifier.predict_texts(batch[column].dropna().tolist()))
            for text, there in zip(batch[column].tolist(), present, strict=True):
                if not there:
                    texts.append(None)
                    shares.append(None)
                    continue
                paragraphs = next(labelled)
                total = sum(len(p.text) for p in paragraphs)
                kept = sum(len(p.text) for p in paragraphs if p.label in wanted)
                texts.append(join_kept(text, paragraphs, wanted))
                shares.append(kept / total if total else 0.0)
            yield batch.assign(**{column: texts, "consentclf_share": shares})

    return frame.mapInPandas(run, schema)


def label(
    frame: DataFrame, column: str = "text", *, model: str | None = None, mode: str = "balanced"
) -> DataFrame:
    """One row a paragraph: the columns of its document but ``column``, offsets, text, label and scores."""
    _check(frame, column, mode)
    others = [name for name in frame.columns if name != column]
    schema = _schema(frame.select(*others), _LABEL_COLUMNS)

    def run(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        pandas: Any = need("pandas", "pandas", "Spark functions", "spark")
        classifier = _classifier(model, mode)
        for batch in batches:
            present = batch[batch[column].notna()]
            rows, source = [], []
            for i, paragraphs in enumerate(classifier.predict_texts(present[column].tolist())):
                for number, p in enumerate(paragraphs):
                    source.append(i)
                    rows.append(
                        (
                            number,
                            p.start,
                            p.end,
                            p.text,
                            p.label,
                            p.score,
                            *(p.scores[name] for name in LABELS),
                        )
                    )
            labels = pandas.DataFrame(rows, columns=[name for name, _ in _LABEL_COLUMNS])
            document = present[others].iloc[source].reset_index(drop=True)
            yield pandas.concat([document, labels], axis=1)

    return frame.mapInPandas(run, schema)


def clean_udf(keep: Sequence[str] = (ARTICLE,), model: str | None = None, mode: str = "balanced") -> Any:
    """A ``pandas_udf`` from a column of text to one of cleaned text, for ``withColumn`` and SQL."""
    functions: Any = need("pyspark.sql.functions", "pyspark", "Spark functions", "spark")
    pandas: Any = need("pandas", "pandas", "Spark functions", "spark")
    wanted = check_keep(keep)

    def run(batches: Iterator[Any]) -> Iterator[Any]:
        classifier = _classifier(model, mode)
        for batch in batches:
            known = batch[batch.notna()]
            labelled = classifier.predict_texts(known.tolist())
            texts = [join_kept(t, p, wanted) for t, p in zip(known.tolist(), labelled, strict=True)]
            yield pandas.Series(texts, index=known.index, dtype=object).reindex(batch.index)

    run.__annotations__ = {"batches": Iterator[pandas.Series], "return": Iterator[pandas.Series]}
    return functions.pandas_udf(run, "string")


@lru_cache(maxsize=4)
def _classifier(model: str | None, mode: str) -> Classifier:
    """One model for each worker process, which Spark uses again for task after task."""
    return load(model).with_mode(mode)


def _check(frame: DataFrame, column: str, mode: str) -> None:
    need("pyspark", "pyspark", "Spark functions", "spark")
    if column not in frame.columns:
        raise ValueError(f"no column {column!r}; columns are {', '.join(frame.columns)}")
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")


def _schema(frame: DataFrame, more: Sequence[tuple[str, str]]) -> Any:
    types: Any = need("pyspark.sql.types", "pyspark", "Spark functions", "spark")
    kinds = {"int": types.IntegerType(), "double": types.DoubleType(), "string": types.StringType()}
    taken = {name for name, _ in more}.intersection(frame.columns)
    if taken:
        raise ValueError(f"the frame has a column {sorted(taken)[0]!r} already; rename or drop it")
    return types.StructType(
        [*frame.schema.fields, *(types.StructField(name, kinds[kind]) for name, kind in more)]
    )
