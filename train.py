"""Reproduces the shipped model: ``python train.py [FOLDER...]`` trains on data/ and the folders named.

The model shipped was trained with ``python train.py ../shared/corpus``. It and its card go to models/.
"""

import sys
from pathlib import Path

from consentclf.cli import main

HERE = Path(__file__).parent

if __name__ == "__main__":
    outputs = ["--out", f"{HERE}/models/consentclf.safetensors", "--card", f"{HERE}/models/README.md"]
    main(["train", f"{HERE}/data", *sys.argv[1:], *outputs])
