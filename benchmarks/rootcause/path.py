"""Which calls carried an effect to the target: the system with the fault beside itself without."""

from __future__ import annotations

import networkx as nx
import numpy as np

from benchmarks.rootcause.physics import Flow
from benchmarks.rootcause.systems import System

Edge = tuple[str, str]


def carried(
    system: System, quiet: Flow, faulty: Flow, *, metric: str, causes: tuple[str, ...]
) -> dict[Edge, float]:
    """The share of the target's change that came along each call, from callee to caller.

    Seconds (and failures) add up along calls, so the change of a service's total is that of its
    own part and of each of its calls; going down from the entry, each call gets its share of what
    its caller has. Calls that do not lie between a cause and the entry are left out.

    Args:
        system: The system.
        quiet: What happens without the fault, in expectation.
        faulty: The same with it.
        metric: "latency" or "errors".
        causes: Names of services or hosts.
    """
    names, graph = system.services, system.graph
    if metric == "latency":
        own = ((faulty.own * faulty.requests) - (quiet.own * quiet.requests)).sum(axis=1)
        along = (faulty.seconds - quiet.seconds).sum(axis=1)
    else:
        own = (faulty.own_failed - quiet.own_failed).sum(axis=1)
        along = (faulty.fails - quiet.fails).sum(axis=1)
    own, along = np.maximum(own, 0.0), np.maximum(along, 0.0)
    total = own.copy()
    np.add.at(total, graph.caller, along)
    weight = np.zeros(len(names))
    weight[0] = 1.0
    between = _between(system, causes)
    found = {}
    for edge, (caller, callee) in enumerate(zip(graph.caller, graph.callee, strict=True)):
        share = float(weight[caller] * along[edge] / max(total[caller], 1e-12))
        weight[callee] += share
        if share > 0 and names[callee] in between:
            found[names[callee], names[caller]] = share
    return found


def _between(system: System, causes: tuple[str, ...]) -> set[str]:
    """The services at fault and all that call them, directly or not."""
    services = set()
    for cause in causes:
        if cause.startswith("host:"):
            host = cause.removeprefix("host:")
            services |= {name for name, each in system.hosts.items() if each == host}
        elif cause in system.calls:
            services.add(cause)
    return services.union(*(nx.ancestors(system.calls, each) for each in services))
