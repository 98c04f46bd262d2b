"""Side by side with the peers, as ratios within one run: `python -m benchmarks`."""

import os

# One thread for all, set before anything that reads it is imported: on a shared machine, ratios
# of several threads would be those of the scheduler.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
