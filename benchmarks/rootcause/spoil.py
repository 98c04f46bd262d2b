"""What an answer must survive: a culprit without metrics, calls unknown, calls that are wrong."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np

from benchmarks.rootcause.cases import Case


def unseen(case: Case) -> Case:
    """The case without any metric of the services at fault; the call graph still has them.

    Raises:
        ValueError: The entry is at fault: without it there is no target.
    """
    culprits = [name for name in case.truth.causes if name in case.system.calls]
    if case.target[0] in culprits:
        raise ValueError("the entry is at fault: without its metrics there is no target")
    return replace(
        case,
        normal=case.normal.drop(columns=culprits, level="service"),
        incident=case.incident.drop(columns=culprits, level="service"),
    )


def missing(case: Case, *, share: float = 0.2, seed: int) -> Case:
    """The case with some calls left out of the graph."""
    rng = np.random.default_rng([seed, 41])
    calls = case.calls.copy()
    edges = list(calls.edges)
    lost = rng.choice(len(edges), round(share * len(edges)), replace=False)
    calls.remove_edges_from(edges[at] for at in lost)
    return replace(case, calls=calls)


def wrong(case: Case, *, share: float = 0.1, seed: int) -> Case:
    """The case with some calls turned around or sent to another callee; still without cycles."""
    rng = np.random.default_rng([seed, 43])
    calls, services = case.calls.copy(), list(case.system.services)
    edges = list(calls.edges)
    for at in rng.choice(len(edges), round(share * len(edges)), replace=False):
        caller, callee = edges[at]
        calls.remove_edge(caller, callee)
        for _ in range(20):
            other = str(rng.choice(services))
            new = (callee, caller) if rng.random() < 0.5 else (caller, other)
            apart = new[0] != new[1] and new != (caller, callee) and not calls.has_edge(*new)
            if apart and not nx.has_path(calls, new[1], new[0]):
                calls.add_edge(*new)
                break
    return replace(case, calls=calls)
