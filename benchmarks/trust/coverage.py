"""Do 90 % intervals contain the truth in nine of ten cases? On 300 random models.

Each model is drawn, its data are drawn, it is fitted to them with the default ensemble, and asked:

    effect          the average effect, `sample(do=[...]).contrast(...).average()`
    mean            the mean under the intervention, `sample(do=...).average()`
    rows, averaged  the mean counterfactual of given rows, `counterfactual(rows).average()`
    rows, each      `counterfactual(rows).interval()`: the share of the rows that it covers

The truth of the first two is a Monte Carlo mean over many true noises, that of the others exact.
A count or a flag is either inside or outside of an interval whose ends are themselves values, so
its rows would be covered too often by any interval; there, the end's share is counted as it
would be if ties were broken at random (Czado, Gneiting and Held, Biometrics 2009).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.lines import Line
from benchmarks.trust.random_scm import RandomSCM, random_scm
from benchmarks.trust.truth import Array
from causalsys.query.answer import Answer
from causalsys.query.draws import Estimate

NAME = "coverage"
LEVEL = 0.9
SYSTEMS = 300
OVERALL, FAMILY = (0.87, 0.93), (0.85, 0.95)
REPEATS: Mapping[str, int] = defaultdict(
    lambda: 3,
    {"CountRegression": 1, "NeuralAdditive": 1, "BoostedTrees": 1, "SplineFlow": 1, "auto": 1},
)
"""How many data sets each system is fitted to: fewer, where a fit takes seconds."""
_ROWS = (300, 1000)
_NEW, _DRAWN, _MANY = 200, 8_000, 200_000
KINDS = ("effect", "mean", "rows, averaged", "rows, each")


@dataclass(frozen=True)
class Found:
    """How a system's intervals fared on one data set.

    Attributes:
        system: The system.
        rows: How many rows it was fitted to.
        covered: By kind of question, whether (for rows: how often) the truth was inside.
        error: By kind, how far the truth was from the interval's middle, in half widths.
    """

    system: RandomSCM
    rows: int
    covered: Mapping[str, float]
    error: Mapping[str, float]


def run(*, quick: bool) -> list[Line]:
    """The coverage overall and by family, where the answer is identified."""
    systems = [random_scm(seed) for seed in range(12 if quick else SYSTEMS)]
    found = [
        each
        for system in systems
        if system.identified
        for each in measured(system, repeats=1 if quick else REPEATS[system.family])
    ]
    return rows_of(found, seeds=f"seeds 0 to {len(systems) - 1}")


def measured(system: RandomSCM, *, repeats: int) -> list[Found]:
    """A system, fitted to data so many times."""
    low, high = (
        system.truth.mean(system.outcome, do, rows=_MANY, seed=system.seed + 900)
        for do in (system.against, system.do)
    )
    return [_once(system, repeat, low=low, high=high) for repeat in range(repeats)]


def _once(system: RandomSCM, repeat: int, *, low: float, high: float) -> Found:
    """One data set: fitted, asked, compared with the truth."""
    random = np.random.default_rng([system.seed, repeat])
    rows = int(random.integers(*_ROWS, endpoint=True))
    seed = 1000 * system.seed + repeat
    truth, name = system.truth, system.outcome
    data = truth.seen(truth.values(truth.noises(rows, seed=seed)))
    fitted = system.model.fit(data, seed=repeat)
    noises = truth.noises(_NEW, seed=seed + 500)
    changed = truth.values(noises, system.do)[name]
    answer = fitted.counterfactual(truth.seen(truth.values(noises)), do=system.do, outcome=name)
    drawn = fitted.sample(_DRAWN, do=[system.against, system.do], outcome=name)
    asked = {
        "effect": (drawn.contrast(name, world=1, against=0).average(LEVEL), high - low),
        "mean": (drawn.average(name, LEVEL, world=1), high),
        "rows, averaged": (answer.average(name, LEVEL), float(changed.mean())),
    }
    covered = {kind: float(e.low <= t <= e.high) for kind, (e, t) in asked.items()}
    return Found(
        system,
        rows,
        covered | {"rows, each": share_covered(answer, name, changed)},
        {kind: _standardised(e, t) for kind, (e, t) in asked.items()},
    )


def share_covered(answer: Answer, name: str, truth: Array) -> float:
    """The share of rows whose interval contains the truth; ties at a discrete end count in part."""
    if answer.supports[name].discrete:
        drawn = answer.draws(name).values
        below, upto = (drawn < truth).mean(0), (drawn <= truth).mean(0)
        tail = (1 - LEVEL) / 2
        inside = np.minimum(upto, 1 - tail) - np.maximum(below, tail)
        share = np.where(upto > below, inside / np.maximum(upto - below, 1e-12), 0)
        return float(share.clip(0, 1).mean())
    low, high = answer.interval(name, LEVEL).T
    slack = 1e-9 * (1 + np.abs(truth))
    return float(((low - slack <= truth) & (truth <= high + slack)).mean())


def _standardised(estimate: Estimate, truth: float) -> float:
    """The error in half widths: beyond 1, the truth is outside."""
    half = max((estimate.high - estimate.low) / 2, 1e-300)
    return (truth - (estimate.high + estimate.low) / 2) / half


def rows_of(found: Sequence[Found], *, seeds: str) -> list[Line]:
    """Coverage overall, by family, and by kind of question."""
    made = []
    for title, part, (least, most) in _parts(found):
        rate, error = _rate(part)
        made.append(
            Line(
                NAME,
                title,
                rate,
                f"{least:g} to {most:g}",
                bool(least <= rate <= most),
                f"{len(part)} fits, {seeds}; standard error {error:.3f}; {_by_kind(part)}",
            )
        )
    return made


def _parts(
    found: Sequence[Found],
) -> Iterable[tuple[str, Sequence[Found], tuple[float, float]]]:
    yield "90 % intervals, overall", found, OVERALL
    for family in dict.fromkeys(each.system.family for each in found):
        part = [each for each in found if each.system.family == family]
        yield f"90 % intervals, {family}", part, FAMILY


def _rate(part: Sequence[Found]) -> tuple[float, float]:
    """The mean coverage over questions, and its standard error, systems being independent."""
    systems = defaultdict(list)
    for each in part:
        systems[each.system.seed].append(np.mean(list(each.covered.values())))
    means = np.array([np.mean(rates) for rates in systems.values()])
    return float(means.mean()), float(means.std(ddof=1) / len(means) ** 0.5) if len(
        means
    ) > 1 else float("nan")


def _by_kind(part: Sequence[Found]) -> str:
    return ", ".join(
        f"{kind} {np.mean([each.covered[kind] for each in part]):.3f}" for kind in KINDS
    )
