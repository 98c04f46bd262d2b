"""`cs.compare`: does a candidate do better than the incumbent, everywhere, and at what cost?

On rows as logged, and on rows that the model draws as it is and under each shift of its exogenous
parts. Both predictors see the same rows, so their errors are compared in pairs, with intervals by a
bootstrap of the rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.predictor import Predictor, predictor_of
from causalsys.audit.subject import Subject
from causalsys.detect.loss import Loss, Values, loss_of, real_numbers
from causalsys.engine.base import one_thread
from causalsys.errors import CausalSysError, InterventionError, PredictorError, QueryError, brief
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import count, fitted_model, share
from causalsys.replace.comparison import Comparison, Cost, Figure
from causalsys.replace.rows import target_of
from causalsys.replace.shifts import Shift, draw

if TYPE_CHECKING:
    import pandas as pd

_DRAWS = 400
"""Bootstrap draws of the rows."""
_LEVELS = tuple(round(0.1 * i, 1) for i in range(1, 10))
"""The levels at which quantiles are compared with the truth."""
_TIMED = 200
"""Rows that are predicted to take the time."""
LOGGED, DRAWN = "as logged", "drawn by the model"

_OF_THE_MODEL = (
    "Intervals of rows that the model draws take the fitted model as true: how far off its "
    "parameters are is not in them."
)


@dataclass(frozen=True)
class Contender:
    """One of the two predictors.

    Attributes:
        face: The predictor.
        interval: Its intervals for a frame, `[row, 2]`; None where it gives none.
        quantiles: Its quantiles at some levels, `[row, level]`; None where it gives none.
        cost: What it costs.
    """

    face: Predictor
    interval: Callable[[pd.DataFrame], Values] | None
    quantiles: Callable[[pd.DataFrame], Values] | None
    cost: Cost


@one_thread()
def compare(
    incumbent: object,
    candidate: object,
    data: object,
    *,
    shifts: Sequence[Shift] = (),
    target: str | None = None,
    fitted: Fitted | None = None,
    error: str | Callable[[Values, Values], Values] | Loss | None = None,
    inputs: Sequence[str] | None = None,
    rows: int = 2000,
    level: float = 0.9,
    seed: int = 0,
) -> Comparison:
    """Compare two predictors of one target, as logged and under shifts.

    Args:
        incumbent: The predictor in use: a function of a frame, an object with `predict`, or a
            torch module.
        candidate: The one that may replace it, for example a `cs.CausalPredictor`.
        data: Held-out rows with the target: neither predictor was fitted to them.
        shifts: `cs.Shift`s of the causes of the target.
        target: What is predicted; the candidate's own, where it is a causal predictor.
        fitted: The model that draws the rows under shifts; the candidate's own likewise. There
            the candidate is judged by what it believes: a model that is wrong flatters a
            predictor built on it, which the line "drawn by the model" beside "as logged" shows.
        error: How wrong a prediction is; the candidate's own, else "absolute".
        inputs: The columns of a predictor that does not remember their names, in its order.
        rows: Rows to draw under each shift.
        level: The share of rows that intervals should cover.
        seed: Fixes the rows that are drawn, and the bootstrap.

    Raises:
        QueryError: The model, or the target, is neither given nor the candidate's.
        PredictorError: A predictor fails on some rows.
        DataError: The rows do not fit the model.

    Example:
        >>> import causalsys as cs
        >>> import numpy as np
        >>> from causalsys.replace.predictor import CausalPredictor
        >>> rng = np.random.default_rng(0)
        >>> load = rng.uniform(1.0, 2.0, 600)
        >>> rows = {"load": load, "latency": 3 * load + rng.normal(0, 0.1, 600)}
        >>> model = cs.SCM.from_graph([("load", "latency")]).fit(rows, ensemble=2)
        >>> candidate = CausalPredictor(model, target="latency")
        >>> more = Shift("more load", {"load": lambda load: load + 1})
        >>> found = compare(lambda frame: 3 * frame["load"] + 1, candidate, rows, shifts=[more])
        >>> found.worse, found.figure("more load", "error").ratio < 0.5
        ((), True)

    Source: intervals of differences are percentile intervals over a bootstrap of the pairs (Efron
        and Tibshirani, 1993, section 13.3); calibration and sharpness of what is said beside the
        point: Gneiting, Balabdaoui and Raftery (JRSS B 2007).
    """
    model = _model_of(candidate, None if fitted is None else fitted_model(fitted))
    seed = count(seed, "seed", least=0)
    name = target_of(model, target or getattr(candidate, "target_", None) or _own(candidate))
    loss = loss_of(error if error is not None else getattr(candidate, "error", "absolute"))
    shifts = _check(level, rows, shifts)
    both = tuple(_contender(each, model, name, inputs, level) for each in (incumbent, candidate))
    both = _told_apart(both)
    logged = Subject(model, both[0].face, name, loss).period(data, least=2)
    both = tuple(replace(c, face=c.face.probed(logged.rows)) for c in both)
    frames: dict[str, pd.DataFrame] = {
        LOGGED: logged.rows,
        DRAWN: draw(model, rows, do={}, seed=seed),
    }
    for shift in shifts:
        if shift.name in frames:
            raise InterventionError(
                shift.name, found="two shifts of this name", mend="Name each in its own way."
            )
        frames[shift.name] = shift.drawn(model, rows, seed=seed, target=name)
    generator = np.random.default_rng(seed)
    figures: list[Figure] = []
    for where, frame in frames.items():
        truth = logged.truth if where == LOGGED else frame[name].to_numpy(dtype=np.float64)
        figures += _figures(where, both, frame, truth, loss, level=level, generator=generator)
    costs = tuple(replace(c.cost, seconds=_seconds(c.face, logged.rows)) for c in both)
    return Comparison(
        (both[0].face.name, both[1].face.name),
        tuple(figures),
        costs,
        loss.name,
        level,
        name,
        (*both[0].face.notes, *both[1].face.notes, _OF_THE_MODEL),
    )


def _own(candidate: Any) -> str | None:
    given = getattr(candidate, "target", None)
    return given if isinstance(given, str) else None


def _model_of(candidate: Any, fitted: Fitted | None) -> Fitted:
    for given in (fitted, getattr(candidate, "fitted_", None), getattr(candidate, "model", None)):
        if isinstance(given, Fitted):
            return given
    raise QueryError(
        "fitted",
        found="no fitted model, and a candidate without one",
        mend="Give it: compare(..., fitted=model, target=...).",
    )


def _check(level: float, rows: int, shifts: Sequence[Shift]) -> tuple[Shift, ...]:
    share(level, "level")
    count(rows, "rows", least=2)
    if isinstance(shifts, str | Shift) or not isinstance(shifts, Iterable):
        raise QueryError("shifts", found=repr(shifts), mend="Give a list of cs.Shift(...).")
    given = tuple(shifts)
    if not all(isinstance(shift, Shift) for shift in given):
        raise QueryError("shifts", found=repr(given), mend="Give a list of cs.Shift(...).")
    return given


def _contender(
    given: Any, fitted: Fitted, target: str, inputs: Sequence[str] | None, level: float
) -> Contender:
    remembers = getattr(given, "feature_names_in_", None) is not None
    face = predictor_of(given, fitted, target=target, inputs=None if remembers else inputs)
    cost = Cost(len(face.inputs), _parameters(given), float("nan"))
    interval = _band(given, "predict_interval", face, width=2, level=level)
    quantiles = _band(given, "predict_quantiles", face, width=len(_LEVELS), levels=_LEVELS)
    return Contender(face, interval, quantiles, cost)


def _band(
    given: Any, method: str, face: Predictor, *, width: int, **asked: Any
) -> Callable[[pd.DataFrame], Values] | None:
    """What a predictor says of each row beside its prediction, checked; None if it does not."""
    own = getattr(given, method, None)
    if not callable(own):
        return None

    def band(frame: pd.DataFrame) -> Values:
        try:
            answer = own(frame.loc[:, list(face.inputs)], **asked)
        except CausalSysError:
            raise
        except Exception as error:
            raise PredictorError(
                face.name,
                found=f"{method} raises {type(error).__name__}: {brief(error)}",
                mend=f"Let it take {', '.join(asked)}, or leave {method} out.",
            ) from error
        found = real_numbers(answer)
        if found is None:
            raise PredictorError(
                face.name,
                found=f"{method} gives a {type(answer).__name__} that holds no numbers",
                mend=f"Return {width} finite numbers per row.",
            )
        if found.shape != (len(frame), width) or not np.isfinite(found).all():
            raise PredictorError(
                face.name,
                found=f"{method} gives shape {found.shape}, or a NaN, for {len(frame)} rows",
                mend=f"Return {width} finite numbers per row.",
            )
        if (np.diff(found, axis=1) < 0).any():
            raise PredictorError(
                face.name,
                found=f"{method} gives a lower end above the upper",
                mend="Return them in ascending order.",
            )
        return found

    return band


def _told_apart(both: tuple[Contender, ...]) -> tuple[Contender, ...]:
    if both[0].face.name != both[1].face.name:
        return both
    names = ("incumbent", "candidate")
    return tuple(
        replace(c, face=replace(c.face, name=f"{c.face.name} ({name})"))
        for c, name in zip(both, names, strict=True)
    )


def _parameters(given: Any) -> int | None:
    """How many numbers a predictor has learned, where it says so."""
    model = getattr(given, "fitted_", getattr(given, "model", None))
    if isinstance(model, Fitted):
        return sum(t[0].numel() for m in model.mechanisms.values() for t in m.state.values())
    if callable(getattr(given, "parameters", None)):
        return sum(int(p.numel()) for p in given.parameters())
    if hasattr(given, "coef_"):
        return int(np.size(given.coef_) + np.size(getattr(given, "intercept_", 0.0)))
    return None


def _seconds(face: Predictor, frame: pd.DataFrame) -> float:
    """Seconds per 1000 predictions: the fastest of three turns, so that a pause does not count."""
    some = frame.iloc[np.arange(_TIMED) % len(frame)].reset_index(drop=True)
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        face.predict(some)
        taken.append(time.perf_counter() - start)
    return 1000 * min(taken) / _TIMED


def _figures(
    where: str,
    both: tuple[Contender, ...],
    frame: pd.DataFrame,
    truth: Values,
    loss: Loss,
    *,
    level: float,
    generator: np.random.Generator,
) -> list[Figure]:
    """Every measure of both in one place."""
    lost = np.stack([loss(truth, c.face.predict(frame)) for c in both])
    # The same rows are drawn for both: the difference is that of pairs.
    picks = generator.integers(0, len(truth), (_DRAWS, len(truth)))
    drawn = lost[:, picks]
    found = [
        _figure(where, "error", lost.mean(1), drawn.mean(2)),
        _figure(
            where, "95th percentile", np.quantile(lost, 0.95, axis=1), np.quantile(drawn, 0.95, 2)
        ),
    ]
    bounds = [None if c.interval is None else c.interval(frame) for c in both]
    inside, width = _intervals(bounds, truth)
    if np.isfinite(inside).any():
        found.append(
            _figure(where, "coverage", inside.mean(1), inside[:, picks].mean(2), aim=level)
        )
        found.append(_figure(where, "mean width", width.mean(1), width[:, picks].mean(2)))
    found += _missed(where, both, frame, truth, picks)
    return found


def _missed(
    where: str,
    both: tuple[Contender, ...],
    frame: pd.DataFrame,
    truth: Values,
    picks: NDArray[np.int64],
) -> list[Figure]:
    """How far the share of truths below each quantile is from its level."""
    if all(c.quantiles is None for c in both):
        return []
    counts = np.stack([np.bincount(pick, minlength=len(truth)) for pick in picks]) / len(truth)
    values, drawn = np.full(2, np.nan), np.full((2, len(picks)), np.nan)
    for i, contender in enumerate(both):
        if contender.quantiles is not None:
            below = (truth[:, None] <= contender.quantiles(frame)).astype(np.float64)
            values[i] = np.abs(below.mean(0) - _LEVELS).mean()
            drawn[i] = np.abs(counts @ below - _LEVELS).mean(1)
    return [_figure(where, "quantile miss", values, drawn)]


def _intervals(bounds: Sequence[Values | None], truth: Values) -> tuple[Values, Values]:
    """Whether each interval holds the truth, and how wide it is, `[2, row]`; NaN without one."""
    none = np.full(len(truth), np.nan)
    inside = [
        none if b is None else ((b[:, 0] <= truth) & (truth <= b[:, 1])).astype(float)
        for b in bounds
    ]
    width = [none if b is None else b[:, 1] - b[:, 0] for b in bounds]
    return np.stack(inside), np.stack(width)


def _figure(
    where: str, what: str, values: Values, drawn: Values, *, aim: float | None = None
) -> Figure:
    ends: Mapping[str, Values] = {
        "difference": drawn[1] - drawn[0],
        "incumbent": drawn[0],
        "candidate": drawn[1],
    }
    spans = {
        key: tuple(map(float, np.quantile(draws, [0.05, 0.95]))) for key, draws in ends.items()
    }
    return Figure(
        where,
        what,
        float(values[0]),
        float(values[1]),
        spans["difference"],  # type: ignore[arg-type]
        spans["candidate"],  # type: ignore[arg-type]
        aim,
    )


__all__ = ["DRAWN", "LOGGED", "compare"]
