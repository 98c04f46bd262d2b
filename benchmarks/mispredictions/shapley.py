"""do-Shapley beside shap's permutation explainer: time on the same predictor, and error.

Both explain rows of ten features with a reference population of 100, at their defaults. shap's
cost is a loop over rows, so some are timed and scaled; its numba code is warmed up first. The two
estimate different things (interventions on the graph, and columns taken from other rows), so each
is held against the exact values of its own: every coalition, and a large population.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import causalsys as cs
from benchmarks.lines import Line
from benchmarks.system import System
from causalsys.audit.attribute_game import DoGame
from causalsys.audit.attribute_outcome import Outcome
from causalsys.audit.attribute_plan import Worlds
from causalsys.audit.audit import Audit, audit
from causalsys.rootcause.shapley import every_coalition

NAME = "shapley"
SEED = 6100
_FEATURES = 10
_EXACT = 4
_DRAWS = 800

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """What was measured of one predictor.

    Attributes:
        ours: Our seconds for all rows.
        theirs: shap's, scaled to all rows.
        our_error: The root mean square error of our values over that of the exact ones.
        their_error: The same of shap's, whose exact values have a large population too.
        orders_error: shap's against exact values of its own background: the orders alone.
    """

    ours: float
    theirs: float
    our_error: float
    their_error: float
    orders_error: float


def run(*, quick: bool = False) -> list[Line]:
    """Time ratios and errors, by predictor."""
    lines = []
    for name, build in PREDICTORS.items():
        seeds = range(SEED, SEED + (1 if quick else 2))
        found = [_measure(build, seed, quick=quick) for seed in seeds]
        ratio = float(np.median([each.ours / each.theirs for each in found]))
        said = ", ".join(f"{each.ours:.2f} s and {each.theirs:.0f} s" for each in found)
        rows = 200 if quick else 1000
        lines.append(
            Line(
                NAME,
                f"{name}: {rows} rows × {_FEATURES} features, our time over shap's",
                ratio,
                "≤ 1",
                ratio <= 1,
                f"seeds {seeds.start} to {seeds.stop - 1}: {said} (shap: some rows, scaled)",
            )
        )
        lines += _errors(name, found)
    return lines


def _errors(name: str, found: list[Measured]) -> list[Line]:
    mean = {
        key: float(np.mean([getattr(each, key) for each in found]))
        for key in ("our_error", "their_error", "orders_error")
    }
    return [
        Line(
            NAME,
            f"{name}: our error over the size of the values",
            mean["our_error"],
            note="against every coalition and 800 draws",
        ),
        Line(
            NAME,
            f"{name}: shap's error over the size of its values",
            mean["their_error"],
            note="against every coalition and 400 background rows; against its own background "
            f"{mean['orders_error']:.2g}",
        ),
    ]


def _measure(
    build: Callable[[pd.DataFrame, pd.Series], object], seed: int, *, quick: bool
) -> Measured:
    system = System.random(_FEATURES + 1, 2 * _FEATURES + 2, seed=seed)
    data = system.data(3000, seed=seed)
    fitted = cs.SCM.from_graph(
        system.edges, default=cs.Observed(cs.Real(), mechanism=cs.Linear())
    ).fit(data, seed=0)
    features = [name for name in system.slopes if name != system.last]
    predictor = build(data[features], data[system.last])
    one = audit(fitted, predictor, target=system.last, inputs=features)
    rows = system.data(200 if quick else 1000, seed=seed + 500)
    few, behind = rows.head(5 if quick else 10), data.head(100)
    one.attribute(few.head(1), method="shap", background=behind)
    one.attribute(few)
    theirs = _seconds(lambda: one.attribute(few, method="shap", background=behind))
    ours = _seconds(lambda: one.attribute(rows))
    some = rows.head(_EXACT)
    true = _interventional(one, some)
    own = _marginal(one, some, behind)
    wide = _marginal(one, some, data.tail(400))
    shap = one.attribute(some, method="shap", background=behind).values
    return Measured(
        ours,
        theirs * len(rows) / len(few),
        _rms(one.attribute(some).values - true) / _rms(true),
        _rms(shap - wide) / _rms(wide),
        _rms(shap - own) / _rms(own),
    )


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _interventional(one: Audit, some: pd.DataFrame) -> Array:
    """Exact values of the game over interventions: every coalition, and 800 draws."""
    outcome, fitted = Outcome(one.subject), one.subject.fitted
    worlds = Worlds.above(outcome.reads, fitted.schema)
    best = torch.zeros(1, dtype=torch.int64)
    mechanisms = {name: fitted.mechanisms[name].members(best) for name in worlds.players}
    own = {name: torch.tensor(some[name].to_numpy()) for name in worlds.players}
    whole = outcome({name: some[name].to_numpy() for name in outcome.reads})
    game = DoGame(worlds, outcome, mechanisms, own, whole, _DRAWS, 9)
    return game.play(every_coalition(len(worlds.players)), turn=0)[0].T.numpy()


def _marginal(one: Audit, some: pd.DataFrame, behind: pd.DataFrame) -> Array:
    """Exact values of the marginal game: every coalition."""
    outcome, names = Outcome(one.subject), one.subject.predictor.inputs
    design = every_coalition(len(names))
    rows, other = (frame[list(names)].to_numpy() for frame in (some, behind))
    worth = np.empty((len(design.coalitions), len(rows)))
    for at, inside in enumerate(design.coalitions):
        mixed = np.where(inside, rows[:, None], other[None]).reshape(-1, len(names))
        columns = {name: mixed[:, k] for k, name in enumerate(names)}
        worth[at] = outcome(columns).reshape(len(rows), -1).mean(axis=1)
    return design.contributions(torch.from_numpy(worth)).T.numpy()


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _line(features: pd.DataFrame, target: pd.Series) -> object:
    from sklearn.linear_model import LinearRegression

    slopes = LinearRegression().fit(features, target).coef_

    def line(rows: pd.DataFrame) -> Array:
        found: Array = rows.to_numpy() @ slopes
        return found

    return line


def _trees(features: pd.DataFrame, target: pd.Series) -> object:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(random_state=0).fit(features, target)


def _network(features: pd.DataFrame, target: pd.Series) -> object:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(features.shape[1], 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 1),
    )
    inputs = torch.tensor(features.to_numpy(), dtype=torch.float32)
    truth = torch.tensor(target.to_numpy(), dtype=torch.float32)[:, None]
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(200):
        optimiser.zero_grad()
        ((net(inputs) - truth) ** 2).mean().backward()
        optimiser.step()
    return net


PREDICTORS: dict[str, Callable[[pd.DataFrame, pd.Series], object]] = {
    "a line": _line,
    "boosted trees": _trees,
    "a network": _network,
}
