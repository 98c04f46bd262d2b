"""Where nothing identifies the answer: is it refused, and does the spread contain the truth?

The systems are those of `coverage` whose latent confounds the cause with its own effect. Each is
fitted, asked without leave for a spread (which must be refused) and with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.lines import Line
from benchmarks.trust.random_scm import RandomSCM, random_scm
from causalsys.errors import NotIdentifiedError

NAME = "spreads"
SYSTEMS = 300
_ROWS, _ASKED = 800, 100


@dataclass(frozen=True)
class Found:
    """How one system was answered.

    Attributes:
        system: The system.
        refused: Whether both questions were refused.
        mean: Whether the spread of the mean counterfactual contains the truth.
        effect: Whether the spread of the mean under the intervention does.
        rows: The share of rows whose spread contains their own truth.
        width: The width of the spread of the mean, in standard deviations of the outcome.
    """

    system: RandomSCM
    refused: bool
    mean: bool
    effect: bool
    rows: float
    width: float


def run(*, quick: bool) -> list[Line]:
    """Refusals, and how often spreads contain the truth; and that nothing else is refused."""
    systems = [random_scm(seed) for seed in range(72 if quick else SYSTEMS)]
    hidden = [system for system in systems if not system.identified]
    found = [measured(system) for system in hidden[: 3 if quick else None]]
    seeds = f"seeds 0 to {len(systems) - 1}"
    wrong = sum(_claims(system) for system in hidden)
    missed = sum(not _answers(system) for system in systems if system.identified)
    return [
        _row(
            "called identified though it is not", wrong, "0", wrong == 0,
            f"{len(hidden)} systems, {seeds}",
        ),
        _row(
            "not answered though it is identified", missed, "", None,
            f"{len(systems) - len(hidden)} systems, {seeds}",
        ),
        _rate("refused by a fitted model", [each.refused for each in found], 1.0, seeds),
        _rate("the spread of the mean contains it", [each.mean for each in found], 0.9, seeds),
        _rate("the spread of the effect contains it", [each.effect for each in found], 0.9, seeds),
        _rate("rows whose spread contains theirs", [each.rows for each in found], 0.9, seeds),
        _row(
            "median width of the spread, standard deviations",
            float(np.median([each.width for each in found])), "", None, seeds,
        ),
    ]  # fmt: skip


def measured(system: RandomSCM) -> Found:
    """One system, fitted and asked."""
    truth, name = system.truth, system.outcome
    data = truth.seen(truth.values(truth.noises(_ROWS, seed=system.seed)))
    fitted = system.model.fit(data, seed=0)
    noises = truth.noises(_ASKED, seed=system.seed + 500)
    rows, changed = truth.seen(truth.values(noises)), truth.values(noises, system.do)[name]
    refused = 0
    for ask in (
        lambda: fitted.counterfactual(rows, do=system.do, outcome=name),
        lambda: fitted.sample(100, do=system.do, outcome=name),
    ):
        try:
            ask()
        except NotIdentifiedError:
            refused += 1
    answer = fitted.counterfactual(rows, do=system.do, outcome=name, allow="spread")
    drawn = fitted.sample(4000, do=system.do, outcome=name, allow="spread")
    low, high = answer.spread(name).T
    least, most = answer.spread_of_average(name)
    mean = truth.mean(name, system.do, rows=200_000, seed=system.seed + 900)
    below, above = drawn.spread_of_average(name)
    return Found(
        system,
        refused == 2,
        bool(least <= changed.mean() <= most),
        bool(below <= mean <= above),
        float(((low <= changed) & (changed <= high)).mean()),
        (most - least) / float(np.std(data[name])),
    )


def _claims(system: RandomSCM) -> bool:
    """Whether the model claims that its question is identified."""
    asked = {"do": list(system.do)}
    rows = system.model.identify(system.outcome, counterfactual=True, **asked)
    return rows.answerable or system.model.identify(system.outcome, **asked).answerable


def _answers(system: RandomSCM) -> bool:
    asked = {"do": list(system.do)}
    rows = system.model.identify(system.outcome, counterfactual=True, **asked)
    return rows.answerable and system.model.identify(system.outcome, **asked).answerable


def _rate(case: str, hits: Sequence[float], least: float, seeds: str) -> Line:
    rate = float(np.mean(hits))
    return _row(case, rate, f"at least {least:g}", rate >= least, f"{len(hits)} systems, {seeds}")


def _row(case: str, measured: float, target: str, met: bool | None, note: str) -> Line:
    return Line(NAME, case, measured, target, met, note)
