"""A twin of the data, generated, whose hidden types and mechanisms are known.

Each machine runs on a host of a type that is not in the rows. A type has a mean of its own in every
benchmark; throughput takes one of a few levels, which depends on the type and on the time. In the
autumn the types that are affected become common (a mix shift), and about then their throughput
falls to another level (a mechanism change of a hidden group). Other types have spells of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.vm_noise import INPUTS, TARGET

Floats = NDArray[np.float64]

FIRST = pd.Timestamp("2023-06-04")
DAYS = 355
LEVELS = np.log([117e3, 173e3, 212e3, 240e3])
"""Of throughput: slow, slower, usual, fast."""
_BASE = np.log([1.4e6, 2.0e6, 6e5, 8.8e4, 88.0, 58.0, 15.0])
_OWN = np.array([0.04, 0.02, 0.2, 0.03, 0.02, 0.025, 0.03])
_LOAD = np.array([-0.02, -0.005, -0.04, -0.01, 0.006, 0.005, -0.01])
_SLOWED = np.array([-0.01, -0.02, 0.0, 0.0, 0.015, 0.01, -0.02])


@dataclass(frozen=True)
class Law:
    """How machines are made at a time: by week, `[week, type]`.

    Attributes:
        mix: The share of each type.
        spell: The level of a type where it is not at home.
        chance: That a machine of a type has the level of the spell.
    """

    mix: Floats
    spell: NDArray[np.intp]
    chance: Floats


@dataclass(frozen=True)
class Truth:
    """What nobody logs.

    Attributes:
        law: How machines are made.
        affected: Which types become common, and slow.
        home: The usual level of each type.
        mean: Of the logarithms of the benchmarks, `[type, benchmark]`.
        narrow: The share of machines with few channels to memory, by type.
        change: The day on which the affected types begin to change.
        already: The chance that an affected type is slow before; None for that of any other.
        type: Of each machine, `[row]`.
        slow: Which machines of affected types follow the new mechanism, `[row]`.
    """

    law: Law = field(repr=False)
    affected: NDArray[np.bool_]
    home: NDArray[np.intp]
    mean: Floats = field(repr=False)
    narrow: Floats = field(repr=False)
    change: float
    already: float | None
    type: NDArray[np.intp] = field(repr=False)
    slow: NDArray[np.bool_] = field(repr=False)


def generate(
    rows: int = 11_800, *, seed: int = 0, drifting: bool = True, already: float | None = None
) -> tuple[pd.DataFrame, Truth]:
    """A year of machines.

    Args:
        rows: How many machines.
        seed: Fixes the types, what happens to them, and the machines.
        drifting: Whether other types have spells too, and the affected ones recover at times. If
            not, there is one change, and its parts are known exactly.
        already: The chance that a machine of an affected type is slow before the change: then the
            mix alone raises the error, and much of the rise is its. As of any other type, if None.

    Returns:
        Rows of the published format, and what is not in them.
    """
    random = np.random.default_rng([seed, 7])
    types = int(random.integers(6, 12))
    weeks = np.arange(0, DAYS + 7, 7.0)
    change = float(random.uniform(155, 165))
    affected = np.zeros(types, bool)
    affected[random.permutation(types)[: int(random.integers(2, max(3, types // 2)))]] = True
    home = np.where(random.random(types) < 0.75, 2, 3)
    mean = _means(random, types)
    law = Law(
        _mix(random, weeks, affected, change, drifting=drifting),
        *_spells(random, weeks, affected, home, change, drifting=drifting),
    )
    truth = Truth(
        law,
        affected,
        home,
        mean,
        np.where(affected, 0.6, 0.12),
        change,
        already,
        np.empty(0, np.intp),
        np.empty(0, bool),
    )
    day = np.sort(random.uniform(0, DAYS, rows))
    return make(truth, day, random)


def make(
    truth: Truth,
    day: Floats,
    random: np.random.Generator,
    *,
    mix: Floats | None = None,
    old_mechanism: bool = False,
) -> tuple[pd.DataFrame, Truth]:
    """Machines at given days.

    Args:
        truth: The types and their law.
        day: `[row]`, ascending.
        random: The luck.
        mix: Shares of the types for all days, instead of the law's, `[type]`.
        old_mechanism: Whether no affected type has changed.
    """
    law, rows = truth.law, len(day)
    week = np.minimum((day / 7).astype(int), len(law.mix) - 1)
    shares = law.mix[week] if mix is None else np.broadcast_to(mix, (rows, len(mix)))
    types = shares.shape[1]
    host = (random.random(rows)[:, None] > shares.cumsum(1)).sum(1).clip(0, types - 1)
    hour = (day % 1) * 24
    work = (hour > 6) & (hour < 20)
    away = law.spell[week, host] != truth.home[host]
    if old_mechanism:
        away &= ~truth.affected[host]
    chance = np.where(away, law.chance[week, host] * np.where(work, 1.0, 0.9), 0.01 + 0.02 * work)
    if truth.already is not None:
        chance = np.where(truth.affected[host] & ~away, truth.already, chance)
    other = random.random(rows) < chance
    elsewhere = np.where(away, law.spell[week, host], np.where(truth.home[host] == 2, 0, 2))
    level = np.where(other, elsewhere, truth.home[host])
    load = random.normal(size=rows)
    logs = truth.mean[host] + _OWN * random.standard_t(4, (rows, 7)) + load[:, None] * _LOAD
    logs[:, 3] -= 0.45 * (random.random(rows) < truth.narrow[host])
    logs += (level < 2)[:, None] * _SLOWED
    line = LEVELS[level] + 0.02 * random.standard_t(4, rows) - 0.01 * load
    frame = pd.DataFrame(np.exp(logs), columns=list(INPUTS))
    frame.insert(0, "VM_id", random.permutation(rows))
    frame.insert(1, "region", "twin")
    frame.insert(2, "sku", "generated")
    frame.insert(3, "started", FIRST + pd.to_timedelta(day, unit="D"))
    frame[TARGET] = np.exp(line)
    slow = other & away & truth.affected[host]
    return frame, replace(truth, type=host, slow=slow)


def _means(random: np.random.Generator, types: int) -> Floats:
    mean = np.tile(_BASE, (types, 1))
    steps = np.linspace(-0.05, 0.3, types)[random.permutation(types)]
    mean[:, 4] += steps * random.uniform(0.8, 1.2)
    mean[:, [0, 1, 5]] += random.normal(0, [0.06, 0.05, 0.06], (types, 3))
    mean[:, 6] += random.normal(0, 0.05, types) - 0.3 * (random.random(types) < 0.4)
    mean[:, 2] += random.normal(0, 0.06, types)
    return mean


def _mix(
    random: np.random.Generator,
    weeks: Floats,
    affected: NDArray[np.bool_],
    change: float,
    *,
    drifting: bool,
) -> Floats:
    """Random walks of the types' shares; the affected ones rise at the change."""
    steps = random.normal(0, 0.15 if drifting else 0.0, (len(weeks), len(affected)))
    logit = steps.cumsum(0) + random.normal(0, 0.4, len(affected))
    risen = 1 / (1 + np.exp(-(weeks - change) / 2))
    logit[:, affected] += -1.5 + risen[:, None] * random.uniform(1.5, 2.5)
    shares = np.exp(logit)
    found: Floats = shares / shares.sum(1, keepdims=True)
    return found


