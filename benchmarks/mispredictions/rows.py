"""What would have made a prediction right: ours beside dice-ml's counterfactuals.

Linear systems whose noises are known, a predictor that lacks one cause, and rows in each of which
one noise is large and the prediction wrong. dice-ml is asked for inputs with which the prediction
is the truth. Measured of both, with the true system:

    breaks        a cause was changed, an effect that its mechanism would have moved by more than
                  a standard deviation of its noise was left exactly where it was
    holds         if the change is made in the true system, prediction and truth agree (within
                  1.25 times the tolerance: ours go to its edge, by fitted slopes)
    same          a row whose noises differ by 1 % of a standard deviation has the same variables
                  changed
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import causalsys as cs
from benchmarks.lines import Line
from benchmarks.system import System
from causalsys.audit.audit import Audit, audit

NAME = "rows"
SEED = 6200
_NODES, _EDGES = 7, 13
_SHIFT, _JITTER, _SLACK = 5.0, 0.01, 1.25

Array = NDArray[np.float64]
Values = Mapping[str, float]


@dataclass(frozen=True)
class Change:
    """What a method would change.

    Attributes:
        done: The variables that it sets, and to what.
        inputs: The inputs that it predicts with.
    """

    done: Values
    inputs: Values


@dataclass(frozen=True)
class Scene:
    """One system with its predictor.

    Attributes:
        system: The true system.
        data: Normal rows.
        one: The predictor beside the fitted model.
        tolerance: The error that counts as right.
    """

    system: System
    data: pd.DataFrame
    one: Audit
    tolerance: float

    def world(self, noises: Array, done: Values) -> dict[str, float]:
        """A row of the true system, by its noises."""
        values: dict[str, float] = {}
        for noise, (name, causes) in zip(noises, self.system.slopes.items(), strict=True):
            follows = noise + sum(slope * values[cause] for cause, slope in causes.items())
            values[name] = done.get(name, follows)
        return values

    def error(self, row: Values) -> float:
        """How wrong a row's prediction is."""
        return float(self.one.subject.period(pd.DataFrame([row])).error[0])


Method = Callable[[Scene, Values], Change | None]


@dataclass(frozen=True)
class Counted:
    """What was counted of one row; None where nothing was found."""

    found: bool
    breaks: bool = False
    holds: bool = False
    same: bool = False
    named: bool = False
    seconds: float = 0.0


def run(*, quick: bool = False) -> list[Line]:
    """The shares by method."""
    seeds = range(SEED, SEED + (2 if quick else 6))
    count = 5 if quick else 8
    methods: dict[str, Method] = {
        "ours": _ours,
        "dice-ml, random": lambda scene, row: _dice(scene, row, "random"),
        "dice-ml, kdtree": lambda scene, row: _dice(scene, row, "kdtree"),
    }
    counted: dict[str, list[Counted]] = {name: [] for name in methods}
    for seed in seeds:
        scene = _scene(seed)
        for noises, hit in _wrong(scene, count, seed):
            for name, method in methods.items():
                counted[name].append(_count(scene, method, noises, hit, seed))
    said = f"{len(counted['ours'])} rows, seeds {seeds.start} to {seeds.stop - 1}"
    return [line for name, each in counted.items() for line in _lines(name, each, said)]


def _lines(name: str, counted: list[Counted], said: str) -> list[Line]:
    found = [each for each in counted if each.found]
    ours = name == "ours"

    def share(what: str) -> float:
        return float(np.mean([getattr(each, what) for each in found])) if found else float("nan")

    breaks = share("breaks")
    seconds = float(np.median([each.seconds for each in counted]))
    return [
        Line(
            NAME,
            f"{name}: changes that break the system",
            breaks,
            "0" if ours else "",
            breaks == 0 if ours else None,
            f"{said}; found in {len(found) / len(counted):.2f}, {1000 * seconds:.0f} ms a row",
        ),
        Line(NAME, f"{name}: changes that hold in the true system", share("holds")),
        Line(NAME, f"{name}: the same variables for a row that is nearly the same", share("same")),
        Line(
            NAME,
            f"{name}: exactly the variable whose noise was large",
            share("named"),
            note="the smallest change need not be that; the noises beside it tell which was large"
            if ours
            else "",
        ),
    ]


