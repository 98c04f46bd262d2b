"""The graph and the mechanisms against the data.

Under the model, a variable is independent of another given some set, wherever the graph separates
the two; where no latent acts on it, its own noise may stand for it, which a wrong mechanism
cannot spoil and a right one makes sharper. Its noise must be independent of its parents, too,
and follow its law: these two are about the mechanism.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from causalsys.data.table import Table
from causalsys.fit.fitted import Fitted
from causalsys.fit.implied import Window
from causalsys.fit.mends import Mend, mends, mends_of
from causalsys.fit.tested import LEAST, Tested

if TYPE_CHECKING:
    import pandas as pd

_HELD = 0.05
"""An independence whose own p-value is larger counts as one that holds."""


@dataclass(frozen=True)
class Independence:
    """One implied independence and its test.

    Attributes:
        variable: The variable that is tested.
        other: What it should be independent of, with its lag: `load`, `load[-1]`.
        statistic: The correlation of what is left of both given `given`, or of how large that
            is, whichever is stronger; from -1 to 1.
        p_value: Before correction.
        rejected: Whether it is rejected after correction for all tests.
        given: What makes the two independent in the graph.
        about: "graph", or "mechanism" where `other` is a parent of `variable`, of which the
            noise should be independent.
        mends: If the graph was rejected, every single addition that would mend it, in words.
    """

    variable: str
    other: str
    statistic: float
    p_value: float
    rejected: bool
    given: tuple[str, ...] = ()
    about: Literal["graph", "mechanism"] = "graph"
    mends: tuple[str, ...] = ()


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
        predictive: Every predictive check, of variables that no latent acts on.
        level: The false-rejection rate over all tests together (Holm, 1979).
        untested: Learned variables that no test is about: latents tie them to all others.
        mends: Few additions to the graph that together mend what was rejected of it. They are
            suggestions: the data cannot tell the alternatives of one apart.
    """

    independences: tuple[Independence, ...]
    predictive: tuple[PredictiveCheck, ...]
    level: float
    untested: tuple[str, ...]
    mends: tuple[Mend, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was rejected."""
        independent = not any(test.rejected for test in self.independences)
        return independent and not any(test.rejected for test in self.predictive)

    def to_frame(self) -> pd.DataFrame:
        """A row per implied independence."""
        import pandas as pd

        columns = list(Independence.__dataclass_fields__)
        return pd.DataFrame([vars(test) for test in self.independences], columns=columns)

    def __str__(self) -> str:
        failed = [test for test in self.independences if test.rejected]
        lines = [
            f"{len(self.independences)} implied independences tested, {len(failed)} rejected "
            f"at {self.level:.0%} over all tests"
        ]
        lines += [f"  {_told(test)}" for test in failed]
        lines += [
            f"  {test.variable} is not distributed as its mechanism says (p = {test.p_value:.1g}): "
            "try another mechanism"
            for test in self.predictive
            if test.rejected
        ]
        lines += [
            f"  a mend of {len(mend.tests)} of them, to judge by what you know: {mend}"
            for mend in self.mends
        ]
        if self.untested:
            lines.append(f"  not tested, tied to latents: {', '.join(self.untested)}")
        return "\n".join(lines)


def check(fitted: Fitted, table: Table, *, level: float, seed: int) -> Check:
    """Test the graph's implied independences, and each variable's predicted distribution.

    The independences are tested by the generalised covariance measure (see `fit/covariance.py`).

    Args:
        fitted: The model.
        table: Data, best such as it was not fitted to.
        level: The rate of false rejections over all tests together.
        seed: Fixes which rows are taken of many, and the draws behind counts and categories.
    """
    window = Window.of(fitted.declaration)
    tested = Tested.of(fitted, table, window=window, seed=seed)
    graph = [
        (test, *found)
        for test in window.implied(tested.usable)
        if (found := tested.independence(test)) is not None
    ]
    shape = [
        (name, ref.key, *_dependence(noise, tested.parent(ref, fitted.node(name))))
        for name, noise in tested.noises.items()
        for ref in fitted.node(name).parents
        if ref.name in tested.usable and noise.shape[1] >= LEAST
    ]
    laws = [(name, _fits_law(noise)) for name, noise in tested.noises.items()]
    values = [p for *_, p in graph] + [p for *_, p in shape] + [p for _, p in laws]
    rejected = _holm(values, level)
    independences = [
        Independence(
            test.variable,
            test.other,
            statistic,
            p_value,
            rejected=bad,
            given=test.given,
            mends=tuple(map(str, mends_of(window, test))) if bad else (),
        )
        for (test, statistic, p_value), bad in zip(graph, rejected, strict=False)
    ]
    independences += [
        Independence(name, other, statistic, p_value, bad, about="mechanism")
        for (name, other, statistic, p_value), bad in zip(
            shape, rejected[len(graph) :], strict=False
        )
    ]
    predictive = [
        PredictiveCheck(*law, bad)
        for law, bad in zip(laws, rejected[len(independences) :], strict=True)
    ]
    about = {name for test in independences for name in (test.variable, test.other)}
    failed = [found for found, bad in zip(graph, rejected, strict=False) if bad]
    plainest = [test for test, _, _ in sorted(failed, key=lambda found: found[2])]
    held = [test for test, _, p_value in graph if p_value >= _HELD]
    return Check(
        tuple(independences),
        tuple(predictive),
        level,
        tuple(
            node.name
            for node in fitted.declaration.nodes.values()
            if node.learned and node.kind != "latent" and node.name not in {*about, *tested.noises}
        ),
        mends(window, plainest, held),
    )


def _told(test: Independence) -> str:
    found = f"(correlation {test.statistic:+.2f})"
    if test.about == "mechanism":
        return (
            f"{test.variable} depends on its parent {test.other} otherwise than its mechanism says "
            f"{found}: try a richer mechanism, or a latent that acts on both"
        )
    given = f" given {', '.join(test.given)}" if test.given else ""
    return f"{test.variable} depends on {test.other}{given}, which the graph denies {found}"


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

    if noises.shape[1] < LEAST:
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
