"""Coverage of 90 % intervals on generated systems with a hidden class, as logged and under shifts.

Each system has a hidden class of two or three levels that acts on the target and, more or less
clearly, on some of the inputs; the structure is known, the parameters are not. The predictor is
fitted to 2000 rows, 400 of them held out to calibrate on. Then the same system is drawn again, as
it was, with another mix of classes, with inputs that moved by one or two of their standard
deviations, with both; and with a target whose mechanism changed, where no interval of before can
hold. There an alarm must be raised by 500 rows with their truths: `holds`, an exact test of the
coverage at a rate of .01; and `cs.monitor` of the target beside it. `adapt` takes the mix from 500
rows without their truths. What boosted trees with conformal intervals cover is printed beside it.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import causalsys as cs
from benchmarks.lines import Line
from causalsys.detect.monitor import monitor
from causalsys.replace.predictor import CausalPredictor

NAME = "coverage"
FIRST = 1000
LEVEL = 0.9
TRAIN, HELD, FRESH, WATCHED = 2000, 400, 4000, 500
PLACES = ("in distribution", "mix of classes", "inputs", "mix and inputs", "mechanism")
_HOLDS = ("mix of classes", "inputs", "mix and inputs")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """A system: hidden classes, inputs that reveal them or not, and the target.

    Attributes:
        mix: The classes' probabilities.
        moves: How the classes move each input, `[class, input]`.
        chain: The slope of each input on the one before; 0 where that is no cause.
        slopes: The target's slopes on the inputs.
        jumps: The target's constant by class.
        noise: The scale of the target's noise.
        start: The inputs' own means.
    """

    mix: Floats
    moves: Floats
    chain: Floats
    slopes: Floats
    jumps: Floats
    noise: float
    start: Floats

    @property
    def names(self) -> list[str]:
        """The inputs."""
        return [f"x{i}" for i in range(len(self.slopes))]

    def model(self) -> type[cs.SCM]:
        """The structure, as a user would declare it."""
        edges = [(name, "y") for name in self.names] + [("kind", "y")]
        told = (self.moves != 0).any(axis=0).tolist()
        edges += [("kind", n) for n, moved in zip(self.names, told, strict=True) if moved]
        edges += [
            (a, b)
            for a, b, slope in zip(self.names, self.names[1:], self.chain[1:], strict=False)
            if slope
        ]
        linear = cs.Observed(cs.Real(), mechanism=cs.Linear())
        variables = {"kind": cs.Latent(cs.Categorical(len(self.mix)))}
        return cs.SCM.from_graph(edges, name="World", variables=variables, default=linear)

    def draw(self, rows: int, random: np.random.Generator) -> pd.DataFrame:
        """Rows, without the class."""
        kind = random.choice(len(self.mix), size=rows, p=self.mix)
        inputs = np.empty((rows, len(self.slopes)))
        for i in range(len(self.slopes)):
            before = inputs[:, i - 1] if i else np.zeros(rows)
            own = self.start[i] + self.moves[kind, i] + random.normal(size=rows)
            inputs[:, i] = own + self.chain[i] * before
        y = inputs @ self.slopes + self.jumps[kind] + self.noise * random.normal(size=rows)
        return pd.DataFrame(inputs, columns=self.names).assign(y=y)

    def place(self, where: str, random: np.random.Generator) -> World:
        """The system after what happened in a place."""
        mix, start, jumps = self.mix, self.start, self.jumps
        if where in ("mix of classes", "mix and inputs"):
            # What was rare becomes common, and the other way round.
            mix = np.sort(self.mix)[::-1][np.argsort(np.argsort(self.mix))]
        if where in ("inputs", "mix and inputs"):
            roots = (self.moves == 0).all(0)
            size = random.uniform(1, 2, len(start)) * random.choice([-1, 1], len(start))
            start = start + np.where(roots, size, 0.0)
        if where == "mechanism":
            jumps = self.jumps + random.choice([-1, 1]) * random.uniform(2, 4) * self.noise
        return World(mix, self.moves, self.chain, self.slopes, jumps, self.noise, start)


def random_world(seed: int) -> World:
    """A system; inputs that the class does not move are those that an input shift moves."""
    random = np.random.default_rng(seed)
    classes, inputs = int(random.integers(2, 4)), int(random.integers(4, 7))
    mix = random.dirichlet(np.full(classes, 4.0))
    mix = np.maximum(mix, 0.1) / np.maximum(mix, 0.1).sum()
    told = np.arange(inputs) < max(2, inputs // 2)
    moves = np.where(told, random.uniform(-2.5, 2.5, (classes, inputs)), 0.0)
    chain = np.where(random.random(inputs) < 0.4, random.uniform(-0.8, 0.8, inputs), 0.0)
    chain[0] = 0.0
    noise = float(random.uniform(0.5, 1.0))
    jumps = random.permutation(np.arange(classes)) * random.uniform(2, 6) * noise
    slopes = random.uniform(-1, 1, inputs)
    return World(mix, moves, chain, slopes, jumps, noise, random.normal(size=inputs))


@dataclass(frozen=True)
class Found:
    """What was measured of one system.

    Attributes:
        covered: The share of truths inside the intervals, by place.
        beside: The same of boosted trees with conformal intervals.
        width: The mean width of ours over theirs, by place.
        alarm: Whether the test of the coverage raised an alarm, by place.
        monitored: Whether the monitor of the target did.
        adapted: What is covered once the mix was taken from rows without truths.
        gain: The mean error after that over the one before.
    """

    covered: dict[str, float]
    beside: dict[str, float]
    width: dict[str, float]
    alarm: dict[str, bool]
    monitored: dict[str, bool]
    adapted: dict[str, float]
    gain: dict[str, float]


def measure(seed: int) -> Found:
    """Fit to one system, and look in every place."""
    world, random = random_world(seed), np.random.default_rng([seed, 1])
    train = world.draw(TRAIN, random)
    early, held = train.iloc[:-HELD], train.iloc[-HELD:]
    predictor = CausalPredictor(world.model(), target="y", calibration=0, ensemble=4, seed=seed)
    predictor.fit(early[world.names], early["y"]).calibrate(held, held["y"])
    trees = _Trees.fit(train, world.names, seed)
    found = Found({}, {}, {}, {}, {}, {}, {})
    for where in PLACES:
        rows = world.place(where, random).draw(FRESH, random)
        ours, theirs = predictor.predict_interval(rows), trees.interval(rows)
        found.covered[where] = _covered(ours, rows)
        found.beside[where] = _covered(theirs, rows)
        found.width[where] = float(np.ptp(ours, axis=1).mean() / np.ptp(theirs, axis=1).mean())
        watched = rows.iloc[:WATCHED].set_axis(range(TRAIN, TRAIN + WATCHED))
        # The held-out rows are what is normal: the model was not fitted to them.
        seen = monitor(predictor.fitted_, watched, normal=held, nodes=["y"], folds=0, seed=seed)
        found.monitored[where] = bool(seen.alarms)
        found.alarm[where] = predictor.holds(watched, watched["y"]).alarm
        other = copy(predictor).adapt(watched)
        found.adapted[where] = _covered(other.predict_interval(rows), rows)
        found.gain[where] = _error(other, rows) / _error(predictor, rows)
    return found


@dataclass(frozen=True)
class _Trees:
    """Boosted trees with a conformal margin, the same width everywhere."""

    model: object
    names: list[str]
    margin: float

    @classmethod
    def fit(cls, train: pd.DataFrame, names: list[str], seed: int) -> _Trees:
        from sklearn.ensemble import HistGradientBoostingRegressor

        early, late = train.iloc[:-HELD], train.iloc[-HELD:]
        model = HistGradientBoostingRegressor(random_state=seed, max_iter=80)
        model.fit(early[names], early["y"])
        miss = np.sort(np.abs(late["y"] - model.predict(late[names])))
        return cls(model, names, float(miss[int(np.ceil(LEVEL * (HELD + 1))) - 1]))

    def interval(self, rows: pd.DataFrame) -> Floats:
        point = self.model.predict(rows[self.names])  # type: ignore[attr-defined]
        return np.stack([point - self.margin, point + self.margin], 1)


def _covered(bounds: Floats, rows: pd.DataFrame) -> float:
    truth = rows["y"].to_numpy()
    return float(((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean())


def _error(predictor: CausalPredictor, rows: pd.DataFrame) -> float:
    return float(np.abs(predictor.predict(rows) - rows["y"]).mean())


def run(*, quick: bool = False) -> list[Line]:
    """Coverage by place over all systems, and alarms where it does not hold."""
    seeds = range(FIRST, FIRST + (2 if quick else 30))
    return lines([measure(seed) for seed in seeds], seeds)


def lines(found: list[Found], seeds: range) -> list[Line]:
    """What was measured, as lines."""
    told = f"{len(seeds)} systems, seeds {seeds[0]} to {seeds[-1]}, {TRAIN} rows, {FRESH} fresh"
    mean = {where: float(np.mean([f.covered[where] for f in found])) for where in PLACES}
    inside = 0.88 <= mean["in distribution"] <= 0.92
    made = [Line(NAME, "in distribution", mean["in distribution"], ".88 to .92", inside, told)]
    made += [
        Line(NAME, f"under a shift: {where}", mean[where], "≥ 0.85", mean[where] >= 0.85, told)
        for where in _HOLDS
    ]
    missed = [(f, where) for f in found for where in PLACES if f.covered[where] < 0.85]
    raised = float(np.mean([f.alarm[where] for f, where in missed])) if missed else 1.0
    beside = float(np.mean([f.monitored[where] for f, where in missed])) if missed else 1.0
    calm = float(np.mean([f.alarm["in distribution"] for f in found]))
    made += [
        Line(
            NAME,
            "an alarm where coverage is below .85",
            raised,
            "≥ 0.95",
            raised >= 0.95,
            f"{len(missed)} of {len(found) * len(PLACES)} systems and places, {WATCHED} truths; "
            f"cs.monitor of the target: {beside:.2f}",
        ),
        Line(
            NAME,
            "an alarm in distribution",
            float(np.mean(calm)),
            "≤ 0.05",
            float(np.mean(calm)) <= 0.05,
            told,
        ),
        Line(NAME, "coverage after a changed mechanism", mean["mechanism"], note=told),
    ]
    for where in PLACES:
        worst = min(f.covered[where] for f in found)
        beside = float(np.mean([f.beside[where] for f in found]))
        narrow = float(np.median([f.width[where] for f in found]))
        note = f"boosted trees cover {beside:.3f} on average; ours are {narrow:.2f} times as wide"
        made.append(Line(NAME, f"the worst system: {where}", worst, note=note))
    for where in ("in distribution", "mix of classes", "mix and inputs"):
        covered = float(np.mean([f.adapted[where] for f in found]))
        gain = float(np.mean([f.gain[where] for f in found]))
        note = (
            f"worst {min(f.adapted[where] for f in found):.3f}; error {gain:.2f} times that before"
        )
        made.append(
            Line(NAME, f"adapted to {WATCHED} rows without truths: {where}", covered, note=note)
        )
    return made


__all__ = ["NAME", "lines", "measure", "random_world", "run"]
