"""Redis under its own persistence, next to a neighbour that nobody logs.

One step is one second. Whether the append-only file is on was drawn at random while recording.
The neighbour takes the core from Redis now and then. It reaches latency only by making Redis wait
for the core, which the kernel counts, so it is the noise of `runqueue_wait_ms`: a latent that the
bijective mechanism reconstructs. It stays for many seconds at a time, hence `memory=True`.
"""

import causalsys as cs


class Redis(cs.SCM):
    """What an operator logs of one Redis server, second by second."""

    arrivals = cs.Observed(cs.Positive("req/s"))
    value_kib = cs.Observed(cs.Positive("KiB"))
    persistence = cs.Decision(cs.Boolean())

    # Milliseconds of waiting add up, and persistence adds some: so linear in them, and not in
    # their logarithm. A wait is never negative, but a sum needs the whole line.
    runqueue_wait_ms = cs.Observed(
        cs.Real("ms"),
        parents=[arrivals, value_kib, persistence],
        mechanism=cs.Linear(memory=True),
    )
    p50_ms = cs.Observed(
        cs.Positive("ms"),
        parents=[arrivals, value_kib, persistence, runqueue_wait_ms],
        mechanism=cs.SplineFlow(hidden=(16,)),
    )
    p99_ms = cs.Observed(
        cs.Positive("ms"),
        parents=[arrivals, value_kib, persistence, runqueue_wait_ms],
        mechanism=cs.SplineFlow(hidden=(16,)),
    )
