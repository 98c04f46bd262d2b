"""`cs.auto`: the simplest family that predicts held-out rows as well as the best one does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.build import build
from causalsys.mechanisms.features import widths
from causalsys.mechanisms.marginal import marginal_spec
from causalsys.mechanisms.quadratic import QuadraticMechanism, terms_of
from causalsys.mechanisms.rule import fits_a_table, rule_spec
from causalsys.mechanisms.training import Training
from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Count, Support

_ROWS = 5000
"""Candidates are compared on at most this many rows."""
_FEW = 60
"""With fewer rows nothing but the simplest family is tried."""
_TREES = 500
_ERRORS = 1.5
"""A candidate this many standard errors below the best is about as good as it."""
_ROWS_PER_TERM = 20
_MISSED, _WILD = 0.01, 1e-3
_HIDDEN = (16, 16, 16)
"""Three narrow layers compose, where two wide ones patch: half the error where a parent is moved
away from what it came with, and never more, in no more time (the public SCMs of `bench-trust`)."""


@dataclass(frozen=True)
class FittedChoice:
    """A fitted mechanism, and how its family came to be.

    Attributes:
        spec: The family; where the user left it to `cs.auto`, the one that was chosen.
        mechanism: The fitted mechanism.
        reason: Why this family, in a sentence.
        scores: The held-out log likelihood per row of each family that was tried.
    """

    spec: specs.MechanismSpec
    mechanism: Mechanism
    reason: str
    scores: Mapping[str, float] = field(default_factory=dict)


def fit_mechanism(
    spec: specs.MechanismSpec,
    support: Support,
    parents: Mapping[str, Support],
    sample: Sample,
    training: Training,
    *,
    resample: Callable[[Sample], Sample] | None = None,
) -> FittedChoice:
    """Fit a mechanism whose parents are all observed, choosing its family where asked to.

    Args:
        spec: The family, or `cs.auto`.
        support: The variable's support.
        parents: The support of each parent, by key.
        sample: The data.
        training: How gradient fits run.
        resample: Draws the members' weights, for a family that is told apart by them.

    Raises:
        FitError: A parent is absent from the sample, or the data do not suffice.
    """
    latent = [key for key in parents if key not in sample.parents]
    if latent:
        raise FitError(
            ", ".join(latent),
            found="a parent without values",
            mend="Fit the variable together with its latent parents.",
        )
    reason, scores = "as declared", dict[str, float]()
    if isinstance(spec, specs.Auto):
        spec, _, reason, scores = choose(support, parents, sample, training=training)
    mechanism = build(spec, support, parents=parents)
    if resample is not None and mechanism.resampled:
        sample = resample(sample)
    return FittedChoice(spec, mechanism.fit(sample, training=training), reason, scores)


def choose(
    support: Support, parents: Mapping[str, Support], sample: Sample, *, training: Training
) -> tuple[specs.MechanismSpec, Mechanism, str, dict[str, float]]:
    """Choose a family by the log likelihood of held-out rows.

    Each candidate is fitted with one member to either half of at most 5000 rows, and scored on
    the other half. The simplest one that is about as good as the best wins: within 1.5 standard
    errors of the rows' paired differences (after the one-standard-error rule of Breiman,
    Friedman, Olshen and Stone, 1984).

    Args:
        support: The variable's support.
        parents: The support of each parent, by key.
        sample: The data; if it lacks a parent, a rule chooses.
        training: As for the full fit.

    Returns:
        The specification, its mechanism without parameters, the reason in a sentence, and the
        scores of the candidates by name.
    """
    tried = candidates(support, parents, sample)
    spec, scores = tried[0], dict[str, float]()
    if any(key not in sample.parents for key in parents):
        spec = rule_spec(support, parents)
        reason = f"{title(spec)}: the usual choice where a parent is latent"
    elif not parents:
        reason = f"{title(spec)}: there are no parents"
    elif len(tried) == 1:
        reason = f"{title(spec)}: no other family is tried on {sample.rows} rows of this support"
    else:
        spec, reason, scores = _compare(tried, support, parents, sample, training)
    return spec, build(spec, support, parents=parents), reason, scores


def candidates(
    support: Support, parents: Mapping[str, Support], sample: Sample
) -> list[specs.MechanismSpec]:
    """The families that `cs.auto` tries, the simplest first."""
    if isinstance(support, Count) or not parents:
        return [marginal_spec(support)]
    enough = sample.rows >= _FEW
    if isinstance(support, Categorical):
        if fits_a_table(parents):
            return [specs.GumbelMax(), specs.ProbabilityTable()]
        return [specs.GumbelMax(), *([specs.GumbelMax(hidden=(32, 32))] if enough else [])]
    return _continuous(specs.natural_link(support), parents, sample)


def _continuous(
    link: specs.Link, parents: Mapping[str, Support], sample: Sample
) -> list[specs.MechanismSpec]:
    found: list[specs.MechanismSpec] = [specs.Linear(link=link)]
    if sample.rows < _FEW:
        return found
    found.append(specs.Linear(link=link, noise="empirical"))
    if _ROWS_PER_TERM * terms_of(sum(widths(parents, scale="raw").values())) <= sample.rows:
        found.append(specs.Quadratic(link=link))
    found.append(specs.NeuralAdditive(link=link, hidden=_HIDDEN))
    if sample.rows >= _TREES:
        found.append(specs.BoostedTrees(link=link))
    return [*found, specs.SplineFlow(hidden=_HIDDEN)]


def title(spec: specs.MechanismSpec) -> str:
    """A family's name as people see it in reasons and scores."""
    details = [
        f"{name}={getattr(spec, name)!r}"
        for name, plain in (("noise", None), ("hidden", ()))
        if isinstance(spec, specs.Linear | specs.GumbelMax)
        and getattr(spec, name, plain) not in (plain, "normal")
    ]
    return type(spec).__name__ + (f"({', '.join(details)})" if details else "")


