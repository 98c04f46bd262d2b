"""The loss that a mix alone would have given, by rival estimators, against what the truth says.

It decided how `audit.explain` estimates the mix's part. The truth is the mean loss at the rows
after, under the target's true law before; errors are shares of the rise.
"""

from __future__ import annotations

import warnings

import numpy as np

from benchmarks.lines import Line
from benchmarks.mispredictions.incidents import Incident, random_incident
from causalsys.audit.audit import audit
from causalsys.audit.explain_columns import Columns
from causalsys.audit.explain_old import planned, told

NAME = "mixes"
_FIRST = 1000


def run(*, quick: bool = False) -> list[Line]:
    """The root mean square error of each estimator."""
    count = 2 if quick else 24
    each = [errors(random_incident("mix shift", _FIRST + at)) for at in range(count)]
    said = f"{count} mix shifts, root mean square error as a share of the rise"
    return [
        Line(NAME, name, float(np.sqrt(np.mean([one[name] ** 2 for one in each]))), note=said)
        for name in each[0]
    ]


def errors(incident: Incident) -> dict[str, float]:
    """Each estimator's error, as a share of the rise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = incident.system.model().fit(incident.train, ensemble=2)
    subject = audit(fitted, incident.predictor, target="y", error=incident.error).subject
    before, after = subject.period(incident.before), subject.period(incident.after)
    columns, random = Columns.of(subject, before.rows, after.rows), np.random.default_rng(0)
    plan = planned(columns, before, columns.every, random)
    found = told(columns, before, after, plan, member=0, weight=None, random=random)
    left, own = before.error - found.loss[0], float(found.loss[1].mean())
    tempered = found.ratio ** (found.effective / len(left))
    truth = _truth(incident, subject.loss, after.prediction)
    estimates = {
        "the fitted law alone": own,
        "reweighted rows alone": float((found.ratio * before.error).mean()),
        "the law, what it leaves added": own + float(left.mean()),
        "the law, what it leaves reweighted (doubly robust)": own
        + float((found.ratio * left).mean()),
        "the same, weights tempered by the effective rows (ours)": own
        + float(np.average(left, weights=tempered)),
        "a regression of the loss": _regressed(found.features, before.error),
    }
    rise = truth - float(before.error.mean())
    return {name: (value - truth) / rise for name, value in estimates.items()}


def _truth(incident: Incident, loss: object, prediction: np.ndarray) -> float:
    law, random = incident.system.laws["y"], np.random.default_rng(5)
    rows = len(incident.after)
    mean = law.mean({str(name): incident.after[name].to_numpy() for name in incident.after}, rows)
    draws = (mean + law.scale * random.standard_normal(rows) for _ in range(50))
    return float(np.mean([loss(draw, prediction).mean() for draw in draws]))  # type: ignore[operator]


def _regressed(features: tuple[np.ndarray, np.ndarray], error: np.ndarray) -> float:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=8, random_state=0)
    return float(trees.fit(features[0], error).predict(features[1]).mean())


__all__ = ["NAME", "errors", "run"]
