"""A scenario folder of the PetShop data set, in the format in which it is published.

    graph.csv              who calls whom: an adjacency matrix, or a list of edges
    noissue/metrics.csv    normal operation, one row every five minutes
    train/issue_N/         metrics.csv of the incident's rows, and target.json: what alarmed,
    test/issue_N/          and (unless it is withheld) which node was the cause

A metrics.csv has three rows of header: service, metric, statistic. Hardt et al., "The PetShop
Dataset: Finding Causes of Performance Issues across Microservices", arXiv 2311.04806.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import pandas as pd

from causalsys.errors import DataError

SPLITS = ("train", "test")
NORMAL = Path("noissue") / "metrics.csv"
ALIKE = 0.9
"""Nodes in common, of all, from which two scenarios count as runs of one system."""


@dataclass(frozen=True, order=True)
class Target:
    """The series that alarmed."""

    node: str
    metric: str
    statistic: str


@dataclass(frozen=True)
class Issue:
    """One incident as it was recorded. `alarmed` is a Unix time; `truth` the node at fault."""

    id: str
    split: str
    target: Target
    metrics: pd.DataFrame
    truth: str | None
    alarmed: float | None


@dataclass(frozen=True)
class Scenario:
    """A folder, read. `calls` runs from caller to callee.

    `normal` is None where no normal period was found; `lender` names the scenario that lent its
    own, "" where it is this one's or was given.
    """

    name: str
    calls: nx.DiGraph[str]
    normal: pd.DataFrame | None
    issues: tuple[Issue, ...]
    lender: str = ""

    @property
    def targets(self) -> tuple[Target, ...]:
        """What alarmed in any of the issues, each once."""
        return tuple(sorted({issue.target for issue in self.issues}))


def read(folder: Path, *, normal: Path | None = None) -> Scenario:
    """Read a scenario folder.

    Args:
        folder: The scenario's own folder, for example `petshop/low_traffic`.
        normal: A metrics.csv of normal operation that takes the place of the folder's own.

    Raises:
        DataError: A file is missing or is not what the format says.
    """
    if not folder.is_dir():
        beside = [p.name for p in folder.parent.glob("*") if (p / "graph.csv").is_file()]
        raise DataError(
            folder.name,
            found=f"no folder {folder}",
            mend=f"Scenarios there: {', '.join(sorted(beside)) or 'none'}.",
        )
    calls = _calls(folder / "graph.csv")
    issues = tuple(
        _issue(path, split, calls)
        for split in SPLITS
        for path in sorted((folder / split).glob("*/metrics.csv"), key=_natural)
    )
    if not issues:
        raise DataError(
            folder.name,
            found="no train/*/metrics.csv and no test/*/metrics.csv",
            mend="Name a scenario folder of the published format.",
        )
    own = folder / NORMAL
    source, lender = normal or (own if own.is_file() else None), ""
    if source is None and (lender := _lender(folder, calls)):
        source = folder.parent / lender / NORMAL
    return Scenario(folder.name, calls, metrics(source) if source else None, issues, lender)


def _lender(folder: Path, calls: nx.DiGraph[str]) -> str:
    """The scenario beside this one that has a normal period and whose nodes are most alike."""
    found = []
    for graph in folder.parent.glob("*/graph.csv"):
        if graph.parent != folder and (graph.parent / NORMAL).is_file():
            theirs, ours = set(_calls(graph)), set(calls)
            alike = len(theirs & ours) / len(theirs | ours)
            if alike >= ALIKE:
                found.append((-alike, graph.parent.name))
    return min(found)[1] if found else ""


def metrics(path: Path) -> pd.DataFrame:
    """A metrics.csv: one row a step, by time; columns (service, metric, statistic).

    Raises:
        DataError: It cannot be read, or holds no numbers under such a header.
    """
    try:
        table = pd.read_csv(path, header=[0, 1, 2], index_col=0)
        table = table.astype(float).sort_index()
    except (OSError, ValueError, IndexError) as error:
        raise DataError(
            str(path), found=f"no table of metrics ({_one_line(error)})", mend=_HEADER
        ) from error
    if table.empty or table.columns.nlevels != 3:
        raise DataError(str(path), found="no rows of metrics", mend=_HEADER)
    table = table.loc[:, ~table.columns.duplicated()]
    return table.set_axis(table.columns.set_names(["service", "metric", "statistic"]), axis=1)


def columns(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The columns of a table of metrics: service, metric, statistic."""
    return [
        (str(service), str(metric), str(statistic))
        for service, metric, statistic in (tuple(column) for column in table.columns)
    ]


