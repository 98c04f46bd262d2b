"""Worlds in which a slice's columns are set, and everything that they do not cause is held."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.subject import Period, Subject
from causalsys.audit.survive_latents import logged_before
from causalsys.data.levels import written
from causalsys.errors import CausalSysError, NotIdentifiedError
from causalsys.fit.fitted import Fitted
from causalsys.query.answer import Answer
from causalsys.query.ask import counterfactual, sample
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 16
"""Draws of each row, over the members of the model."""
Setting = Mapping[str, NDArray[Any]]
"""One world: each column that is set, and its value in each row."""


@dataclass(frozen=True)
class Reach:
    """What setting some columns reaches.

    Attributes:
        below: They, and all that they cause.
        target: Whether the target is among that.
        read: The predictor's inputs among that.
    """

    below: frozenset[str]
    target: bool
    read: tuple[str, ...]


def reach(subject: Subject, names: Sequence[str]) -> Reach:
    """What setting the columns reaches."""
    graph = subject.fitted.declaration.graph
    below = frozenset(names).union(*(graph.descendants(name) for name in names))
    read = tuple(name for name in subject.predictor.inputs if name in below)
    return Reach(below, subject.target in below, read)


def values_in(
    fitted: Fitted,
    rows: pd.DataFrame,
    worlds: Sequence[Setting],
    *,
    wanted: Sequence[str],
    below: frozenset[str],
    redraw: Sequence[str],
    seed: int,
) -> list[dict[str, NDArray[np.float64]]]:
    """Variables in each world, `[sample, row]`; codes for a category.

    Three ways are tried, each asking less of graph and shapes than the one before: these rows
    with their own noises; rows that are known by what is not reached; new rows in which what is
    not reached is set to what these rows have.

    Raises:
        NotIdentifiedError: None of them is identified; the first one's reason.
    """
    logged = [
        name
        for name, node in fitted.declaration.nodes.items()
        if node.kind != "latent" and name in rows.columns
    ]
    outside = [name for name in logged if name not in below]
    own = {name: rows[name].to_numpy() for name in outside if rows[name].notna().all()}
    dos = [dict(world) for world in worlds]
    ways: list[Callable[[], Answer]] = [
        lambda: counterfactual(
            fitted, rows[logged], do=dos, redraw=list(redraw), samples=SAMPLES, seed=seed
        ),
        lambda: counterfactual(fitted, rows[outside], do=dos, samples=SAMPLES, seed=seed),
        lambda: sample(
            fitted,
            len(rows),
            do=[{**own, **do} for do in dos],
            given=None,
            steps=1,
            samples=SAMPLES,
            seed=seed,
        ),
    ]
    first: CausalSysError | None = None
    for way in ways:
        try:
            answer = way()
            return [
                {name: answer.draws(name, world=at).values for name in wanted}
                for at in range(len(dos))
            ]
        except CausalSysError as error:
            first = error if first is None or not isinstance(first, NotIdentifiedError) else first
    assert first is not None
    raise first


def expected(subject: Subject, period: Period, *, seed: int) -> NDArray[np.float64]:
    """The mean error that the model expects of each row as it is, `[row]`.

    The target is drawn given what is logged before it, latents and all. Where a slice's rows have
    more error and the model does not expect it, its mechanism of the target is not that of these
    rows.
    """
    fitted, target = subject.fitted, subject.target
    known = [name for name in logged_before(fitted, target) if name in period.rows.columns]
    answer = counterfactual(fitted, period.rows[known], do={}, samples=SAMPLES, seed=seed)
    drawn = answer.factual[target].double().numpy()
    return errors_in(subject, period, {target: drawn}).mean(axis=0)


def inputs_in(
    subject: Subject, period: Period, found: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The predictions, `[sample or 1, row]`, where some inputs are as found."""
    import pandas as pd

    inputs = subject.predictor.inputs
    moved = {name: found[name] for name in inputs if name in found}
    fixed = all((each == each[:1]).all() for each in moved.values())
    samples = 1 if fixed else max(len(each) for each in moved.values())
    columns: dict[str, Any] = {}
    for name in inputs:
        if name not in moved:
            columns[name] = period.rows[name].iloc[np.tile(np.arange(len(period)), samples)]
            columns[name] = columns[name].reset_index(drop=True)
            continue
        values = moved[name][:samples].ravel()
        support = subject.fitted.schema.supports[name]
        if isinstance(support, Categorical):
            columns[name] = written(values, support)
        else:
            columns[name] = values
    return subject.predictor.predict(pd.DataFrame(columns)).reshape(samples, len(period))


def errors_in(
    subject: Subject, period: Period, found: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The errors in one world, `[sample, row]`."""
    reads = any(name in found for name in subject.predictor.inputs)
    prediction = inputs_in(subject, period, found) if reads else period.prediction[None]
    truth = found.get(subject.target, period.truth[None])
    shape = np.broadcast_shapes(prediction.shape, truth.shape)
    return subject.loss(np.broadcast_to(truth, shape), np.broadcast_to(prediction, shape))


__all__ = ["Reach", "Setting", "errors_in", "expected", "inputs_in", "reach", "values_in"]
