"""The target's law before, given what is known of a row, and what the loss would be under it.

The fitted mechanism is its base where it can be evaluated (no latent among the target's causes) and
predicts as well as a regression does; what it leaves is corrected by rows from before, so that its
misfit is not taken for a change. The mean loss under the old law at the new rows is then estimated
twice, by this model of the loss and by reweighted losses of old rows, in the doubly robust way:
mean of the model at the new rows, plus the weighted mean of what the model leaves at the old ones
(Robins, Rotnitzky and Zhao, JASA 1994; for shifts Kallus, Mao and Zhou 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from causalsys.audit.explain_classes import class_chances, hidden_class, mean_over_classes
from causalsys.audit.explain_columns import Columns, Floats
from causalsys.audit.explain_ratio import ratio
from causalsys.audit.explain_regression import chosen, crossed, curve, folds_of
from causalsys.audit.subject import Period
from causalsys.data.read import read
from causalsys.fit.fitted import Fitted

if TYPE_CHECKING:
    import pandas as pd

_POOL = 60
"""Residuals that stand for the law of the noise."""


@dataclass(frozen=True)
class Told:
    """The old law at the rows of both periods, by fits that did not see the row.

    Attributes:
        features: What is conditioned on, `[row, feature]`, of both.
        mean: The target's mean, where its noise is added, of both.
        left: What the rows left of it, of both.
        loss: The mean loss under the old law, of both.
        ratio: How much likelier the old rows are after, `[row before]`.
        family: Which family the mean is of; "mechanism" in front where it corrects the model's.
    """

    features: tuple[Floats, Floats]
    mean: tuple[Floats, Floats]
    left: tuple[Floats, Floats]
    loss: tuple[Floats, Floats]
    ratio: Floats
    family: str

    @property
    def effective(self) -> float:
        """How many old rows the weighted ones are worth (Kish, 1965)."""
        return float(self.ratio.sum() ** 2 / (self.ratio**2).sum())


@dataclass(frozen=True)
class Plan:
    """How an old law is learned: settled once, used in every turn.

    Attributes:
        names: The columns that are conditioned on.
        based: Whether the fitted mechanism is its base.
        family: The family of the regression.
    """

    names: tuple[str, ...]
    based: bool
    family: str


def planned(
    columns: Columns, before: Period, names: Sequence[str], random: np.random.Generator
) -> Plan:
    """Choose base and family by the rows before."""
    features, value = features_of(columns, before.rows, names), columns.linked(before.truth)
    folds = folds_of(len(value), random)
    family = chosen(features, value, folds=folds)
    base = _base(columns, before.rows, member=0) if set(columns.every) <= set(names) else None
    if base is None:
        return Plan(tuple(names), False, family)
    corrected = chosen(features, value - base, folds=folds)
    errors = []
    for each, of in ((corrected, value - base), (family, value)):
        own, _ = crossed(features, of, features[:0], folds=folds, family=each)
        errors.append((of - own) ** 2)
    worse = errors[0] - errors[1]
    based = bool(worse.mean() <= worse.std() / np.sqrt(len(worse)))
    return Plan(tuple(names), based, corrected if based else family)


def told(
    columns: Columns,
    before: Period,
    after: Period,
    plan: Plan,
    *,
    member: int,
    weight: Floats | None,
    random: np.random.Generator,
) -> Told:
    """Learn the old law, and evaluate it at both periods.

    Args:
        columns: What the columns are.
        before: The rows it is learned from.
        after: The new rows.
        plan: How it is learned.
        member: Which parameters of the fitted model.
        weight: Of the rows before; ones by default.
        random: Draws the folds.
    """
    both = tuple(features_of(columns, each.rows, plan.names) for each in (before, after))
    values = [columns.linked(each.truth) for each in (before, after)]
    bases = [np.zeros(len(before)), np.zeros(len(after))]
    if plan.based:
        found = [_base(columns, each.rows, member=member) for each in (before, after)]
        bases = [each for each in found if each is not None]
    folds = folds_of(len(before), random)
    own, rest = crossed(
        both[0], values[0] - bases[0], both[1], folds=folds, family=plan.family, weight=weight
    )
    mean = (bases[0] + own, bases[1] + rest)
    left = (values[0] - mean[0], values[1] - mean[1])
    pool = _pool(left[0], weight)
    losses = tuple(
        _loss(columns, each.prediction, at, pool)
        for each, at in zip((before, after), mean, strict=True)
    )
    other = folds_of(len(after), random)
    return Told(
        (both[0], both[1]),
        mean,
        left,
        (losses[0], losses[1]),
        ratio(both[0], both[1], folds=(folds, other)),
        f"mechanism, {plan.family}" if plan.based else plan.family,
    )


def worth(
    columns: Columns, before: Period, plan: Plan, found: Told
) -> Callable[[pd.DataFrame], float]:
    """The mean loss under the old law, of any rows; what is read of them is predicted anew."""
    features = features_of(columns, before.rows, plan.names)
    base = _base(columns, before.rows, member=0) if plan.based else None
    value = columns.linked(before.truth) - (0.0 if base is None else base)
    fit = curve(features, value, weight=np.ones(len(value)), family=plan.family)
    pool = _pool(found.left[0], None)

    def of(rows: pd.DataFrame) -> float:
        mean = fit(features_of(columns, rows, plan.names))
        if plan.based:
            there = _base(columns, rows, member=0)
            mean = mean + (0.0 if there is None else there)
        prediction = columns.subject.predictor.predict(rows)
        return float(_loss(columns, prediction, mean, pool).mean())

    return of


def _pool(left: Floats, weight: Floats | None) -> Floats:
    """Equally likely values of the noise."""
    order = np.argsort(left)
    mass = np.cumsum(np.ones(len(left)) if weight is None else weight[order])
    at = np.searchsorted(mass / mass[-1], (np.arange(_POOL) + 0.5) / _POOL)
    found: Floats = left[order][np.minimum(at, len(left) - 1)]
    return found


def _loss(columns: Columns, prediction: Floats, mean: Floats, pool: Floats) -> Floats:
    drawn = columns.unlinked(mean[:, None] + pool)
    wide = np.broadcast_to(prediction[:, None], drawn.shape)
    found: Floats = columns.subject.loss(drawn.ravel(), wide.ravel()).reshape(drawn.shape).mean(1)
    return found


def features_of(columns: Columns, rows: pd.DataFrame, names: Sequence[str]) -> Floats:
    """The columns as numbers, and what they say of a hidden class among the target's causes."""
    found = columns.features(rows, names)
    subject = columns.subject
    chances = class_chances(subject.fitted, rows, subject.target, names=names)
    return found if chances is None else np.concatenate([found, chances[:, 1:]], axis=1)


