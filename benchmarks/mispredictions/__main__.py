"""`python -m benchmarks.mispredictions [--quick] [--only NAME ...]`.

`CAUSALSYS_DATA` says where the data are: the folder above `azure_vm_noise` and `network_capacity`.
"""

from benchmarks.mispredictions import (
    alarms,
    coverage,
    guarded,
    kinds,
    mixes,
    rows,
    shapley,
    slices,
    twin,
    vm,
)
from benchmarks.parts import run_parts

PARTS = (vm, twin, kinds, mixes, alarms, slices, coverage, shapley, rows, guarded)

if __name__ == "__main__":
    run_parts("mispredictions", PARTS)
