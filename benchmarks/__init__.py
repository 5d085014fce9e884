"""Speed and memory, measured in one run: ``python -m benchmarks``.

One process and one thread unless a row says otherwise; what is compared takes turns, round by round.
"""

import os

# Before NumPy is imported: its libraries read these once.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
