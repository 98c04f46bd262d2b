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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.subject import Period, Subject
from causalsys.audit.survive_effect import Places, donors
from causalsys.audit.survive_latents import latent_columns, logged_before
from causalsys.audit.survive_regression import Regression, coded, regression
from causalsys.audit.survive_result import AuditedSlice, AuditedSlices
from causalsys.audit.survive_verdict import apart, repeats, unknown, verdict_of
from causalsys.audit.survive_worlds import Reach, Setting, errors_in, expected, reach, values_in
from causalsys.detect.slice_conditions import all_hold
from causalsys.detect.slice_result import Slice
from causalsys.detect.slices import METHODS, found_slices
from causalsys.errors import CausalSysError, brief
from causalsys.fit.fit import refit as fit_again
from causalsys.fit.options import FitOptions
from causalsys.query.asked import listed

if TYPE_CHECKING:
    import pandas as pd

_LEAST_REFIT = 200
"""With fewer rows the target's mechanism stays as it was fitted."""
_LIKE = (0.7, 1.4)
"""The model must expect this share of the slice's difference in the rows as they are."""
_ROWS = 4000
"""Rows that are moved; of more, a random sample."""


@dataclass(frozen=True)
class Step:
    """What the causal step of every slice works with.

    Attributes:
        subject: What is audited, with the model that judges.
        period: The rows, with a column for each inferred latent.
        learned: Learns the error's own mechanism, once, where it is asked for.
        expected: The error that the model expects of each row, `[row]`, once.
        seed: Of all draws.
    """

    subject: Subject
    period: Period
    learned: Callable[[], Regression | None]
    expected: Callable[[], NDArray[np.float64]]
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
    asked = [*known, *extra.columns] if columns is None else _names(columns)
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
    every = [_judged(step, each) for each in found.slices]
    judged = tuple(each for each in every if not repeats(each, every))
    again = len(every) - len(judged)
    if again:
        left = (*left, f"{again} slices say again what a cause says, with an idle column.")
    found = replace(found, slices=tuple(each.slice for each in judged))
    used = {name for each in found.slices for name in each.columns}
    return AuditedSlices(
        found,
        judged,
        subject,
        tuple(name for name in extra.columns if name in used),
        (*subject.predictor.notes, *notes, *left),
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


def _names(columns: object) -> list[str]:
    return [str(name) for name in listed(columns, "columns")]


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
    return Step(
        subject,
        period,
        cache(lambda: regression(subject, period, seed=seed)),
        cache(lambda: expected(subject, period, seed=seed)),
        seed,
    )


def _judged(step: Step, each: Slice) -> AuditedSlice:
    """The verdict on one slice."""
    nodes = step.subject.fitted.declaration.nodes
    names = each.columns
    strange = [name for name in names if name not in nodes]
    if strange:
        return unknown(each, f"{strange[0]} is no variable of the model.")
    if any(condition.missing for condition in each.conditions):
        return unknown(each, "Nothing can set a value to be missing.")
    reached = reach(step.subject, names)
    target = step.subject.target
    if not reached.target and not reached.read:
        reason = (
            f"In the graph neither {target} nor what {step.subject.predictor.name} reads follows "
            f"from {' and '.join(names)}."
        )
        return AuditedSlice(
            each, "correlate", 0.0, (0.0, 0.0), 0.0, (0.0, 0.0), names, "graph", reason
        )
    rows = step.period.rows
    held = all_hold(each.conditions, rows)
    usable = np.asarray(rows[list(names)].notna().all(axis=1), dtype=bool)
    if (held & usable).sum() < 2 or (~held & usable).sum() < 2:
        return unknown(each, "Too few rows lie in it, or outside.")
    dealt = donors(held, usable, seed=step.seed)
    try:
        return _told(step, each, reached, held=held, dealt=dealt)
    except CausalSysError as error:
        return unknown(each, brief(error))


def _told(
    step: Step, each: Slice, reached: Reach, *, held: NDArray[np.bool_], dealt: list[Places]
) -> AuditedSlice:
    """By the target's mechanism where it has the slice's error, else by the error's own."""
    names, fitted = each.columns, step.subject.fitted
    own = np.arange(len(step.period))
    worlds = [_set(step, dict.fromkeys(names, place)) for place in dealt]
    if len(names) > 1:
        # Without each column in turn: all others from the slice, and it as it was.
        worlds += [
            _set(step, {name: own if name == out else place for name in names})
            for out in names
            for place in dealt[::2]
        ]
    like, first = 1.0, None
    try:
        errors = _by_mechanism(step, reached, worlds)
        if reached.target:
            like = apart(step.expected(), held) / apart(step.period.error, held)
        if _LIKE[0] <= like <= _LIKE[1]:
            return verdict_of(each, errors, dealt, members=fitted.members, by="mechanism")
    except CausalSysError as error:
        first = error
    learned = step.learned()
    if learned is None and first is not None:
        raise first
    if learned is None:
        return unknown(
            each,
            f"The fitted mechanism of {step.subject.target} has {like:.0%} of this error, and a "
            "latent among its causes forbids to learn the error alone.",
        )
    errors = _by_regression(step, reached, worlds, learned)
    return verdict_of(each, errors, dealt, members=len(learned.models), by="regression")


def _by_mechanism(
    step: Step, reached: Reach, worlds: Sequence[Setting]
) -> list[NDArray[np.float64]]:
    """The errors in each world, `[sample, row]`."""
    target = step.subject.target
    found = values_in(
        step.subject.fitted,
        step.period.rows,
        worlds,
        wanted=[*([target] if reached.target else []), *reached.read],
        below=reached.below,
        redraw=[target] if reached.target else [],
        seed=step.seed,
    )
    return [errors_in(step.subject, step.period, world) for world in found]


def _by_regression(
    step: Step, reached: Reach, worlds: Sequence[Setting], learned: Regression
) -> list[NDArray[np.float64]]:
    """The mean errors in each world, `[member, row]`."""
    further = [n for n in learned.reads if n in reached.below and n not in worlds[0]]
    found: list[dict[str, NDArray[np.float64]]] = [{} for _ in worlds]
    if further:
        found = values_in(
            step.subject.fitted,
            step.period.rows,
            worlds,
            wanted=further,
            below=reached.below,
            redraw=[],
            seed=step.seed,
        )
    for into, world in zip(found, worlds, strict=True):
        for name in learned.reads:
            if name in world:
                into[name] = coded(step.subject, world[name], name)[None]
    return [learned.errors(each) for each in found]


def _set(step: Step, places: Mapping[str, Places]) -> Setting:
    """Columns set to what they are in other rows."""
    return {name: step.period.rows[name].to_numpy()[place] for name, place in places.items()}


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
        told.append(
            "A latent's column is inferred from what is logged before the target is, and `do` sets "
            "the latent itself: where it is told badly, more than the whole difference may stay."
        )
    return tuple(told)


__all__ = ["slices"]