def _count(scene: Scene, method: Method, noises: Array, hit: str, seed: int) -> Counted:
    row = scene.world(noises, {})
    begun = time.perf_counter()
    change = method(scene, row)
    seconds = time.perf_counter() - begun
    if change is None:
        return Counted(False, seconds=seconds)
    jitter = _JITTER * np.random.default_rng(seed).standard_normal(len(noises))
    again = method(scene, scene.world(noises + jitter, {}))
    acted = scene.error(scene.world(noises, change.done))
    return Counted(
        True,
        _breaks(scene, row, change.inputs),
        acted <= _SLACK * scene.tolerance,
        again is not None and set(again.done) == set(change.done),
        set(change.done) == {hit},
        seconds,
    )


def _breaks(scene: Scene, row: Values, after: Values) -> bool:
    """Whether an effect was left where it was, though its changed causes would have moved it."""
    for name, causes in scene.system.slopes.items():
        if name not in after or abs(after[name] - row[name]) > 1e-9:
            continue
        moved = sum(
            slope * (after[cause] - row[cause]) for cause, slope in causes.items() if cause in after
        )
        if abs(moved) > 1:
            return True
    return False


def _ours(scene: Scene, row: Values) -> Change | None:
    found = scene.one.explain_row(dict(row), tolerance=scene.tolerance).smallest
    if found is None:
        return None
    done = {name: float(value) for name, value in zip(found.names, found.after, strict=True)}
    inputs = scene.one.subject.predictor.inputs
    return Change(done, {name: float(found.row[name]) for name in inputs})


def _dice(scene: Scene, row: Values, method: str) -> Change | None:
    """dice-ml's first counterfactual, at its defaults; it prints and warns, which is kept here."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        import dice_ml

        inputs = list(scene.one.subject.predictor.inputs)
        target = scene.system.last
        data = dice_ml.Data(
            dataframe=scene.data[[*inputs, target]],
            continuous_features=inputs,
            outcome_name=target,
        )
        model = dice_ml.Model(
            model=_Estimator(scene.one), backend="sklearn", model_type="regressor"
        )
        query = pd.DataFrame([{name: row[name] for name in inputs}])
        low, high = row[target] - scene.tolerance, row[target] + scene.tolerance
        more = {"random_seed": 1} if method == "random" else {}
        try:
            found = dice_ml.Dice(data, model, method=method).generate_counterfactuals(
                query, total_CFs=1, desired_range=[low, high], verbose=False, **more
            )
            after = found.cf_examples_list[0].final_cfs_df
        except Exception:  # noqa: BLE001
            return None  # It raises where it finds none, and no error of its own.
    if after is None or not len(after):
        return None
    values = {name: float(after[name].iloc[0]) for name in inputs}
    # It rounds what it leaves alone, to as many digits as the data show.
    values = {n: row[n] if abs(v - row[n]) < 1e-3 else v for n, v in values.items()}
    return Change({n: v for n, v in values.items() if v != row[n]}, values)


@dataclass(frozen=True)
class _Estimator:
    """The predictor as dice-ml wants it."""

    one: Audit

    def predict(self, rows: pd.DataFrame) -> Array:
        """The predictions, `[row]`."""
        return self.one.subject.predictor.predict(rows.astype(float))


def _scene(seed: int) -> Scene:
    from sklearn.ensemble import HistGradientBoostingRegressor

    system = System.random(_NODES, _EDGES, seed=seed)
    data = system.data(3000, seed=seed)
    fitted = cs.SCM.from_graph(
        system.edges, default=cs.Observed(cs.Real(), mechanism=cs.Linear())
    ).fit(data, seed=0)
    lacks = list(system.slopes[system.last])[-1]
    inputs = [name for name in system.slopes if name not in (lacks, system.last)]
    model = HistGradientBoostingRegressor(random_state=0).fit(data[inputs], data[system.last])
    one = audit(fitted, model, target=system.last, inputs=inputs)
    normal = one.subject.period(system.data(2000, seed=seed + 1))
    return Scene(system, data, one, float(np.median(normal.error)))


def _wrong(scene: Scene, count: int, seed: int) -> list[tuple[Array, str]]:
    """Noises of rows that are predicted wrong, and whose noise is large in each."""
    random, names = np.random.default_rng(seed), list(scene.system.slopes)
    found: list[tuple[Array, str]] = []
    while len(found) < count:
        noises, at = random.standard_normal(len(names)), int(random.integers(len(names)))
        noises[at] = _SHIFT * random.choice([-1, 1])
        if scene.error(scene.world(noises, {})) > 2 * scene.tolerance:
            found.append((noises, names[at]))
    return found
