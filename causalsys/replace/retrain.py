"""`cs.when_to_retrain`: whether a model is refitted, and which of its mechanisms.

A mechanism of the target that holds needs no new one: where only the inputs' mix moved, the rows
that there are get other weights (Shimodaira, JSPI 90, 2000). Where a mechanism changed, it alone is
refitted, once that is expected to save more than it costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from causalsys.detect.loss import Values, real_numbers
from causalsys.errors import EvidenceError, QueryError
from causalsys.query.asked import amount, count, listed

Action = Literal["refit", "reweight", "wait"]

_CHANGED = ("mechanism change", "latent group")
_MIX = ("mix shift",)


@dataclass(frozen=True)
class Retraining:
    """What to do.

    Attributes:
        action: "refit" a mechanism, "reweight" the rows that there are, or "wait".
        only: The mechanisms to refit: `fitted.refit(rows, only=only)`. Empty otherwise.
        gain: The loss that a refit is expected to save over the horizon.
        cost: What it costs, in the same unit.
        reason: Why, in a sentence.
    """

    action: Action
    only: tuple[str, ...]
    gain: float
    cost: float
    reason: str

    def __str__(self) -> str:
        what = f"refit {', '.join(self.only)}" if self.action == "refit" else self.action
        return f"{what}: {self.reason}"


def when_to_retrain(
    found: Any,
    *,
    target: str,
    now: float,
    then: float | tuple[Sequence[int], Sequence[float]],
    horizon: float,
    cost: float,
    labels: int | None = None,
) -> Retraining:
    """Whether to refit, to reweight, or to wait.

    Args:
        found: What is known of the change: an explanation (`audit.explain`), whose kind decides
            between a mechanism and the mix; an alarm or several of `cs.monitor`, whose node says
            which mechanism; or None for none.
        target: What is predicted. An alarm of another variable is a shift of the mix of inputs.
        now: The mean loss of a prediction today.
        then: That expected after a refit: a figure, such as one by cross-validation; or numbers of
            labels and the losses that refits on so many had (two points or more), from which that
            at `labels` is told by a power law (Cortes et al., NeurIPS 1993).
        horizon: How many predictions are still to come.
        cost: Of the refit with its labels, in the unit of the loss.
        labels: How many labels a refit would have; needed with a curve.

    Raises:
        QueryError: An argument cannot be.
        EvidenceError: The curve has fewer than two points.

    Example:
        >>> print(when_to_retrain(None, target="delay", now=.1, then=.1, horizon=1e4, cost=5.0))
        wait: nothing changed.
    """
    for name, value in (("now", now), ("horizon", horizon), ("cost", cost)):
        amount(value, name)
    after = _then(then, labels)
    gain = max(now - after, 0.0) * horizon
    kind, changed = _read(found, target)
    if kind == "none":
        return Retraining("wait", (), gain, cost, "nothing changed.")
    if kind == "mix":
        return Retraining(
            "reweight",
            (),
            gain,
            cost,
            f"the mix of the inputs moved, and the mechanism of {target} did not: weigh the rows "
            "that there are by how often their like occurs now.",
        )
    told = f"{gain:.4g} expected over {horizon:,.0f} predictions, at a cost of {cost:.4g}."
    if gain <= cost:
        return Retraining("wait", (), gain, cost, f"{', '.join(changed)} changed, but gains {told}")
    return Retraining(
        "refit", changed, gain, cost, f"{', '.join(changed)} changed, and gains {told}"
    )


def _read(found: Any, target: str) -> tuple[Literal["none", "mix", "mechanism"], tuple[str, ...]]:
    """Whether nothing, the mix or a mechanism changed, and which mechanisms."""
    if found is None:
        return "none", ()
    kind = getattr(found, "kind", None)
    if hasattr(found, "parts"):
        # Of an explanation: only what is surely above zero counts.
        sure = {part.kind for part in found.parts if part.low > 0}
        if kind in _CHANGED or sure & set(_CHANGED):
            return "mechanism", (target,)
        return ("mix", ()) if kind in _MIX else ("none", ())
    alarms = getattr(found, "alarms", None)
    if alarms is None:
        alarms = [found] if hasattr(found, "node") else list(listed(found, "found"))
    if not all(hasattr(alarm, "node") for alarm in alarms):
        raise QueryError(
            "found",
            found=f"a {type(found).__name__}",
            mend="Give what audit.explain or cs.monitor found, alarms of it, or None.",
        )
    nodes = list(dict.fromkeys(alarm.node for alarm in alarms))
    if target in nodes:
        return "mechanism", (target,)
    return ("mix", ()) if nodes else ("none", ())


def _then(then: float | tuple[Sequence[int], Sequence[float]], labels: int | None) -> float:
    if not isinstance(then, tuple | list):
        return amount(then, "then")
    parts = [real_numbers(each) for each in then]
    labels = None if labels is None else count(labels, "labels")
    if len(parts) != 2 or any(each is None or not np.isfinite(each).all() for each in parts):
        raise EvidenceError(
            "then",
            found=f"{len(parts)} parts, or values that are no finite numbers",
            mend="Give two lists: numbers of labels, and the losses that refits on so many had.",
        )
    counts, losses = (np.atleast_1d(np.asarray(each, np.float64)) for each in parts)
    if (counts <= 0).any():
        raise EvidenceError("then", found="no labels at a point", mend="Leave such points out.")
    if counts.shape != losses.shape or len(counts) < 2 or labels is None:
        raise EvidenceError(
            "then",
            found=f"{len(counts)} numbers of labels and {len(losses)} losses, labels={labels}",
            mend="Give two points of the curve or more, and how many labels there will be.",
        )
    return _power_law(counts, losses, labels)


def _power_law(counts: Values, losses: Values, labels: int) -> float:
    """`floor + scale · labels ** -1/2`, by least squares; never below zero, never rising."""
    design = np.column_stack([np.ones(len(counts)), counts**-0.5])
    floor, scale = np.linalg.lstsq(design, losses, rcond=None)[0]
    if scale < 0:
        return float(losses.mean())
    return float(max(floor + scale * labels**-0.5, 0.0))


__all__ = ["Retraining", "when_to_retrain"]
