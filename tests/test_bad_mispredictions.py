"""What users get wrong when they ask why a model was wrong, and what they are told.

As in `test_bad_input.py`: each line of a table is one mistake, and the one test at the end asks of
each that it is refused in full, and leaves what was given as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.detect.conformal import Calibrated
from causalsys.detect.density import unusual
from causalsys.detect.objective import monitor_objective
from causalsys.errors import (
    CausalSysError,
    DataError,
    EvidenceError,
    InterventionError,
    MissingColumnError,
    OutsideSupportError,
    PredictorError,
    QueryError,
    UnknownNameError,
)
from causalsys.replace.replay import RetrainingRule, replay
from causalsys.replace.retrain import when_to_retrain

ROWS = 120
INTERNALS = ("Traceback", "tensor(", "KeyError", "IndexError", "dtype", "torch.", "pandas.", "np.")


class Plant(cs.SCM):
    site = cs.Observed(cs.Categorical(["a", "b"]))
    load = cs.Observed(cs.Real(), mechanism=cs.Linear())
    queue = cs.Observed(cs.Real(), parents=[load, site], mechanism=cs.Linear())
    spare = cs.Observed(cs.Real(size=2), mechanism=cs.Linear())
    delay = cs.Observed(cs.Real(), parents=[queue], mechanism=cs.Linear())

    @cs.equation(cs.Real())
    def twice(queue):
        return 2 * queue


class Queue(cs.SCM):
    work = cs.Observed(cs.Positive())
    queue = cs.State(cs.Positive(), initial=0.0)

    @cs.transition(queue)
    def drain(queue, work):
        return (queue + work - 2.0).clamp(min=0)


def plant(seed: int, rows: int = ROWS, **changes: Any) -> pd.DataFrame:
    """Good rows, with these columns changed; a column that is None is dropped."""
    rng = np.random.default_rng(seed)
    site, load = rng.choice(["a", "b"], rows), rng.normal(size=rows)
    queue = load + (site == "a") + 0.5 * rng.normal(size=rows)
    columns = {
        "site": site,
        "load": load,
        "queue": queue,
        "spare_0": rng.normal(size=rows),
        "spare_1": rng.normal(size=rows),
        "delay": 2 * queue + rng.normal(size=rows),
    }
    return pd.DataFrame({k: v for k, v in (columns | changes).items() if v is not None})


BEFORE, AFTER = plant(1), plant(2)


def after(name: str, value: Any) -> pd.DataFrame:
    """Good rows, but for one cell in row 3."""
    column = AFTER[name].astype(object)
    column[3] = value
    return plant(2, **{name: column})


def twice(rows: pd.DataFrame) -> Any:
    return 2 * rows["queue"]


def moody(rows: Any) -> Any:
    """A predictor that is right on average, and never twice the same."""
    return 2 * rows["queue"] + np.random.default_rng().normal(size=len(rows))


class Interval:
    """A predictor with intervals of a kind."""

    def __init__(self, found: Callable[[int], Any]) -> None:
        self.found = found

    def predict(self, rows: Any) -> Any:
        return np.asarray(rows)[:, 0]

    def predict_interval(self, rows: Any, level: float) -> Any:
        return self.found(len(rows))


@dataclass(frozen=True)
class World:
    """What the cases are about."""

    plant: cs.FittedSCM
    queue: cs.FittedSCM
    seen: Any

    def audit(self, predictor: Any = twice, **how: Any) -> Any:
        return cs.audit(self.plant, predictor, **({"target": "delay", "inputs": ["queue"]} | how))

    def compare(self, candidate: Any = twice, **how: Any) -> Any:
        usual = {"fitted": self.plant, "target": "delay", "inputs": ["queue"], "rows": 20}
        return cs.compare(twice, candidate, AFTER, **(usual | how))

    def shifted(self, do: Any = None, noises: Any = None) -> Any:
        return self.compare(shifts=[cs.Shift("s", do or {}, noises or {})])

    def model(self, **how: Any) -> Any:
        return cs.CausalPredictor(**({"model": self.plant, "target": "delay"} | how))

    def fit(self, y: Any = None, **how: Any) -> Any:
        return self.model(**how).fit(INPUTS, TRUTH if y is None else y)


Act = Callable[[World], object]
Told = tuple[Act, type[CausalSysError], str, str]
INPUTS, TRUTH = AFTER.drop(columns="delay"), AFTER["delay"]


def raises(rows: pd.DataFrame) -> Any:
    raise ValueError("out of\norder")


def big(rows: pd.DataFrame) -> Any:
    if len(rows) == ROWS:
        raise ValueError("a row of the period")
    return rows["queue"]


PREDICTORS: list[tuple[Any, str]] = [
    (raises, "it raises ValueError: out of."),
    (lambda rows: 1 // 0, "zero"),
    (lambda rows: np.zeros(3), "shape (3,)"),
    (lambda rows: np.zeros((len(rows), 2)), "shape (32, 2)"),
    (lambda rows: 1.0, "shape ()"),
    (lambda rows: None, "shape ()"),
    (lambda rows: rows["queue"] * np.nan, "32 of 32"),
    (lambda rows: np.full(len(rows), np.inf), "32 of 32"),
    (lambda rows: ["1"] * len(rows), "no numbers"),
    (lambda rows: rows["queue"].to_numpy() * 1j, "no numbers"),
    (lambda rows: pd.date_range("2024", periods=len(rows)), "no numbers"),
    (3, "neither a function"),
    (None, "neither a function"),
    (torch.nn.Linear(3, 1), "it raises RuntimeError"),
]

AUDITS: list[Told] = [
    (lambda w: w.audit(target="dealy"), UnknownNameError, "dealy", "Did you mean delay?"),
    (lambda w: w.audit(target=["delay"]), UnknownNameError, "['delay']", "no such name"),
    (lambda w: w.audit(target="site"), QueryError, "site", "a category"),
    (lambda w: w.audit(target="spare"), QueryError, "spare", "a vector"),
    (lambda w: w.audit(inputs=["queu"]), UnknownNameError, "queu", "Did you mean queue?"),
    (lambda w: w.audit(inputs="queue"), PredictorError, "twice", "inputs=['queue']"),
    (lambda w: w.audit(inputs=3), PredictorError, "twice", "no list"),
    (lambda w: w.audit(inputs=[]), PredictorError, "twice", "no inputs"),
    (lambda w: w.audit(inputs=["queue"] * 2), PredictorError, "twice", "twice"),
    (lambda w: w.audit(inputs=["delay"]), PredictorError, "twice", "the target itself"),
    (lambda w: w.audit(inputs=["spare"]), PredictorError, "twice", "the vector spare"),
    (lambda w: w.audit(inputs=["spare_1"]), PredictorError, "twice", "the vector spare"),
    (lambda w: w.audit(error="abs"), QueryError, "error", "'abs'"),
    (lambda w: w.audit(error=lambda t, p: 1 / 0).slices(AFTER), QueryError, "error", "zero"),
    (lambda w: w.audit(error=lambda t, p: t[:3]).slices(AFTER), QueryError, "error", "(3,)"),
    (lambda w: w.audit(error=lambda t, p: "a").slices(AFTER), QueryError, "error", "str"),
    (lambda w: cs.audit(Plant, twice, target="delay"), QueryError, "fitted", "not fitted"),
    (lambda w: cs.audit(None, twice, target="delay"), QueryError, "fitted", "not fitted"),
    (lambda w: cs.audit(w.queue, twice, target="work"), QueryError, "work", "lags or states"),
    (lambda w: w.audit(big).slices(AFTER), PredictorError, "big", "a row of the period"),
]

ROWS_OF_AUDITS: list[tuple[Any, type[CausalSysError], str, str]] = [
    (3, DataError, "{}", "int"),
    (AFTER["load"], DataError, "{}", "Series"),
    (AFTER[:0], DataError, "{}", "no rows"),
    (AFTER.set_axis([0] * ROWS), DataError, "{}", "row label 0 more than once"),
    (pd.concat([AFTER, AFTER[["load"]]], axis=1), DataError, "load", "two columns"),
    (pd.concat({"x": AFTER}, axis=1), EvidenceError, "{}", "2 levels"),
    (plant(2, queue=None), UnknownNameError, "queue", "in the rows"),
    (plant(2, queue=None, queu=1.0), MissingColumnError, "queue", "Did you mean 'queu'?"),
    (plant(2, delay=None), EvidenceError, "delay", "no value"),
    (plant(2, spare_1=None), MissingColumnError, "spare", "spare_1"),
    (after("delay", np.nan), EvidenceError, "delay", "no value"),
    (after("queue", np.nan), PredictorError, "twice", "the first in row 3, where queue is missing"),
    (after("queue", np.inf), DataError, "queue", "row 3"),
    (after("queue", "3.5"), DataError, "queue", "'3.5' in row 3"),
    (after("queue", 1e300), EvidenceError, "queue", "beyond 1e+30"),
    (after("site", "c"), OutsideSupportError, "site", "Known levels: a, b"),
    (plant(2, twice=1.0), EvidenceError, "twice", "equation"),
]

PERIODS: list[Told] = [
    (lambda w: w.seen.explain(BEFORE, BEFORE), EvidenceError, "after", "before period too"),
    (lambda w: w.seen.explain(BEFORE, AFTER[:9]), EvidenceError, "after", "9 rows"),
    (lambda w: w.seen.explain(BEFORE[:1], AFTER), EvidenceError, "before", "1 row."),
    (lambda w: w.seen.explain(plant(1, delay=1.0), AFTER), EvidenceError, "delay", "every row"),
    (lambda w: w.seen.monitor(AFTER, normal=AFTER), EvidenceError, "rows", "normal period too"),
    (lambda w: w.seen.monitor(AFTER, normal=BEFORE[:50]), EvidenceError, "normal", "50 rows"),
    (lambda w: w.seen.monitor(AFTER[::-1], normal=BEFORE), EvidenceError, "rows", "not in order"),
    (
        lambda w: cs.monitor(
            w.plant, timed(AFTER, "2024-01-02"), normal=timed(BEFORE, "2024-01-01")
        ),
        EvidenceError,
        "rows",
        "normal period",
    ),
    (
        lambda w: cs.monitor(w.plant, timed(AFTER, "2025", tz="UTC"), normal=timed(BEFORE, "2024")),
        EvidenceError,
        "rows",
        "time zone",
    ),
    (lambda w: w.seen.slices(AFTER[:30]), EvidenceError, "rows", "30 rows"),
    (lambda w: unusual(w.plant, AFTER, normal=AFTER), EvidenceError, "rows", "normal period too"),
    (lambda w: unusual(w.plant, AFTER, normal=BEFORE[:9]), EvidenceError, "normal", "9 rows"),
    (lambda w: w.seen.explain_row(AFTER[:2]), EvidenceError, "row", "2 rows"),
    (lambda w: w.seen.explain_row({"queue": 1.0}), EvidenceError, "delay", "no value"),
    (
        lambda w: w.seen.explain_row({"queue": 1.0, "dealy": 1.0}),
        UnknownNameError,
        "dealy",
        "delay?",
    ),
]


def timed(rows: pd.DataFrame, start: str, **how: Any) -> pd.DataFrame:
    return rows.set_axis(pd.date_range(start, periods=len(rows), freq="h", **how))


def no(*given: Any) -> tuple[Any, ...]:
    return given


SHARES, SEEDS = no(0, 1, 1.5, np.nan, "a", None, True), no(-1, 0.5, "a", None, True)
"""What is no share, and what is no seed."""

ARGUMENTS: list[tuple[Callable[..., Any], str, tuple[Any, ...]]] = [
    (lambda w, **k: w.seen.explain(BEFORE, AFTER, **k), "draws", no(0, 2.5, "a", None)),
    (lambda w, **k: w.seen.explain(BEFORE, AFTER, **k), "level", SHARES),
    (lambda w, **k: w.seen.explain(BEFORE, AFTER, **k), "seed", SEEDS),
    (lambda w, **k: w.seen.attribute(AFTER, **k), "of", no("err", None, 3)),
    (lambda w, **k: w.seen.attribute(AFTER, **k), "method", no("x", None)),
    (lambda w, **k: w.seen.attribute(AFTER, **k), "permutations", no(0, 1, 2.5, "a")),
    (lambda w, **k: w.seen.attribute(AFTER, **k), "background", no(0, "a", AFTER)),
    (lambda w, **k: w.seen.attribute(AFTER, **k), "seed", SEEDS),
    (lambda w, **k: w.seen.explain_row(AFTER[:1], **k), "tolerance", no(0, -1, "a", np.nan, True)),
    (lambda w, **k: w.seen.explain_row(AFTER[:1], **k), "seed", SEEDS),
    (lambda w, **k: w.seen.slices(AFTER, refit=False, **k), "columns", no("load", 3)),
    (lambda w, **k: cs.find_slices(AFTER, TRUTH, **k), "columns", no("load", 3)),
    (lambda w, **k: cs.find_slices(AFTER, TRUTH, **k), "methods", no([], "tree", ["tre"], None, 3)),
    (lambda w, **k: cs.find_slices(AFTER, TRUTH, **k), "most", no(0, 1.5, "a", True)),
    (lambda w, **k: cs.find_slices(AFTER, TRUTH, **k), "least", no(1, 1.5, "a")),
    (lambda w, **k: cs.find_slices(AFTER, TRUTH, **k), "level", SHARES),
    (lambda w, **k: cs.find_slices(AFTER, TRUTH, **k), "seed", SEEDS),
    (lambda w, **k: cs.monitor(w.plant, AFTER, normal=BEFORE, **k), "nodes", no([], "load", 3)),
    (lambda w, **k: cs.monitor(w.plant, AFTER, normal=BEFORE, **k), "false_alarms", SHARES),
    (lambda w, **k: cs.monitor(w.plant, AFTER, normal=BEFORE, **k), "per", no(0, "a", None, 2.5)),
    (lambda w, **k: cs.monitor(w.plant, AFTER, normal=BEFORE, **k), "folds", no(1, -1, "a", None)),
    (lambda w, **k: cs.monitor(w.plant, AFTER, normal=BEFORE, **k), "seed", SEEDS),
    (lambda w, **k: cs.monitor(w.plant, AFTER, normal=BEFORE, **k), "errors", no(3, {"e": 3})),
    (
        lambda w, **k: monitor_objective([0.5] * 9, **({"limit": 1.0, "share": 0.1} | k)),
        "limit",
        no("a", np.nan, np.inf, True),
    ),
    (lambda w, **k: monitor_objective([True] * 9, **k), "share", SHARES),
    (lambda w, **k: monitor_objective([True] * 9, share=0.1, **k), "block", no(0, 1.5, "a")),
    (lambda w, **k: monitor_objective([True] * 9, share=0.1, **k), "name", no(3, None)),
    (lambda w, **k: unusual(w.plant, AFTER, normal=BEFORE, **k), "level", SHARES),
    (lambda w, **k: unusual(w.plant, AFTER, normal=BEFORE, **k), "seed", SEEDS),
    (lambda w, **k: Calibrated.of(TRUTH, TRUTH, **k), "level", SHARES),
    (
        lambda w, **k: Calibrated.of(TRUTH, TRUTH).quantiles(TRUTH, **k),
        "at",
        no(0.5, [], ["a"], [1]),
    ),
    (lambda w, **k: w.compare(**k), "level", SHARES),
    (lambda w, **k: w.compare(**k), "rows", no(1, 2.5, "a", None)),
    (lambda w, **k: w.compare(**k), "seed", SEEDS),
    (lambda w, **k: w.compare(**k), "shifts", no(3, None, "abc", ["a"])),
    (lambda w, **k: w.fit(**k), "level", SHARES),
    (lambda w, **k: w.fit(**k), "calibration", no(-1, 1, "a", None)),
    (lambda w, **k: w.fit(**k), "ensemble", no(0, "a")),
    (lambda w, **k: w.fit(**k), "seed", SEEDS),
    (lambda w, **k: w.fit(**k), "inputs", no("load", 3, [])),
    (lambda w, **k: w.fit(**k), "model", no(3, "x", Plant.fit)),
    (lambda w, **k: w.model().predict_interval(INPUTS, **k), "level", no(0, 1, "a", [0.5])),
    (lambda w, **k: w.model().predict_quantiles(INPUTS, **k), "levels", no(0.5, [], ["a"], [1])),
]

DETECT: list[Told] = [
    (lambda w: cs.find_slices(AFTER, TRUTH[:3]), EvidenceError, "errors", "shape (3,)"),
    (lambda w: cs.find_slices(AFTER, TRUTH[::-1]), EvidenceError, "errors", "labels"),
    (lambda w: cs.find_slices(AFTER, TRUTH.astype(str)), EvidenceError, "errors", "no numbers"),
    (lambda w: cs.find_slices(AFTER, TRUTH * np.nan), EvidenceError, "errors", "not finite"),
    (lambda w: cs.find_slices(AFTER, TRUTH * 1e200), EvidenceError, "errors", "1e+30"),
    (lambda w: cs.find_slices(AFTER, TRUTH, columns=["laod"]), UnknownNameError, "laod", "load?"),
    (lambda w: cs.find_slices([1], TRUTH), DataError, "rows", "list"),
    (lambda w: cs.monitor(Plant, AFTER, normal=BEFORE), QueryError, "fitted", "not fitted"),
    (lambda w: cs.monitor(w.queue, AFTER, normal=BEFORE), QueryError, "Queue", "states or lags"),
    (
        lambda w: cs.monitor(w.plant, AFTER, normal=BEFORE, nodes=["laod"]),
        UnknownNameError,
        "laod",
        "load",
    ),
    (
        lambda w: cs.monitor(w.plant, AFTER, normal=BEFORE, errors={"e": (TRUTH, TRUTH[:3])}),
        EvidenceError,
        "e",
        "shapes",
    ),
    (lambda w: unusual(Plant, AFTER, normal=BEFORE), QueryError, "fitted", "not fitted"),
    (
        lambda w: unusual(w.plant, AFTER, normal=BEFORE, target="dealy"),
        UnknownNameError,
        "dealy",
        "delay?",
    ),
    (lambda w: monitor_objective(None, share=0.1), EvidenceError, "values", "NoneType"),
    (lambda w: monitor_objective([], share=0.1), EvidenceError, "values", "shape (0,)"),
    (lambda w: monitor_objective({True, False}, share=0.1), EvidenceError, "values", "set"),
    (lambda w: monitor_objective(["1"], share=0.1), EvidenceError, "values", "numbers"),
    (lambda w: monitor_objective([0.5], share=0.1), EvidenceError, "values", "no limit"),
    (lambda w: monitor_objective([np.nan], share=0.1), EvidenceError, "values", "no known value"),
    (
        lambda w: monitor_objective(timed(AFTER, "2024")["delay"][::-1], limit=1.0, share=0.1),
        EvidenceError,
        "values",
        "not in order",
    ),
    (lambda w: Calibrated.of(TRUTH, TRUTH[:3]), EvidenceError, "prediction", "3 rows"),
    (lambda w: Calibrated.of(TRUTH, TRUTH.astype(str)), EvidenceError, "prediction", "no numbers"),
    (lambda w: Calibrated.of(TRUTH, TRUTH * np.nan), EvidenceError, "prediction", "not finite"),
    (lambda w: Calibrated.of(TRUTH[:5], TRUTH[:5]), EvidenceError, "calibration", "5 rows"),
    (lambda w: Calibrated.of(TRUTH, TRUTH, spread=0 * TRUTH), EvidenceError, "spread", "positive"),
    (lambda w: Calibrated.of(TRUTH, TRUTH, group=[None] * ROWS), EvidenceError, "group", "without"),
    (lambda w: Calibrated.of(TRUTH, TRUTH, inputs=3), EvidenceError, "inputs", "int"),
    (lambda w: Calibrated.of(TRUTH, TRUTH).outside(INPUTS), EvidenceError, "inputs", "none"),
    (
        lambda w: Calibrated.of(TRUTH, TRUTH, inputs=INPUTS).outside(INPUTS.assign(load="x")),
        EvidenceError,
        "load",
        "no numbers",
    ),
]

REPLACE: list[Told] = [
    (lambda w: w.compare(target="dealy"), UnknownNameError, "dealy", "delay?"),
    (lambda w: w.compare(fitted=None), QueryError, "fitted", "no fitted model"),
    (lambda w: w.compare(fitted=Plant), QueryError, "fitted", "not fitted"),
    (lambda w: w.compare(raises), PredictorError, "raises", "out of"),
    (
        lambda w: w.compare().figure("as lodged", "error"),
        UnknownNameError,
        "as lodged: error",
        "as logged: error",
    ),
    (lambda w: w.compare(Interval(lambda n: 1 / 0)), PredictorError, "Interval", "zero"),
    (lambda w: w.compare(Interval(lambda n: "abc")), PredictorError, "Interval", "no numbers"),
    (lambda w: w.compare(Interval(lambda n: np.ones((n, 3)))), PredictorError, "Interval", "3)"),
    (
        lambda w: w.compare(Interval(lambda n: np.tile([1.0, 0.0], (n, 1)))),
        PredictorError,
        "Interval",
        "above the upper",
    ),
    (lambda w: w.shifted(), InterventionError, "s", "a shift of nothing"),
    (lambda w: w.shifted(3), InterventionError, "s", "int"),
    (lambda w: w.shifted({"laod": 1.0}), UnknownNameError, "laod", "load?"),
    (lambda w: w.shifted({"delay": 1.0}), InterventionError, "delay", "the target's own"),
    (lambda w: w.shifted({"load": np.nan}), InterventionError, "load", "finite"),
    (lambda w: w.shifted({"site": {"c": 1.0}}), UnknownNameError, "c", "the levels of site"),
    (lambda w: w.shifted({"site": {"a": "x"}}), InterventionError, "site", "'x'"),
    (lambda w: w.shifted({"site": {"a": -1.0}}), InterventionError, "site", "-1.0"),
    (lambda w: w.shifted(noises={"load": 3}), InterventionError, "load", "3"),
    (lambda w: w.shifted(noises={"load": (1, "x")}), InterventionError, "load", "'x'"),
    (lambda w: w.shifted(noises={"load": (0, -1)}), InterventionError, "load", "-1"),
    (lambda w: w.shifted(noises={"site": (0, 2)}), InterventionError, "site", "no scale"),
    (lambda w: cs.Shift.noise("load", scale=-1), InterventionError, "load", "-1"),
    (lambda w: w.fit(TRUTH[:3]), EvidenceError, "y", "(3,)"),
    (lambda w: w.fit(TRUTH[::-1]), EvidenceError, "y", "another order"),
    (lambda w: w.fit(TRUTH.astype(str)), EvidenceError, "y", "number"),
    (lambda w: w.fit(target="dealy"), UnknownNameError, "dealy", "delay?"),
    (lambda w: w.fit(inputs=["delay"]), QueryError, "delay", "an effect of it"),
    (lambda w: w.model(error="abs").predict(INPUTS), QueryError, "error", "'abs'"),
    (lambda w: w.model().predict(None), EvidenceError, "X", "NoneType"),
    (lambda w: w.model().predict(pd.concat({"x": INPUTS}, axis=1)), EvidenceError, "X", "2 levels"),
    (lambda w: w.model().predict(np.zeros((3, 2))), EvidenceError, "X", "without names"),
    (lambda w: w.model().predict(INPUTS.assign(load=np.inf)), DataError, "load", "infinite"),
    (lambda w: w.model().calibrate(INPUTS[:3], TRUTH[:3]), EvidenceError, "calibration", "3 rows"),
    (lambda w: w.model(context=["laod"]).parts(INPUTS), UnknownNameError, "laod", "load?"),
    (lambda w: w.model().adapt(INPUTS), QueryError, "model", "no hidden class"),
]

TIMES = pd.date_range("2024", periods=ROWS, freq="6h")
DATED = AFTER.assign(time=TIMES)


def replayed(rows: Any = DATED, **how: Any) -> object:
    usual: dict[str, Any] = {
        "target": "delay",
        "inputs": ["queue"],
        "time": "time",
        "labelled": 60,
        "rule": RetrainingRule(2, 30.0),
        "error": "absolute",
    }
    return replay(rows, **(usual | how))


def due(**how: Any) -> object:
    usual = {"target": "delay", "now": 0.1, "then": 0.1, "horizon": 100, "cost": 1.0}
    return when_to_retrain(how.pop("found", None), **(usual | how))


RETRAIN: list[Told] = [
    (lambda w: replayed([1]), DataError, "rows", "list"),
    (lambda w: replayed(target="dealy"), MissingColumnError, "dealy", "Did you mean 'delay'?"),
    (lambda w: replayed(inputs="queue"), QueryError, "inputs", "['queue']"),
    (lambda w: replayed(inputs=[]), QueryError, "inputs", "none"),
    (lambda w: replayed(time="load"), DataError, "load", "no dates"),
    (lambda w: replayed(DATED[::-1]), EvidenceError, "time", "out of order"),
    (lambda w: replayed(labelled=3), EvidenceError, "labelled", "3 of 120"),
    (lambda w: replayed(labelled="a"), QueryError, "labelled", "'a'"),
    (lambda w: replayed(alarm=1.5), QueryError, "alarm", "1.5"),
    (lambda w: replayed(rule=3), QueryError, "rule", "3"),
    (lambda w: replayed(DATED.assign(queue="1")), EvidenceError, "queue", "no finite number"),
    (lambda w: replayed(DATED.assign(delay=np.nan)), EvidenceError, "delay", "no finite number"),
    (lambda w: RetrainingRule("a", 3.0), QueryError, "budget", "'a'"),
    (lambda w: RetrainingRule(1, np.nan), QueryError, "horizon", "nan"),
    (lambda w: RetrainingRule(1, 3.0, early=2), QueryError, "early", "2"),
    (lambda w: due(now="a"), QueryError, "now", "'a'"),
    (lambda w: due(cost=-1), QueryError, "cost", "-1"),
    (lambda w: due(then=np.nan), QueryError, "then", "nan"),
    (lambda w: due(then=([1], [2.0]), labels=3), EvidenceError, "then", "1 numbers"),
    (lambda w: due(then=([0, 1], [2.0, 1.0]), labels=3), EvidenceError, "then", "no labels"),
    (lambda w: due(found=3), QueryError, "found", "3"),
    (lambda w: due(found=[3]), QueryError, "found", "list"),
]

LENGTH = torch.tensor([1.0, 4.0])


def guarded(policy: Any = lambda length: length, **how: Any) -> Any:
    return cs.Guarded(policy, how.pop("fallback", lambda length: length.clamp(max=2)), **how)


def told(rail: Any) -> Any:
    return guarded(rails=[cs.rails.When(rail, name="rail")])(length=LENGTH)


GUARDS: list[Told] = [
    (lambda w: guarded(3), InterventionError, "policy", "int"),
    (lambda w: guarded(fallback=None), InterventionError, "fallback", "NoneType"),
    (lambda w: guarded(rails=cs.rails.When(len)), InterventionError, "rails", "list"),
    (lambda w: guarded(rails=["x"]), InterventionError, "rails", "str"),
    (lambda w: guarded(hold=3), InterventionError, "hold", "int"),
    (lambda w: guarded(support=3), InterventionError, "support", "int"),
    (lambda w: guarded()(legnth=LENGTH), UnknownNameError, "length", "legnth?"),
    (
        lambda w: guarded(fallback=lambda length: length * np.nan)(length=LENGTH),
        InterventionError,
        "<lambda>",
        "not finite",
    ),
    (
        lambda w: guarded(fallback=lambda length: -length, support=cs.Positive())(length=LENGTH),
        InterventionError,
        "<lambda>",
        "outside the support",
    ),
    (lambda w: told(lambda length: 1 / 0), InterventionError, "rail", "zero"),
    (lambda w: told(lambda length: None), InterventionError, "rail", "NoneType"),
    (lambda w: told(lambda length: length * 2), InterventionError, "rail", "numbers"),
    (lambda w: told(lambda length: torch.ones(7) > 0), InterventionError, "rail", "7"),
    (lambda w: cs.rails.Uncertain(most="a"), InterventionError, "most", "'a'"),
    (lambda w: cs.rails.Uncertain(ensemble=3), InterventionError, "ensemble", "3"),
    (lambda w: cs.rails.KnownBad(3, columns=["a"]), InterventionError, "rails", "int"),
]


def named(predictor: Any) -> str:
    return str(getattr(predictor, "__name__", type(predictor).__name__))


def compared(world: World, rows: Any) -> object:
    return cs.compare(
        twice, twice, rows, fitted=world.plant, target="delay", inputs=["queue"], rows=20
    )


CASES: list[Told] = [
    *((lambda w, p=p: w.audit(p), PredictorError, named(p), says) for p, says in PREDICTORS),
    *AUDITS,
    *(
        (lambda w, d=data, v=verb: v(w, d), error, about.format(what), says)
        for what, verb in (
            ("rows", lambda w, d: w.seen.slices(d)),
            ("rows", lambda w, d: w.seen.monitor(d, normal=BEFORE)),
            ("after", lambda w, d: w.seen.explain(BEFORE, d)),
            ("before", lambda w, d: w.seen.explain(d, AFTER)),
            ("rows", compared),
        )
        for data, error, about, says in ROWS_OF_AUDITS
    ),
    *PERIODS,
    *(
        (lambda w, a=act, n=name, v=value: a(w, **{n: v}), QueryError, name, "")
        for act, name, values in ARGUMENTS
        for value in values
    ),
    *DETECT,
    *REPLACE,
    *RETRAIN,
    *GUARDS,
]


@pytest.fixture(scope="module")
def world() -> World:
    fitted = Plant.fit(plant(0, 300), ensemble=2)
    rng = np.random.default_rng(3)
    steps = {"trace": ["a"] * 20 + ["b"] * 20, "step": [*range(20), *range(20)]}
    queue = Queue.fit(cs.Traces(pd.DataFrame(steps | {"work": rng.exponential(size=40)})))
    return World(fitted, queue, cs.audit(fitted, twice, target="delay", inputs=["queue"]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[2]}: {case[3]}")
def test_a_mistake_is_told_in_full(case: Told, world: World) -> None:
    act, error, about, says = case
    was = BEFORE.copy(deep=True), AFTER.copy(deep=True)
    with pytest.raises(error) as raised:
        act(world)
    found = raised.value
    message = str(found)
    assert found.variable.startswith(about)
    assert found.found.strip()
    assert found.mend.strip()
    assert says in message
    assert "\n" not in message
    assert len(message) < 400
    assert not [word for word in INTERNALS if word in message]
    pd.testing.assert_frame_equal(BEFORE, was[0])
    pd.testing.assert_frame_equal(AFTER, was[1])


ANSWERS: list[tuple[str, Callable[[Any], object]]] = [
    ("explain", lambda seen: seen.explain(BEFORE, AFTER, draws=20)),
    ("explain_row", lambda seen: seen.explain_row(AFTER[:1])),
    ("slices", lambda seen: seen.slices(AFTER)),
    ("monitor", lambda seen: seen.monitor(AFTER, normal=BEFORE, folds=0)),
    ("attribute", lambda seen: seen.attribute(AFTER[:5])),
]


@pytest.mark.parametrize(("verb", "ask"), ANSWERS, ids=[verb for verb, _ in ANSWERS])
def test_a_predictor_of_chance_is_told_in_every_answer(
    verb: str, ask: Callable[[Any], object], world: World
) -> None:
    assert "moody is not deterministic" in str(ask(world.audit(moody)))
    assert "deterministic" not in str(ask(world.seen))


def test_a_predictor_of_chance_is_told_in_comparisons(world: World) -> None:
    assert "moody is not deterministic" in str(world.compare(moody))
    assert "deterministic" not in str(world.compare())


@pytest.mark.parametrize(("verb", "ask"), ANSWERS, ids=[verb for verb, _ in ANSWERS])
def test_a_predictor_that_writes_into_its_rows_changes_nobody_s(
    verb: str, ask: Callable[[Any], object], world: World
) -> None:
    def writes(rows: pd.DataFrame) -> Any:
        found = 2 * rows["queue"]
        rows["queue"] = 0.0
        return found

    was = AFTER.copy(deep=True)
    written, read = ask(world.audit(writes)), ask(world.seen)
    assert str(written).replace("writes", "twice") == str(read)
    pd.testing.assert_frame_equal(AFTER, was)


def test_an_equation_that_has_no_column_is_computed(world: World) -> None:
    by_equation = world.audit(lambda rows: rows["twice"], inputs=["twice"]).slices(AFTER)
    assert by_equation.found.mean == pytest.approx(world.seen.slices(AFTER).found.mean, rel=1e-12)


def test_what_could_not_be_watched_or_judged_is_said(world: World) -> None:
    fewer = AFTER.drop(columns="load")
    assert "Not watched" in str(cs.monitor(world.plant, fewer, normal=BEFORE, folds=0))
    assert "Hardly judged" in str(unusual(world.plant, fewer, normal=BEFORE, target="delay"))


def test_a_target_that_got_stuck_is_said(world: World) -> None:
    found = world.seen.explain(BEFORE, plant(2, delay=1.0), draws=20)
    assert "delay is 1 in every row after" in str(found)


def test_swapped_predictors_have_swapped_figures(world: World) -> None:
    def thrice(rows: pd.DataFrame) -> Any:
        return 3 * rows["queue"]

    asked: dict[str, Any] = {
        "fitted": world.plant,
        "target": "delay",
        "inputs": ["queue"],
        "rows": 50,
    }
    one, other = (cs.compare(*pair, AFTER, **asked) for pair in ((twice, thrice), (thrice, twice)))
    for first, second in zip(one.figures, other.figures, strict=True):
        assert (first.incumbent, first.candidate) == (second.candidate, second.incumbent)
        # Interpolated quantiles of the same draws, but for rounding.
        assert first.difference == pytest.approx(tuple(-end for end in second.difference)[::-1])
