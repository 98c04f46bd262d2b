"""Generated incidents of six kinds, in which a predictor gets worse for a reason that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmarks.mispredictions.predictors import trained
from benchmarks.mispredictions.systems import Floats, System, random_system

KINDS = ("mix shift", "mechanism change", "latent group", "label noise", "missing feature", "none")
_RISE = 1.25
"""By which factor the error of a large sample rises, so that there is something to explain."""
_LARGE = 20_000
_LOSSES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "absolute": lambda truth, told: np.abs(truth - told),
    "squared": lambda truth, told: (truth - told) ** 2,
    "relative": lambda truth, told: np.abs(truth - told) / np.abs(truth),
}


@dataclass(frozen=True)
class Incident:
    """What happened, and what a user has of it.

    Attributes:
        kind: The true kind.
        told: What was done, in words.
        system: The system before.
        predictor: An estimator, fitted to `train`.
        error: The name of the loss.
        train: Rows from before, to which predictor and model are fitted.
        before: Other rows from before.
        after: Rows from after the change.
        group: Which rows of `after` are in the hidden group `[row]`; None where there is none.
    """

    kind: str
    told: str
    system: System
    predictor: object
    error: str
    train: pd.DataFrame
    before: pd.DataFrame
    after: pd.DataFrame
    group: np.ndarray | None = None


@dataclass(frozen=True)
class _Change:
    """How rows from after the change are made.

    Attributes:
        told: What was done, in words.
        system: The system after.
        record: From values and generator to what is logged and who is in the hidden group.
    """

    told: str
    system: System
    record: Callable[[dict[str, Floats], np.random.Generator], tuple[dict[str, Floats], Floats]]


def random_incident(kind: str, seed: int) -> Incident:
    """The incident of a kind and a seed; systems are drawn until the error rises."""
    for turn in range(400):
        random = np.random.default_rng([seed, KINDS.index(kind), turn])
        found = _attempt(kind, seed, turn, random)
        if found is not None:
            return found
    raise RuntimeError(f"no {kind} with a rise at seed {seed}")


def _attempt(kind: str, seed: int, turn: int, random: np.random.Generator) -> Incident | None:
    system = random_system(1000 * seed + turn)
    if kind == "missing feature":
        system = _with_unread(system, random)
    change = _MAKE[kind](system, random)
    if change is None:
        return None
    error = str(random.choice(["absolute", "squared", "relative"], p=[0.5, 0.3, 0.2]))
    if error == "relative" and system.draw(_LARGE, np.random.default_rng(1))["y"].min() < 2:
        error = "absolute"
    learner = str(random.choice(["linear", "trees", "net"], p=[0.4, 0.4, 0.2]))
    rows = [int(random.choice([400, 1000, 2000])), *map(int, random.integers(300, 2001, 2))]
    train = system.seen(system.draw(rows[0], random))
    predictor = trained(learner, train, system, seed=seed)
    if kind != "none" and not _rises(system, change, predictor, error):
        return None
    before = system.seen(system.draw(rows[1], random))
    logged, group = change.record(change.system.draw(rows[2], random), random)
    after = system.seen(logged)
    after.index = pd.RangeIndex(rows[1], rows[1] + rows[2])
    return Incident(
        kind,
        f"{change.told}; {learner}, {error}",
        system,
        predictor,
        error,
        train,
        before,
        after,
        group.astype(bool) if kind == "latent group" else None,
    )


def _rises(system: System, change: _Change, predictor: object, error: str) -> bool:
    """Whether the error of many rows is larger after the change."""
    random = np.random.default_rng(0)
    old = system.draw(_LARGE, random)
    new, _ = change.record(change.system.draw(_LARGE, random), random)
    losses = [
        _LOSSES[error](each["y"], predictor.predict(system.seen(each)[list(system.inputs)]))  # type: ignore[attr-defined]
        for each in (old, new)
    ]
    if error != "absolute":  # A few rows must not be the whole rise.
        cap = 30 * float(np.mean(losses[0]))
        losses = [np.minimum(loss, cap) for loss in losses]
    return float(np.mean(losses[1])) > _RISE * float(np.mean(losses[0]))


def _plain(
    values: dict[str, Floats], random: np.random.Generator
) -> tuple[dict[str, Floats], Floats]:
    return values, np.zeros(len(values["y"]))


def _causes(system: System) -> list[str]:
    """The logged causes of the target."""
    return [n for n in system.laws["y"].effects if system.laws[n].kind == "number"]


def _mix(system: System, random: np.random.Generator) -> _Change | None:
    above = [n for n in system.above("y") if system.laws[n].kind == "number"]
    several = min(len(above), int(random.integers(1, 3)))
    after, told = system, []
    for name in random.permutation(above)[:several]:
        law = system.laws[str(name)]
        shift = float(random.choice([-1, 1]) * random.uniform(1.0, 2.5))
        factor = float(random.uniform(0.7, 1.6))
        after = after.with_law(str(name), start=law.start + shift, scale=law.scale * factor)
        told.append(f"{name} by {shift:.1f}, spread x {factor:.1f}")
    return _Change("mix: " + ", ".join(told), after, _plain)


def _mechanism(system: System, random: np.random.Generator) -> _Change:
    law = system.laws["y"]
    way = str(random.choice(["start", "slope", "both", "shape"]))
    start, effects = law.start, dict(law.effects)
    if way in ("start", "both"):
        start += float(random.choice([-1, 1]) * random.uniform(0.5, 1.5))
    if way in ("slope", "both"):
        cause = str(random.choice(_causes(system)))
        slope, shape = effects[cause]
        effects[cause] = (slope * float(random.choice([-0.5, 0.0, 2.0])), shape)
    if way == "shape":
        cause = str(random.choice(_causes(system)))
        effects[cause] = (effects[cause][0] * 1.5, str(random.choice(["tanh", "square"])))
    scale = law.scale * float(random.uniform(0.9, 1.3))
    after = system.with_law("y", start=start, effects=effects, scale=scale)
    return _Change(f"mechanism of y: {way}", after, _plain)


def _group(system: System, random: np.random.Generator) -> _Change:
    """A hidden group of rows gets another mechanism of the target; effects follow it."""
    law, causes = system.laws["y"], _causes(system)
    offset = float(random.choice([-1, 1]) * random.uniform(2.0, 4.0))
    cause = str(random.choice(causes))
    tilt = float(random.choice([0.0, random.uniform(-0.8, 0.8)]))
    share = float(random.uniform(-1.6, -0.3))
    pull = float(random.choice([0.0, random.uniform(0.7, 1.5)]))
    scale = float(random.uniform(0.8, 1.4)) * law.scale

    def record(
        values: dict[str, Floats], rng: np.random.Generator
    ) -> tuple[dict[str, Floats], Floats]:
        rows = len(values["y"])
        chance = 1 / (1 + np.exp(-(share + pull * values[cause])))
        inside = (rng.random(rows) < chance).astype(float)
        own = law.mean(values, rows) + offset + tilt * values[cause]
        own = own + scale * rng.standard_normal(rows)
        changed = {**values, "y": np.where(inside > 0, own, values["y"])}
        return system.redrawn(changed, system.below("y"), rng), inside

    return _Change(f"group: offset {offset:.1f}, tilt {tilt:.1f}, pull {pull:.1f}", system, record)


def _labels(system: System, random: np.random.Generator) -> _Change:
    """Labels are recorded wrong, for all rows or some; effects follow the true value."""
    share = float(random.choice([1.0, random.uniform(0.2, 0.6)]))
    spread = float(random.uniform(1.5, 4.0)) * system.laws["y"].scale * (1.5 if share < 1 else 1.0)

    def record(
        values: dict[str, Floats], rng: np.random.Generator
    ) -> tuple[dict[str, Floats], Floats]:
        rows = len(values["y"])
        wrong = rng.random(rows) < share
        noise = spread * rng.standard_normal(rows)
        return {**values, "y": values["y"] + np.where(wrong, noise, 0.0)}, np.zeros(rows)

    return _Change(f"labels: {share:.0%} wrong by {spread:.1f}", system, record)


def _with_unread(system: System, random: np.random.Generator) -> System:
    """The system with one more cause of the target, which the predictor does not read."""
    first = {"z": replace(system.laws["x0"], effects={}, start=0.0)}
    found = replace(system, laws={**first, **system.laws})
    slope = float(random.choice([-1, 1]) * random.uniform(0.4, 0.9))
    effects = {"z": (slope, "line"), **system.laws["y"].effects}
    return found.with_law("y", effects=effects)


def _missing(system: System, random: np.random.Generator) -> _Change:
    if random.random() < 0.5:
        shift = float(random.choice([-1, 1]) * random.uniform(1.5, 3.0))
        after = system.with_law("z", start=shift)
        return _Change(f"unread z by {shift:.1f}", after, _plain)
    column = str(random.choice([n for n in _causes(system) if n in system.inputs]))
    share = float(random.choice([1.0, random.uniform(0.5, 1.0)]))
    value = float(random.choice([0.0, -1.0, 1.5, 99.0], p=[0.5, 0.2, 0.2, 0.1]))
    value = value if value != 99.0 else 5.0

    def record(
        values: dict[str, Floats], rng: np.random.Generator
    ) -> tuple[dict[str, Floats], Floats]:
        rows = len(values["y"])
        stuck = rng.random(rows) < share
        return {**values, column: np.where(stuck, value, values[column])}, np.zeros(rows)

    return _Change(f"{column} stuck at {value} in {share:.0%}", system, record)


def _none(system: System, random: np.random.Generator) -> _Change | None:
    """Nothing, or a change of something that neither causes the target nor is read."""
    below = [n for n in system.below("y") if n not in system.inputs]
    if below and random.random() < 0.4:
        name = below[-1]
        law = system.laws[name]
        return _Change(f"none: {name} moves", system.with_law(name, start=law.start + 2), _plain)
    return _Change("none", system, _plain)


_MAKE: dict[str, Callable[[System, np.random.Generator], _Change | None]] = {
    "mix shift": _mix,
    "mechanism change": _mechanism,
    "latent group": _group,
    "label noise": _labels,
    "missing feature": _missing,
    "none": _none,
}

__all__ = ["KINDS", "Incident", "random_incident"]
