"""One stream under watch: what is normal of it, how far it may drift, and when that was left."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from causalsys.detect.bets import Bet, bets, evidence, onset
from causalsys.detect.drift import Drift, block_means
from causalsys.detect.scores import Values
from causalsys.detect.usual import Usual

_WINDOWS = (1, 2, 4, 8, 16)
"""Over how many blocks drift is averaged: a small change that stays shows in long windows only."""
_BLOCKS = 80
_LEAST_BLOCK = 20
_FOR_DRIFT = 0.5
"""Of the false-alarm rate, what is spent on drift beyond its tolerance; the rest goes to chance."""
FEWEST = 100
"""Normal rows from which a tolerance can be told."""


@dataclass(frozen=True)
class Found:
    """An alarm in one stream.

    Attributes:
        row: Where it was raised.
        since: Where the change is estimated to have begun.
        kind: "location", "scale" or "tails".
        direction: Which way, in words.
        evidence: The logarithm of the evidence against "no more than the normal drift".
    """

    row: int
    since: int
    kind: str
    direction: str
    evidence: float


@dataclass(frozen=True)
class Watch:
    """A stream under watch.

    Attributes:
        ranks: `[row]`, its values among the normal ones, uniform on (0, 1).
        block: How many rows a block has.
        bets: What is bet, by window.
        threshold: The logarithm of the evidence that raises an alarm.
        per: In how many rows the false-alarm rate is spent.
    """

    ranks: Values
    block: int
    bets: dict[int, tuple[Bet, ...]]
    threshold: float
    per: int

    @property
    def tolerances(self) -> dict[int, tuple[float, ...]]:
        """By window, how far the mean of each score may go."""
        found = {}
        for window, made in self.bets.items():
            by_score = {bet.score: bet.tolerance for bet in made}
            found[window] = tuple(by_score.values())
        return found

    def alarms(self, *, reset: bool) -> tuple[list[Found], Values]:
        """The alarms in order, only the first unless `reset`, and the log evidence, `[row]`."""
        found: list[Found] = []
        told = np.full(len(self.ranks), -np.inf)
        begin = 0
        while begin < len(self.ranks):
            gains, capital = self._capital(begin)
            total = np.logaddexp.reduce(capital, axis=0) - math.log(len(capital))
            over = np.flatnonzero(total >= self.threshold)
            end = int(over[0]) if len(over) else len(total) - 1
            keep = len(total) if len(over) and not reset else end + 1
            told[begin : begin + keep] = total[:keep]
            if not len(over):
                break
            found.append(self._named(gains, capital[:, end], begin, end))
            if not reset:
                break
            begin += end + 1
        return found, told

    def _capital(self, begin: int) -> tuple[Values, Values]:
        """Of the rows from `begin`, the bets' gains and log capital, both `[bet, row]`."""
        rows = len(self.ranks) - begin
        gains = np.stack([bet.gains(self.ranks[begin:]) for bet in self._every()])
        parts, at = [], 0
        for window, made in self.bets.items():
            mine = gains[at : at + len(made)]
            at += len(made)
            step = self.block * window
            fresh = np.zeros(rows)
            fresh[::step] = min(1.0, step / self.per)
            parts.append(_at_ends(evidence(mine, fresh=fresh), step if window > 1 else 1))
        return gains, np.concatenate(parts)

    def _every(self) -> Iterator[Bet]:
        for made in self.bets.values():
            yield from made

    def _named(self, gains: Values, capital: Values, begin: int, end: int) -> Found:
        every = list(self._every())
        ways: dict[tuple[str, str], list[int]] = {}
        for at, bet in enumerate(every):
            ways.setdefault((bet.score.kind, bet.direction), []).append(at)
        won = {way: float(np.logaddexp.reduce(capital[ats])) for way, ats in ways.items()}
        kind, direction = max(won, key=lambda way: won[way])
        best = max(ways[kind, direction], key=lambda at: capital[at])
        since = begin + onset(gains[best], until=end)
        total = float(np.logaddexp.reduce(capital)) - math.log(len(every))
        return Found(begin + end, since, kind, direction, total)


def _at_ends(capital: Values, step: int) -> Values:
    """Capital as it was when the last window ended.

    A window may be over its tolerance in one half where it is under it in the other.
    """
    if step == 1:
        return capital
    rows = capital.shape[1]
    ends = np.arange(step - 1, rows, step)
    nothing = np.full((len(capital), 1), -np.inf)
    held = np.concatenate([nothing, capital[:, ends]], axis=1)
    found: Values = held[:, np.searchsorted(ends, np.arange(rows), side="right")]
    return found


def watch(
    normal: Values,
    values: Values,
    *,
    false_alarms: float,
    per: int,
    streams: int,
    drift: bool,
    seed: int,
) -> Watch:
    """Put a stream under watch.

    Args:
        normal: Its values in the normal period, in time order, none missing, `[normal row]`.
        values: Its values since, NaN where missing, `[row]`.
        false_alarms: The rate that is allowed for all streams together.
        per: In so many rows.
        streams: How many are watched.
        drift: Whether normal drift is tolerated; else only what sampling does.
        seed: Fixes how ties are broken.
    """
    generator = np.random.default_rng(seed)
    own = _ranks(normal, normal, generator)
    blocks = len(normal) // max(_LEAST_BLOCK, len(normal) // _BLOCKS)
    bounds = np.linspace(0, len(normal), blocks + 1).astype(int)
    size = len(normal) / blocks
    windows = [window for window in _WINDOWS if 4 * window <= blocks]
    # Windows and scores drift together: each has the whole chance. See the benchmark "alarm".
    chance = _FOR_DRIFT * false_alarms / streams
    usual = Usual(np.sort(normal))
    drifts = [
        Drift.of(
            usual.level(score, block_means(score.of(own), bounds=bounds), rows=size),
            error=usual.error(score, rows=size),
            drift=drift,
        )
        for score in usual.scores
    ]
    ahead = max(1, math.ceil(per / size))
    allowed = {}
    for window in windows:
        far = [each.tolerance(ahead=ahead, window=window, chance=chance) for each in drifts]
        allowed[window] = _allowed(usual, far)
    return Watch(
        _ranks(values, normal, generator),
        round(size),
        {window: bets(usual.scores, each) for window, each in allowed.items()},
        math.log(streams / ((1 - _FOR_DRIFT) * false_alarms)),
        per,
    )


def _allowed(usual: Usual, far: list[float]) -> list[float]:
    """How far each score may go, given how far each level may; all have location and scale."""
    shift, factor = far[:2]
    found = []
    for score, own in zip(usual.scores, far, strict=True):
        if score.values:
            found.append(own)
            continue
        limits = [usual.under_shift(score, shift)]
        if score.kind == "scale" or score.tail:
            limits.append(usual.under_widening(score, factor))
        if score.tail:
            limits.append(score.share(own))
        found.append(min(max(limits), score.most))
    return found


def _ranks(values: Values, normal: Values, generator: np.random.Generator) -> Values:
    """Where values stand among the normal ones, ties broken by chance, in (0, 1)."""
    order = np.sort(normal)
    low = np.searchsorted(order, values, side="left")
    high = np.searchsorted(order, values, side="right")
    place = generator.random(len(values))
    found: Values = (low + place * (high - low + 1)) / (len(normal) + 1)
    return np.where(np.isnan(values), np.nan, found)


__all__ = ["FEWEST", "Found", "Watch", "watch"]
