"""Clean a folder of JSON Lines with Spark: ``python examples/spark_clean.py IN OUT``."""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession

from consentclf.integrations import spark as consent

if __name__ == "__main__":
    source, out = sys.argv[1:]
    session = SparkSession.builder.appName("consentclf").getOrCreate()
    frame = consent.clean(session.read.json(source), "text")
    frame.where("consentclf_share > 0.2").write.mode("overwrite").parquet(out)
    session.stop()