def _spells(
    random: np.random.Generator,
    weeks: Floats,
    affected: NDArray[np.bool_],
    home: NDArray[np.intp],
    change: float,
    *,
    drifting: bool,
) -> tuple[NDArray[np.intp], Floats]:
    """When a type is not at its level at home."""
    level = np.tile(home, (len(weeks), 1))
    chance = np.full(level.shape, 0.03)

    def spell(kind: int, first: float, last: float, to: int, share: float) -> None:
        during = (weeks >= first) & (weeks < last)
        level[during, kind], chance[during, kind] = to, share

    for kind in range(len(home)):
        if affected[kind]:
            first = change + random.uniform(0, 20) * drifting
            lasts = random.exponential(90) + 60 if drifting else np.inf
            spell(kind, first, first + lasts, 0, random.uniform(0.9, 0.99))
            again = first + lasts + random.uniform(15, 40)
            spell(kind, again, np.inf, 0, random.uniform(0.9, 0.99))
        elif drifting and random.random() < 0.6:
            first = random.uniform(change, DAYS - 60)
            to = int(random.choice([0, 1, 3], p=[0.4, 0.35, 0.25]))
            spell(kind, first, first + random.uniform(30, 110), to, random.uniform(0.75, 0.98))
    return level, chance


__all__ = ["DAYS", "FIRST", "LEVELS", "Law", "Truth", "generate", "make"]
