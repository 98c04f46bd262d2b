"""What a method is given to judge: a window of rows, the normal rows, the calls, the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import networkx as nx
import pandas as pd

from case_studies.petshop.read import Target, columns


@dataclass(frozen=True)
class Case:
    """One issue, or one window of normal rows.

    `fold` names the normal rows, which many cases share: what was fitted to them can be kept.
    `truth` is for the table alone: no method reads it.
    """

    id: str
    split: str
    target: Target
    window: pd.DataFrame
    normal: pd.DataFrame
    fold: str
    calls: nx.DiGraph[str]
    truth: str | None = None

    def series(self, *, normal: bool = False) -> pd.DataFrame:
        """The target's metric of every node: columns are nodes."""
        table = self.normal if normal else self.window
        kept = {
            (service, metric, statistic): service
            for service, metric, statistic in columns(table)
            if metric == self.target.metric and statistic == self.target.statistic
        }
        return table[list(kept)].set_axis(list(kept.values()), axis=1)

    @property
    def causes(self) -> nx.DiGraph[str]:
        """The causal graph: the calls, reversed."""
        return self.calls.reverse()

    def depth(self, node: str) -> int:
        """Calls between the target and the node; -1 where the target does not lead to it."""
        return self.depths.get(node, -1)

    @property
    def depths(self) -> Mapping[str, int]:
        if self.target.node not in self.calls:
            return {self.target.node: 0}
        found: Mapping[str, int] = nx.single_source_shortest_path_length(
            self.calls, self.target.node
        )
        return found


Scores = Mapping[str, float]
"""Nodes that a method blames, the higher the more; empty where it sees no incident."""

Method = Callable[[Case], Scores]


def ranked(case: Case, scores: Scores) -> tuple[str, ...]:
    """Highest score first; of equals the deepest, then by name."""
    depths = case.depths
    return tuple(sorted(scores, key=lambda node: (-scores[node], -depths.get(node, -1), node)))
