"""The graph against the data: do the independences that it implies hold?

Under the model, each variable's noise is independent of everything that it does not cause and
is not tied to by a latent. So `pull` turns every implied independence into a plain one, which
holds for nonlinear mechanisms too, and which a rank correlation can reject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.fitted import Fitted
from causalsys.scm.declaration import Node
from causalsys.scm.graph import Graph
from causalsys.scm.order import reached

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 10_000
_LEAST = 20
_MEMBERS = 4


@dataclass(frozen=True)
class Independence:
    """One implied independence and its test.

    Attributes:
        variable: The variable whose noise is tested.
        other: What it should be independent of.
        statistic: Spearman's rank correlation of the two, or of their spreads, whichever is
            larger in size; from -1 to 1.
        p_value: Before correction.
        rejected: Whether it is rejected after correction for all tests.
    """

    variable: str
    other: str
    statistic: float
    p_value: float
    rejected: bool


@dataclass(frozen=True)
class PredictiveCheck:
    """One variable's data against what the model predicts for it.

    Attributes:
        variable: The variable.
        p_value: Of the Kolmogorov-Smirnov test of its noise against the noise's law.
        rejected: Whether it is rejected after correction for all tests.
    """

    variable: str
    p_value: float
    rejected: bool


@dataclass(frozen=True)
class Check:
    """What the data say of the model.

    Attributes:
        independences: Every implied independence that could be tested.
        predictive: Every learned variable's predictive check.
        level: The false-rejection rate over all tests together (Holm, 1979).
        untested: Variables that could not be tested, being tied to a latent.
    """

    independences: tuple[Independence, ...]
    predictive: tuple[PredictiveCheck, ...]
    level: float
    untested: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was rejected."""
        independent = not any(test.rejected for test in self.independences)
        return independent and not any(test.rejected for test in self.predictive)

    def to_frame(self) -> pd.DataFrame:
        """A row per implied independence."""
        import pandas as pd

        return pd.DataFrame(
            [vars(test) for test in self.independences],
            columns=["variable", "other", "statistic", "p_value", "rejected"],
        )

    def __str__(self) -> str:
        failed = [test for test in self.independences if test.rejected]
        lines = [
            f"{len(self.independences)} implied independences tested, {len(failed)} rejected "
            f"at {self.level:.0%} over all tests"
        ]
        lines += [
            f"  {test.variable} depends on {test.other} beyond what its mechanism says "
            f"(rank correlation {test.statistic:+.2f}): add the edge, a latent that both share, "
            "or a richer mechanism"
            for test in failed
        ]
        lines += [
            f"  {test.variable} is not distributed as its mechanism says (p = {test.p_value:.1g}): "
            "try another mechanism"
            for test in self.predictive
            if test.rejected
        ]
        if self.untested:
            lines.append(f"  not tested, tied to latents: {', '.join(self.untested)}")
        return "\n".join(lines)


def check(fitted: Fitted, table: Table, *, level: float, seed: int) -> Check:
    """Test the graph's implied independences, and each variable's predicted distribution.

    Args:
        fitted: The model.
        table: Data, best such as it was not fitted to.
        level: The rate of false rejections over all tests together.
        seed: Fixes the draws behind categorical and count variables.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randperm(table.rows, generator=generator)[:_ROWS]
    firsts = table.layout.first_rows
    graph = fitted.declaration.graph
    tied = {name: part for part in graph.districts() for name in part}
    noises: dict[str, NDArray[np.float64]] = {}
    untested: list[str] = []
    for node in fitted.declaration.nodes.values():
        if node.kind == "latent" or not node.learned:
            continue
        if any(fitted.node(parent.name).kind == "latent" for parent in node.parents):
            untested.append(node.name)
            continue
        keep = firsts if node.per == "trace" else steps
        noises[node.name] = _noise(node, fitted, table, keep, generator)
    tests: list[tuple[str, str, float, float]] = []
    for name, noise in noises.items():
        node = fitted.node(name)
        known = table.complete(node)
        # What belongs to a trace counts once, and reaches all of its later steps.
        keep = firsts if node.per == "trace" else steps
        rows = keep if known is None else keep[known[keep]]
        if len(rows) < _LEAST:
            continue
        below = _ever_below(graph, name) if node.per == "trace" else graph.descendants(name)
        tied_to = {name, *below, *tied.get(name, ())}
        for other in table.values:
            if other in tied_to or other in table.missing or fitted.node(other).support.size:
                continue
            statistic, p_value = _dependence(noise, table.values[other][0][rows].double().numpy())
            tests.append((name, other, statistic, p_value))
    marginal = [(name, _fits_law(noise)) for name, noise in noises.items()]
    rejected = _holm([p for *_, p in tests] + [p for _, p in marginal], level)
    split = len(tests)
    return Check(
        tuple(Independence(*test, bad) for test, bad in zip(tests, rejected[:split], strict=True)),
        tuple(
            PredictiveCheck(*test, bad)
            for test, bad in zip(marginal, rejected[split:], strict=True)
        ),
        level,
        tuple(untested),
    )


def _ever_below(graph: Graph, name: str) -> set[str]:
    """What a variable reaches in this step or any later one."""
    effects: dict[str, list[str]] = {}
    for edge in graph.edges:
        effects.setdefault(edge.cause, []).append(edge.effect)
    return reached({name}, effects) - {name}


def _noise(
    node: Node, fitted: Fitted, table: Table, keep: Tensor, generator: torch.Generator
) -> NDArray[np.float64]:
    """A variable's noise in the kept rows where it is known, in normal coordinates.

    Returns:
        `[member, row]`, for some members: a test that all of them fail is not failed because
        of the parameters' uncertainty.
    """
    known = table.complete(node)
    rows = keep if known is None else keep[known[keep]]
    members = torch.arange(min(fitted.members, _MEMBERS))
    mechanism = fitted.mechanisms[node.name].members(members)
    parents = {key: value[:, rows] for key, value in table.parents_of(node).items()}
    value = table.values[node.name][:, rows]
    with torch.no_grad():
        noise = mechanism.pull(value, parents, generator=generator)
    if mechanism.noise == "gumbel":
        # The difference of two Gumbels is logistic: one number per row tells levels apart.
        noise = torch.special.ndtri(torch.sigmoid(noise[..., -1] - noise[..., 0]))
    return noise.reshape(len(noise), len(rows), -1)[..., 0].double().numpy()


def _dependence(noises: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """The dependence on `other` that every member shows: the least of them, with its p-value."""
    found = [_of_one(noise, other) for noise in noises]
    return max(found, key=lambda test: test[1])


def _of_one(noise: NDArray[np.float64], other: NDArray[np.float64]) -> tuple[float, float]:
    """The largest rank correlation of levels and of spreads, with its p-value.

    Levels show a wrong slope, the noise's spread a changing scale, the other's spread a bend.
    """
    from scipy.stats import spearmanr

    if np.ptp(other) == 0:
        return 0.0, 1.0
    bent = np.abs(other - np.median(other))
    pairs = [(noise, other), (np.abs(noise), other), (noise, bent)]
    found = [spearmanr(a, b) for a, b in pairs if np.ptp(b) > 0]
    best = max(found, key=lambda result: abs(result.statistic))
    return float(best.statistic), float(min(1.0, len(found) * best.pvalue))


def _fits_law(noises: NDArray[np.float64]) -> float:
    from scipy.stats import kstest

    if noises.shape[1] < _LEAST:
        return 1.0
    return max(float(kstest(noise, "norm").pvalue) for noise in noises)


def _holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses Holm's step-down procedure rejects."""
    rejected = [False] * len(p_values)
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] > level / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected
