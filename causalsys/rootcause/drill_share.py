"""How much of the change each slice carries, the mix of traffic, and the rest; with intervals.

With `r` the rate that the normal period makes expected of a request, the change of the mean is

    mean1(y) - mean0(y)  =  [mean1(y - r) - mean0(h (y - r))]  +  [mean1(r) - mean0(y - h (y - r))]

what requests of the same kind changed by, and what other kinds of requests make of it: the mix
(Kitagawa, JASA 50, 1955). `h` weights normal rows as frequent as the incident has them
(`drill_balance`), so that one of `r` and `h` may be wrong (doubly robust: Bang and Robins,
Biometrics 61, 2005). A slice's part of the first bracket is its
effect times its requests; what no slice carries is the rest. All of it adds up exactly.

Intervals are from the bootstrap. Rows are dealt at random into a few hundred packs, and packs are
drawn with replacement: sums over packs are all that is needed, so it costs the same for a thousand
rows and a million.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalsys.rootcause.drill_cells import Floats, Period, summed
from causalsys.rootcause.drill_contrast import prior
from causalsys.rootcause.drill_model import Chosen, Setting

PACKS = 400
"""Packs of rows; more change the intervals' ends by less than their own chance error."""


@dataclass(frozen=True)
class Shares:
    """Draws of every part of the change, `[draw]`; the first is the estimate.

    Attributes:
        before: The measure in the normal period.
        after: The measure in the incident.
        mix: What the mix of traffic changed.
        slices: What each slice changed, `[slice, draw]`; one without conditions is in the rest.
        effects: Each slice's effect on its own scale, `[slice, draw]`.
        rest: What the requests outside the slices changed, or all alike.
    """

    before: Floats
    after: Floats
    mix: Floats
    slices: Floats
    effects: Floats
    rest: Floats

    @property
    def change(self) -> Floats:
        """The change of the measure."""
        return self.after - self.before


def shares(
    setting: Setting,
    chosen: list[Chosen],
    *,
    lengths: tuple[float, float] | None,
    draws: int,
    seed: int,
) -> Shares:
    """Split the change.

    Args:
        setting: What was searched.
        chosen: What was found.
        lengths: How long the periods were, for a total; None for a rate per request.
        draws: Bootstrap draws.
        seed: Fixes them.
    """
    rng = np.random.default_rng(seed)
    masks = [each.candidate.mask(setting.cells) for each in chosen]
    pattern = np.zeros(setting.cells.codes.shape[1], dtype=np.int64)
    for place, mask in enumerate(masks):
        pattern += mask * 2**place
    kinds, pattern = np.unique(pattern, return_inverse=True)
    member = np.array([[bool(kind >> k & 1) for kind in kinds] for k in range(len(chosen))])
    member = member.reshape(len(chosen), len(kinds))
    # Sums by draw, pattern of slices, and kind: value, weight, expected, weight in each scale.
    then = _drawn(setting, setting.cells.before, pattern, len(kinds), draws, rng)
    now = _drawn(setting, setting.cells.after, pattern, len(kinds), draws, rng)
    old, new = then.sum(1), now.sum(1)
    per = (old[:, 1], new[:, 1]) if lengths is None else lengths
    before, after = old[:, 0] / per[0], new[:, 0] / per[1]
    rate = (new[:, 0] - new[:, 2]) / per[1]
    plain = (old[:, 0] - old[:, 2]) / old[:, 1]
    rate = rate - np.divide(old[:, -2], old[:, -1], out=plain, where=old[:, -1] > 0) * (
        new[:, 1] / per[1]
    )
    effects = _effects(setting, chosen, member, then, now, rng)
    reach = np.stack(
        [now[:, member[k], 3 + each.candidate.scale].sum(1) for k, each in enumerate(chosen)]
        or [np.zeros(0)]
    )[: len(chosen)]
    carried = effects * reach / per[1] if chosen else np.zeros((0, draws + 1))
    named = np.array([bool(each.candidate.where) for each in chosen], dtype=bool)
    rest = rate - carried[named].sum(0)
    return Shares(before, after, after - before - rate, carried, effects, rest)