def _base(columns: Columns, rows: pd.DataFrame, *, member: int) -> Floats | None:
    """What the fitted mechanism gives without noise; None where a cause is not known.

    Where a hidden class is among the causes, the mean over what the other columns say of it.
    """
    fitted, target = columns.subject.fitted, columns.subject.target
    mechanism = fitted.mechanisms.get(target)
    if mechanism is None or mechanism.noise != "normal" or mechanism.noise_shape:
        return None
    latent = hidden_class(fitted, target)
    if latent is not None and any(ref.name == latent.name for ref in fitted.node(target).parents):
        chances = class_chances(fitted, rows, target, names=columns.every, member=member)
        if chances is None:
            return None
        each = mean_over_classes(fitted, rows, target, chances, member=member)
        return None if each is None else _finite(columns, each, chances)
    each = _plain(fitted, target, rows, member)
    return None if each is None else _finite(columns, each[:, None], np.ones((len(rows), 1)))


def _finite(columns: Columns, value: Floats, chances: Floats) -> Floats | None:
    if columns.subject.target in columns.logs and value.min() <= 0:
        return None
    found: Floats = (chances * columns.linked(value)).sum(1)
    return found if bool(np.isfinite(found).all()) else None


def _plain(fitted: Fitted, target: str, rows: pd.DataFrame, member: int) -> Floats | None:
    table, node = read(fitted.schema, rows, purpose="evidence"), fitted.node(target)
    names = [ref.name for ref in node.parents]
    if any(name not in table.values or name in table.missing for name in names):
        return None
    parents = {ref.key: table.values[ref.name] for ref in node.parents}
    law = fitted.mechanisms[target].members(torch.tensor([member % fitted.members]))
    noise = torch.zeros(1, table.rows, dtype=torch.float64)
    found: Floats = law.push(noise, parents).expand(1, table.rows)[0].double().numpy()
    return found


__all__ = ["Plan", "Told", "features_of", "planned", "told", "worth"]
