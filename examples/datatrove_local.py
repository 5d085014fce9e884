"""Clean a folder of JSON Lines with datatrove: ``python examples/datatrove_local.py IN OUT``."""

from __future__ import annotations

import sys

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

from consentclf.integrations.datatrove import ConsentFilter

if __name__ == "__main__":
    source, out = sys.argv[1:]
    steps = [
        JsonlReader(source),
        ConsentFilter(
            min_chars=200,
            remove_labels=[("consent", 0.5), ("banner", 0.8), ("navigation", 0.8)],
            exclusion_writer=JsonlWriter(f"{out}/too_short"),
        ),
        JsonlWriter(f"{out}/cleaned"),
    ]
    LocalPipelineExecutor(steps, tasks=2, workers=2, logging_dir=f"{out}/logs").run()
