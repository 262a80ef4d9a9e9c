"""One thin module per DVC stage: read params, call the library, write artifacts, exit with a code."""

import os

# OpenBLAS sums in another order with another number of threads: bits of the closed forms, so of checkpoints, would
# depend on the machine's cores. It reads this once, when NumPy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