def _compare(
    tried: list[specs.MechanismSpec],
    support: Support,
    parents: Mapping[str, Support],
    sample: Sample,
    training: Training,
) -> tuple[specs.MechanismSpec, str, dict[str, float]]:
    order = torch.randperm(sample.rows, generator=training.generator())[:_ROWS]
    first, cut = sample.first(), len(order) // 2
    whole = first.take(order)
    tried = [spec for spec in tried if not _missed(spec, support, parents, whole, training)]
    halves = first.take(order[:cut]), first.take(order[cut:])
    weight = torch.cat([halves[1].weight[0], halves[0].weight[0]])
    weight = weight / weight.sum()
    wild = _wild(torch.cat([halves[1].value[0], halves[0].value[0]]), support)
    rows: dict[str, Tensor] = {}
    for spec in tried:
        mechanism, parts = build(spec, support, parents=parents), []
        for learn, check in (halves, halves[::-1]):
            fitted = mechanism.fit(learn, training=training)
            with torch.no_grad():
                parts.append(fitted.log_prob(check.value, check.parents)[0])
        score = torch.nan_to_num(torch.cat(parts), nan=-1e6, neginf=-1e6)
        rows[title(spec)] = score if wild is None else torch.logaddexp(score, wild)
    scores = {name: float((weight * score).sum()) for name, score in rows.items()}
    best = max(scores, key=lambda name: scores[name])
    for spec in tried:
        gap = rows[best] - rows[title(spec)]
        mean = (weight * gap).sum()
        error = math.sqrt(float((weight**2 * (gap - mean) ** 2).sum()))
        if float(mean) <= _ERRORS * error:
            return spec, _reason(title(spec), best, scores), scores
    raise AssertionError("the best family is as good as itself")


def _wild(value: Tensor, support: Support) -> Tensor | None:
    """The log density of one row in a thousand being anything at all: a Cauchy law, `[row]`.

    Added to every candidate's, it keeps a few wild rows from outweighing all the others.
    """
    if isinstance(support, Categorical) or support.size:
        return None
    ordered = value.double().sort().values
    low, middle, high = (ordered[int(share * len(ordered))] for share in (0.25, 0.5, 0.75))
    scale = (high - low) / 2
    if not float(scale):
        return None
    return torch.distributions.Cauchy(middle, scale).log_prob(value.double()) + math.log(_WILD)


def _missed(
    spec: specs.MechanismSpec,
    support: Support,
    parents: Mapping[str, Support],
    sample: Sample,
    training: Training,
) -> bool:
    """Whether a quadratic misses what the data show: it errs badly where they end."""
    mechanism = build(spec, support, parents=parents)
    if not isinstance(mechanism, QuadraticMechanism):
        return False
    return mechanism.fit(sample, training=training).misfit(sample) < _MISSED


def _reason(chosen: str, best: str, scores: Mapping[str, float]) -> str:
    told = f"{chosen}: held-out log likelihood {scores[chosen]:.3g} per row"
    others = {name: score for name, score in scores.items() if name != chosen}
    if chosen != best:
        return f"{told}, simpler than {best} at {scores[best]:.3g} and about as good"
    second = max(others, key=lambda name: others[name])
    return f"{told}, {scores[chosen] - others[second]:.2g} more than {second}"
