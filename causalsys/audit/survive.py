"""`audit.slices`: of the slices with more error, which are its causes and which come along.

A slice says that the error is high where a condition holds. The cause may be the condition's
columns, or something that they come along with. So rows are moved: every row gets the columns'
values of some row of the slice, and then of some row outside it, while all that these columns do
not cause is held as it was in that row (`do` of the columns, given the rest). What they cause
follows by the fitted model, the predictor reads what it would have read, and the error is
computed anew. The difference is what the columns cause; the slice's own difference is what they
cause and what comes along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.subject import Period, Subject
from causalsys.audit.survive_effect import Effect, Places, donors, effect
from causalsys.audit.survive_latents import latent_columns, logged_before
from causalsys.audit.survive_regression import Regression, regression
from causalsys.audit.survive_result import AuditedSlice, AuditedSlices, Verdict
from causalsys.audit.survive_worlds import Reach, Setting, errors_in, reach, values_in
from causalsys.detect.slice_conditions import all_hold
from causalsys.detect.slice_result import Slice
from causalsys.detect.slices import METHODS, found_slices
from causalsys.errors import CausalSysError, brief
from causalsys.fit.fit import refit as fit_again
from causalsys.fit.options import FitOptions

if TYPE_CHECKING:
    import pandas as pd

_LEAST_REFIT = 200
"""With fewer rows the target's mechanism stays as it was fitted."""
_REMAINS = 0.1
"""What is caused is at least this share of the slice's difference, or the slice is a correlate."""
_UNCLEAR = 0.5
"""An interval that has both none and this share in it tells nothing."""
_LIKE = (0.7, 1.4)
"""The model must have this share of the slice's difference, its columns being as they are."""
_ROWS = 4000
"""Rows that are moved; of more, a random sample."""
_LEVEL = 0.9


@dataclass(frozen=True)
class Step:
    """What the causal step of every slice works with.

    Attributes:
        subject: What is audited, with the model that judges.
        period: The rows, with a column for each inferred latent.
        learned: Learns the error's own mechanism, once, where it is asked for.
        seed: Of all draws.
    """

    subject: Subject
    period: Period
    learned: Callable[[], Regression | None]
    seed: int


def slices(
    subject: Subject,
    rows: object,
    *,
    columns: Sequence[str] | None = None,
    methods: Sequence[str] = METHODS,
    most: int = 3,
    least: int | None = None,
    level: float = 0.05,
    top: int = 10,
    refit: bool | None = None,
    seed: int = 0,
) -> AuditedSlices:
    """Find the slices of a period's errors, and judge each; see `Audit.slices`."""
    period = subject.period(rows, what="rows", least=2)
    subject, notes = _judging(subject, period, refit=refit, seed=seed)
    extra, left = latent_columns(subject.fitted, period.rows, target=subject.target, seed=seed)
    wide = period.rows.drop(columns=list(extra.columns), errors="ignore").join(extra)
    known = [name for name in logged_before(subject.fitted, subject.target) if name in wide]
    asked = [*known, *extra.columns] if columns is None else list(columns)
    found = found_slices(
        wide,
        period.error,
        columns=asked if columns is not None else _usable(wide, asked),
        methods=methods,
        most=most,
        least=least,
        level=level,
        top=top,
        seed=seed,
        across=False,
    )
    step = _step(subject, replace(period, rows=wide), seed=seed)
    judged = tuple(_judged(step, each) for each in found.slices)
    used = {name for each in found.slices for name in each.columns}
    return AuditedSlices(
        found,
        judged,
        subject,
        tuple(name for name in extra.columns if name in used),
        (*notes, *left),
        _assumed(subject, judged, latent=bool(used.intersection(extra.columns))),
    )


def _judging(
    subject: Subject, period: Period, *, refit: bool | None, seed: int
) -> tuple[Subject, tuple[str, ...]]:
    """The subject with the target's mechanism as it is in these rows."""
    fitted, target = subject.fitted, subject.target
    if refit is False or (refit is None and len(period) < _LEAST_REFIT):
        return subject, (f"The mechanism of {target} is the one that was fitted before.",)
    options = FitOptions(seed, fitted.members)
    try:
        again = fit_again(fitted, period.rows, only=[target], options=options)
    except CausalSysError as error:
        if refit:
            raise
        return subject, (
            f"The mechanism of {target} is the one that was fitted before: {brief(error)}",
        )
    return replace(subject, fitted=again), (
        f"The mechanism of {target} was fitted to these {len(period)} rows.",
    )