@dataclass(frozen=True)
class Moved:
    """How the traffic moved between the values of one dimension, `[level]`.

    Attributes:
        before: Each value's requests per request of the normal period, or per unit of length.
        after: The same of the incident.
        added: What that adds to the measure at the values' normal rates.
    """

    before: Floats
    after: Floats
    added: Floats


def moved(setting: Setting, lengths: tuple[float, float] | None) -> list[Moved]:
    """The mix, one dimension at a time."""
    cells, rate, found = setting.cells, setting.baseline.expected, []
    then, now = cells.before.weights, cells.after.weights
    per = (then.sum(), now.sum()) if lengths is None else lengths
    for codes, levels in zip(cells.codes, cells.levels, strict=True):
        size = len(levels)
        old, new = (summed(codes, each, size) for each in (then, now))
        sums = [summed(codes, each * rate, size) for each in (then, now)]
        usual = np.where(old > 0, *sums) / np.where(old > 0, old, np.maximum(new, 1e-300))
        usual = usual - (setting.baseline.mean if lengths is None else 0.0)
        found.append(Moved(old / per[0], new / per[1], (new / per[1] - old / per[0]) * usual))
    return found


def _drawn(
    setting: Setting,
    period: Period,
    pattern: np.ndarray[tuple[int], np.dtype[np.int64]],
    kinds: int,
    draws: int,
    rng: np.random.Generator,
) -> Floats:
    rows = len(period.value)
    packs = min(rows, PACKS)
    pack = np.arange(rows) if rows <= PACKS else rng.integers(packs, size=rows)
    group = pack * kinds + pattern[period.cell]
    units = [scale.unit for scale in setting.terms]
    each = [period.value, period.weight]
    each += [period.weight * of[period.cell] for of in (setting.baseline.expected, *units)]
    balance = setting.balance[period.cell]
    each += [balance * period.residuals(setting.baseline.expected), balance * period.weight]
    sums = np.stack([summed(group, e, packs * kinds) for e in each], axis=-1)
    times = rng.multinomial(packs, np.full(packs, 1 / packs), size=draws).astype(np.float64)
    times = np.concatenate([np.ones((1, packs)), times])
    found: Floats = (times @ sums.reshape(packs, -1)).reshape(draws + 1, kinds, len(each))
    return found


def _effects(
    setting: Setting,
    chosen: list[Chosen],
    member: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
    then: Floats,
    now: Floats,
    rng: np.random.Generator,
) -> Floats:
    """The effects with which each slice has the sum that it was seen to have, `[slice, draw]`."""
    if not chosen:
        return np.zeros((0, len(now)))
    inside = member.astype(np.float64)
    solved = []
    for sums in (then, now):
        gaps = (sums[:, :, 0] - sums[:, :, 2]) @ inside.T
        units = np.stack([sums[:, :, 3 + each.candidate.scale] for each in chosen], axis=-1)
        design = np.einsum("ip,jp,bpj->bij", inside, inside, units)
        own = np.einsum("bii->bi", design)
        ridge = 1e-9 * np.maximum(own, 1e-9 * np.abs(units).sum((1, 2))[:, None] + 1e-300)
        design = design + np.eye(len(chosen)) * ridge[:, None, :]
        solved.append(np.linalg.solve(design, gaps[:, :, None])[:, :, 0])
    usual, changed = solved
    for k, each in enumerate(chosen):
        scale = setting.terms[each.candidate.scale]
        known = prior(setting.cells, each.candidate, scale)
        usual_mean = setting.normal.mean(each.candidate.mask(setting.cells), scale)
        trust = known / (known + usual_mean.variance) if usual_mean.rows else 0.0
        # What the normal period's rows do not tell of the slice's usual rate.
        unsure = np.sqrt(known * (1 - trust)) * rng.standard_normal(len(now))
        unsure[0] = 0.0
        changed[:, k] -= trust * usual[:, k] + (1 - trust) ** 0.5 * unsure
    return changed.T
