"""`python -m benchmarks.rootcause [--quick] [--only NAME ...]`.

`BENCH_WORKERS` says how many cases are answered at once, `CAUSALSYS_DATA` where the data of PetShop
are: the folder above `petshop`.
"""

from benchmarks.parts import run_parts
from benchmarks.rootcause import (
    attribution,
    before_after,
    blind,
    edges,
    graph,
    petshop,
    redeploy,
    simulated,
    speed,
)

PARTS = (
    petshop,
    simulated,
    blind,
    graph,
    edges,
    before_after,
    speed,
    attribution,
    redeploy,
)

if __name__ == "__main__":
    run_parts("rootcause", PARTS)