def _usable(wide: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Without columns that say nothing; a search for none of the others would be refused."""
    varied = [name for name in names if wide[name].nunique(dropna=False) > 1]
    return varied or list(names)


def _step(subject: Subject, period: Period, *, seed: int) -> Step:
    if len(period) > _ROWS:
        rng = np.random.default_rng(seed)
        at = np.sort(rng.permutation(len(period))[:_ROWS])
        period = Period(
            period.rows.iloc[at], period.truth[at], period.prediction[at], period.error[at]
        )
    kept: list[Regression | None] = []

    def learned() -> Regression | None:
        if not kept:
            kept.append(regression(subject, period, seed=seed))
        return kept[0]

    return Step(subject, period, learned, seed)


def _judged(step: Step, each: Slice) -> AuditedSlice:
    """The verdict on one slice."""
    nodes = step.subject.fitted.declaration.nodes
    names = each.columns
    strange = [name for name in names if name not in nodes]
    if strange:
        return _unknown(each, f"{strange[0]} is no variable of the model.")
    if any(condition.missing for condition in each.conditions):
        return _unknown(each, "Nothing can set a value to be missing.")
    reached = reach(step.subject, names)
    target = step.subject.target
    if not reached.target and not reached.read:
        reason = (
            f"In the graph {' and '.join(names)} cause neither {target} nor what "
            f"{step.subject.predictor.name} reads."
        )
        return AuditedSlice(each, "correlate", 0.0, (0.0, 0.0), 0.0, (0.0, 0.0), "graph", reason)
    rows = step.period.rows
    held = all_hold(each.conditions, rows)
    usable = np.asarray(rows[list(names)].notna().all(axis=1), dtype=bool)
    if (held & usable).sum() < 2 or (~held & usable).sum() < 2:
        return _unknown(each, "Too few rows lie in it, or outside.")
    dealt = donors(held, usable, seed=step.seed)
    try:
        return _told(step, each, reached, held=held, dealt=dealt)
    except CausalSysError as error:
        return _unknown(each, brief(error))


def _told(
    step: Step, each: Slice, reached: Reach, *, held: NDArray[np.bool_], dealt: list[Places]
) -> AuditedSlice:
    """By the target's mechanism where it has the slice's error, else by the error's own."""
    like, first = np.nan, None
    try:
        errors = _by_mechanism(step, each, reached, dealt)
        own = errors[0].mean(axis=0)
        like = _apart(own, held) / _apart(step.period.error, held)
        if not reached.target or _LIKE[0] <= like <= _LIKE[1]:
            found = effect(errors[1:], dealt, members=step.subject.fitted.members)
            return _verdict(each, found, by="mechanism")
    except CausalSysError as error:
        first = error
    learned = step.learned()
    if learned is None and first is not None:
        raise first
    if learned is None:
        return _unknown(
            each,
            f"The fitted mechanism of {step.subject.target} has {like:.0%} of this error, and a "
            "latent among its causes forbids to learn the error alone.",
        )
    worlds = _by_regression(step, each, reached, dealt, learned)
    found = effect(worlds, dealt, members=len(learned.models))
    return _verdict(each, found, by="regression")


def _by_mechanism(
    step: Step, each: Slice, reached: Reach, dealt: list[Places]
) -> list[NDArray[np.float64]]:
    """The errors in each world, `[sample, row]`: the first as the columns are."""
    target = step.subject.target
    wanted = [*([target] if reached.target else []), *reached.read]
    places = [np.arange(len(step.period)), *dealt]
    worlds = [_set(step, each.columns, place) for place in places]
    found = values_in(
        step.subject.fitted,
        step.period.rows,
        worlds,
        wanted=wanted,
        below=reached.below,
        redraw=[target] if reached.target else [],
        seed=step.seed,
    )
    return [errors_in(step.subject, step.period, world) for world in found]


def _by_regression(
    step: Step, each: Slice, reached: Reach, dealt: list[Places], learned: Regression
) -> list[NDArray[np.float64]]:
    """The mean errors in each world, `[member, row]`."""
    from causalsys.audit.survive_regression import coded

    names = each.columns
    worlds: list[dict[str, NDArray[np.float64]]] = [{} for _ in dealt]
    further = [n for n in learned.reads if n in reached.below and n not in names]
    if further:
        worlds = values_in(
            step.subject.fitted,
            step.period.rows,
            [_set(step, names, place) for place in dealt],
            wanted=further,
            below=reached.below,
            redraw=[],
            seed=step.seed,
        )
    rows = step.period.rows
    for world, place in zip(worlds, dealt, strict=True):
        for name in learned.reads:
            if name in names:
                world[name] = coded(step.subject, rows[name].iloc[place], name)[None]
    return [learned.errors(world) for world in worlds]


def _set(step: Step, names: Sequence[str], place: Places) -> Setting:
    rows: dict[str, NDArray[Any]] = {n: step.period.rows[n].to_numpy() for n in names}
    return {name: values[place] for name, values in rows.items()}


def _apart(errors: NDArray[np.float64], held: NDArray[np.bool_]) -> float:
    return float(errors[held].mean() - errors[~held].mean())


def _verdict(each: Slice, found: Effect, *, by: str) -> AuditedSlice:
    low, high = found.interval(_LEVEL)
    spread = (each.interval[1] - each.interval[0]) / 2 / 1.645
    share, ends = found.share(each.difference, spread, _LEVEL)
    told = (
        f"{share:.0%} [{ends[0]:.0%}, {ends[1]:.0%}] of the difference stays when the other "
        f"causes are held (by the {by})"
    )
    verdict: Verdict = "unknown"
    if low > 0 and share >= _REMAINS:
        verdict = "kept"
    elif ends[1] < _UNCLEAR:
        verdict = "correlate"
    reason = f"{told}: too wide to tell." if verdict == "unknown" else f"{told}."
    return AuditedSlice(each, verdict, found.caused, (low, high), share, ends, by, reason)


def _unknown(each: Slice, reason: str) -> AuditedSlice:
    nothing = (np.nan, np.nan)
    return AuditedSlice(each, "unknown", np.nan, nothing, np.nan, nothing, "", reason)


def _assumed(subject: Subject, judged: Sequence[AuditedSlice], *, latent: bool) -> tuple[str, ...]:
    """What the verdicts rest on."""
    told = [
        "The graph is right: a cause that it lacks makes its slice a correlate.",
        "Rows are given values of other rows: where these seldom go together, the model "
        "extrapolates.",
    ]
    ways = {each.by for each in judged}
    if "mechanism" in ways:
        told.append(f"The fitted mechanism of {subject.target} holds in and out of the slices.")
    if "regression" in ways:
        told.append(
            f"The mean error given the causes of {subject.target} and the inputs was learned from "
            "these rows, since its fitted mechanism lacks the slice's error."
        )
    if latent:
        told.append("A latent's column is inferred from what is logged before the target is.")
    return tuple(told)


__all__ = ["slices"]