_HEADER = "It must have three rows of header (service, metric, statistic), then rows of numbers."


def _issue(path: Path, split: str, calls: nx.DiGraph[str]) -> Issue:
    about = path.with_name("target.json")
    try:
        told: dict[str, Any] = json.loads(about.read_text())
        target = told["target"]
        metric = target["metric"]
        node = target.get("node") or _entry(calls)
        statistic = target.get("agg") or "Average"
        cause = told.get("root_cause")
        truth = cause.get("node") if isinstance(cause, dict) else cause
        alarmed = target.get("timestamp")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            str(about),
            found=f"no target in it ({type(error).__name__}: {_one_line(error)})",
            mend='It must be JSON with {"target": {"node": ..., "metric": ..., "agg": ...}}.',
        ) from error
    table = metrics(path)
    if (node, metric, statistic) not in table.columns:
        raise DataError(
            str(about),
            found=f"a target ({node}, {metric}, {statistic}) that metrics.csv has no column for",
            mend="Name a column of the incident's own metrics.csv.",
        )
    return Issue(
        f"{split}/{path.parent.name}",
        split,
        Target(node, metric, statistic),
        table,
        truth,
        None if alarmed is None else float(alarmed),
    )


def _calls(path: Path) -> nx.DiGraph[str]:
    """The call graph, from an adjacency matrix or from rows of caller and callee."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(
            str(path), found=f"no call graph ({_one_line(error)})", mend=_GRAPH
        ) from error
    calls: nx.DiGraph[str] = nx.DiGraph()
    first, names = table.iloc[:, 0].str.strip(), list(table.columns[1:])
    if len(names) > 1 and set(names) == set(first):
        calls.add_nodes_from(names)
        weights = table.iloc[:, 1:].replace("", "0")
        try:
            marked = weights.astype(float).to_numpy() != 0
        except ValueError as error:
            raise DataError(
                str(path), found=f"an adjacency matrix with {_one_line(error)}", mend=_GRAPH
            ) from error
        calls.add_edges_from(
            (caller, names[column])
            for caller, row in zip(first, marked, strict=True)
            for column in row.nonzero()[0]
        )
    elif names:
        caller, callee = _ends(list(table.columns))
        calls.add_edges_from(zip(table[caller].str.strip(), table[callee].str.strip(), strict=True))
    if not calls.number_of_edges():
        raise DataError(str(path), found="no edges", mend=_GRAPH)
    return calls


_GRAPH = "It must be an adjacency matrix (caller by callee), or rows of caller,callee."
_CALLERS = ("caller", "source", "from", "parent")
_CALLEES = ("callee", "target", "to", "child", "destination")


def _ends(columns: list[str]) -> tuple[str, str]:
    """Which columns of a list of edges hold the caller and the callee: by name, else the first."""
    named = {column.strip().lower(): column for column in columns}
    caller = next((named[name] for name in _CALLERS if name in named), columns[0])
    callee = next((named[name] for name in _CALLEES if name in named), columns[1])
    return caller, callee


def _entry(calls: nx.DiGraph[str]) -> str:
    """The node from which most others are reached: where users come in."""
    return max(sorted(calls), key=lambda node: len(nx.descendants(calls, node)))


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts issue_2 before issue_10."""
    parts = re.split(r"(\d+)", path.parent.name)
    return [(int(part) if part.isdigit() else -1, part) for part in parts]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
