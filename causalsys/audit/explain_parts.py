"""The parts of a rise in every draw: rows, parameters of the model and fits of the old law vary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalsys.audit.explain_columns import Columns, Floats
from causalsys.audit.explain_old import Plan, Told, told
from causalsys.audit.subject import Period

_TURNS = 4
"""Fits of the old law, each to another bootstrap of its rows and by another member."""


@dataclass(frozen=True)
class Split:
    """The rise and its parts.

    Attributes:
        values: Rise, mix of what is read, unread causes, stuck columns, the target's law: `[5]`.
        draws: The same by draw, `[draw, 5]`.
        old: The old law given all that is known, as fitted to all rows.
        optimism: The losses before less those that the old law has there: its mean in errors.
    """

    values: Floats
    draws: Floats
    old: Told
    optimism: float

    def interval(self, at: int, level: float) -> tuple[float, float]:
        """The central interval of one of them."""
        return self.of(self.draws[:, at], level, float(self.values[at]))

    @staticmethod
    def of(draws: Floats, level: float, value: float) -> tuple[float, float]:
        """The interval of draws that are centred at a value."""
        low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
        return min(float(low), value), max(float(high), value)

    @property
    def error(self) -> float:
        """The standard error of the rise."""
        return float(self.draws[:, 0].std())


def split(
    columns: Columns,
    before: Period,
    after: Period,
    whole: Period,
    plans: tuple[Plan, Plan],
    *,
    draws: int,
    random: np.random.Generator,
) -> Split:
    """Split the rise, once by all rows and then in draws.

    Args:
        columns: What the columns are.
        before: The rows before.
        after: The rows after, as they were recorded.
        whole: The rows after, as they would have been recorded had no column got stuck.
        plans: How the law is learned given what is read, and given all that is known.
        draws: How many draws.
        random: Draws rows.
    """
    turns = []
    for turn in range(_TURNS + 1):
        weight = _counts(1, len(before), random)[0] if turn else None
        both = [
            told(columns, before, whole, plan, member=turn, weight=weight, random=random)
            for plan in dict.fromkeys(plans)
        ]
        turns.append((both[0], both[-1]))
    periods = (before, after, whole)
    ones = (np.ones((1, len(before))), np.ones((1, len(after))))
    values = _of(periods, turns[0], *ones)[0]
    each = -(-draws // _TURNS)
    centres = np.stack([_of(periods, fits, *ones)[0] for fits in turns[1:]])
    found = []
    for fits, centre in zip(turns[1:], centres, strict=True):
        rows = _counts(each, len(before), random), _counts(each, len(after), random)
        found.append(_of(periods, fits, *rows) - centre + _between(centres, each, random))
    gap = before.error - turns[0][1].loss[0]
    optimism = float(gap.mean() / max(gap.std() / np.sqrt(len(gap)), 1e-300))
    return Split(values, values + np.concatenate(found)[:draws], turns[0][1], optimism)


def _between(centres: Floats, draws: int, random: np.random.Generator) -> Floats:
    """How far off fits of the old law are, `[draw, 5]`.

    Around their mean, for fits to bootstrapped rows are a little off, all alike. So few of them
    say little of their spread: a t law, all parts moving as they did together.
    """
    freedom = len(centres) - 1
    along = random.standard_normal((draws, len(centres)))
    along *= np.sqrt(freedom / random.chisquare(freedom, (draws, 1)))
    found: Floats = along @ (centres - centres.mean(0)) / np.sqrt(freedom)
    return found


def _counts(draws: int, rows: int, random: np.random.Generator) -> Floats:
    return random.multinomial(rows, np.full(rows, 1 / rows), size=draws).astype(float)


def _of(
    periods: tuple[Period, Period, Period], fits: tuple[Told, Told], old: Floats, new: Floats
) -> Floats:
    """`[draw, 5]` for rows that count so often."""
    before, after, whole = periods
    first = _mean(before.error, old)
    last, mended = _mean(after.error, new), _mean(whole.error, new)
    given_read, given_all = (_expected(before, fit, old, new) for fit in fits)
    parts = (last - first, given_read - first, given_all - given_read, last - mended)
    return np.stack([*parts, mended - given_all], -1)


def _mean(value: Floats, counts: Floats) -> Floats:
    found: Floats = counts @ value / counts.sum(1)
    return found


def _expected(before: Period, fit: Told, old: Floats, new: Floats) -> Floats:
    """The mean loss under the old law at the rows after, doubly robust, `[draw]`."""
    # Where few old rows count, weights add more noise than they take bias away: they are tempered.
    weight = fit.ratio ** (fit.effective / len(fit.ratio))
    counts = old * weight
    return _mean(fit.loss[1], new) + counts @ (before.error - fit.loss[0]) / counts.sum(1)


__all__ = ["Split", "split"]
