"""One thin module per DVC stage: read params, call the library, write artifacts, exit with a code."""

import os
import signal
import sys

# OpenBLAS sums in another order with another number of threads: bits of the closed forms, so of checkpoints, would
# depend on the machine's cores. It reads this once, when NumPy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

if sys.argv[0] == "-m":  # `python -m stages.NAME`, whose imports take a second
    # A file that takes the place of a closed stream would get what native libraries print.
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(spare)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115 - it stays open
    # Ctrl-C before there is anything to tell of ends it without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
