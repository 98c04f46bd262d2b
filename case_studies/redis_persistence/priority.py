"""Real-time priority for the processes of the study, so that only they share their cores.

Whatever else runs on the machine would add waits of its own, which nobody recorded. Between the
server and the neighbour, at one priority, the rule is simple: who has the core keeps it until it
sleeps.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PRIORITY = 1


@contextmanager
def first_in_line(*pids: int) -> Iterator[None]:
    """Raise these processes for a while; their children, such as a log rewrite, start as usual."""
    # Where the user may not, `other_cpu_hidden` and `send_lag_p99_ms_hidden` tell what it cost.
    with suppress(PermissionError):
        for pid in pids:
            policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(pid, policy, os.sched_param(PRIORITY))
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):  # it may have ended
                os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
