"""Redis under its own persistence, next to a neighbour that nobody logs.

One step is one second. Whether the append-only file is on was drawn at random while recording.
The neighbour takes the core from Redis now and then; it reaches latency only by making Redis wait
for the core, which the kernel counts (`runqueue_wait_ms`), and it shows in the context switches.
"""

import causalsys as cs


class Redis(cs.SCM):
    """What an operator logs of one Redis server, second by second."""

    arrivals = cs.Observed(cs.Positive("req/s"))
    value_kib = cs.Observed(cs.Positive("KiB"))
    persistence = cs.Decision(cs.Boolean())
    neighbour = cs.Latent(cs.Real())

    # Persistence adds about a millisecond to what the neighbour adds hundreds to: no edge.
    runqueue_wait_ms = cs.Observed(
        cs.Positive("ms"),
        parents=[neighbour, arrivals, value_kib],
        mechanism=cs.Linear(link="log"),
    )
    ctx_switches = cs.Observed(
        cs.Positive("1/s"),
        parents=[neighbour, arrivals, value_kib, persistence],
        mechanism=cs.Linear(link="log"),
    )
    p50_ms = cs.Observed(
        cs.Positive("ms"),
        parents=[arrivals, value_kib, persistence, runqueue_wait_ms],
        mechanism=cs.SplineFlow(hidden=(8,)),
    )
    p99_ms = cs.Observed(
        cs.Positive("ms"),
        parents=[arrivals, value_kib, persistence, runqueue_wait_ms],
        mechanism=cs.SplineFlow(hidden=(8,)),
    )
