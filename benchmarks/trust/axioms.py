"""Pearl's axioms of counterfactuals (Causality, 2009, 7.3), on the models of `coverage`.

They hold in every structural causal model, so a fitted one must obey them however well it fits:

    effectiveness   X is x where X is set to x
    composition     setting W to what it would have been anyway changes nothing
    reversibility   if W and Y each give the other back under X = x, they are what X = x gives
    round trip      rows of the changed world, changed back, are the rows that were seen

The last is no axiom; it is what keeping every noise means, where the data determine it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

import causalsys as cs
from benchmarks.lines import Line
from benchmarks.trust.random_scm import RandomSCM, random_scm
from benchmarks.trust.truth import Array

NAME = "axioms"
SYSTEMS = 300
MOST = 1e-4
_FITTED, _ASKED = 300, 100


def run(*, quick: bool) -> list[Line]:
    """The largest error over all systems whose noises the data determine, by axiom."""
    systems = [random_scm(seed) for seed in range(12 if quick else SYSTEMS)]
    found = [errors(system) for system in systems if system.bijective]
    note = f"the largest of {len(found)} systems, seeds 0 to {len(systems) - 1}"
    rows = []
    for axiom in found[0]:
        worst = max(each[axiom] for each in found)
        case = f"{axiom}, error in standard deviations"
        rows.append(Line(NAME, case, worst, f"below {MOST:g}", worst < MOST, note))
    return rows


def errors(system: RandomSCM) -> dict[str, float]:
    """By axiom, the largest error over rows and variables, in the variable's deviations."""
    truth, name = system.truth, system.outcome
    data = truth.seen(truth.values(truth.noises(_FITTED, seed=system.seed)))
    fitted = system.model.fit(data, seed=0, ensemble=1)
    rows = truth.seen(truth.values(truth.noises(_ASKED, seed=system.seed + 500)))
    scale = data.std()
    names = [each for each in data if each not in system.do]

    def under(do: Mapping[str, Any], given: pd.DataFrame = rows) -> dict[str, Array]:
        return _asked(fitted, given, do, list(data))

    def apart(one: Mapping[str, Any], two: Mapping[str, Any], over: Sequence[str]) -> float:
        return max(float(np.abs(one[each] - two[each]).max() / scale[each]) for each in over)

    (cause,) = system.do
    changed = under(system.do)
    kept = [{**system.do, each: changed[each]} for each in names]
    composed = [apart(under(do), changed, names) for do in kept]
    seen = under({cause: rows[cause].to_numpy()})
    back = []
    for each in [other for other in names if other != name]:
        w, y = rows[each].to_numpy(), rows[name].to_numpy()
        # From any start, two turns end where each gives the other back.
        for _ in range(2):
            y = under({**system.do, each: w})[name]
            w = under({**system.do, name: y})[each]
        back.append(apart({each: w, name: y}, changed, [each, name]))
    returned = under({cause: rows[cause].to_numpy()}, pd.DataFrame(changed))
    return {
        "effectiveness": apart(changed, {cause: system.do[cause]}, [cause]),
        "composition": max(*composed, apart(seen, rows, list(data))),
        "reversibility": max(back, default=0.0),
        "round trip": apart(returned, rows, list(data)),
    }


def _asked(
    fitted: cs.FittedSCM, rows: pd.DataFrame, do: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Array]:
    """Every variable of these rows in the world in which `do` is done."""
    answer = fitted.counterfactual(rows, do=do, samples=1)
    return {name: answer.mean(name) for name in names}
