"""How strong a logged variable would be as a confounder, had nobody logged it.

Leaving out a common cause c of x and v adds `α c` to the noise of x and `γ c` to that of v, and
so ties the two with the strength `corr(c, noise of x) · corr(c, noise of v)`: Cinelli and Hazlett
(JRSS B 2020) compare a hidden confounder with the observed ones in this way. Everything is read on
normal scores, so that neither units nor monotone bends matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from causalsys.data.table import Layout, Table
from causalsys.fit.abduct import Abducted
from causalsys.fit.fitted import Fitted
from causalsys.query.ask import sample
from causalsys.query.confounded import Pair
from causalsys.scm.declaration import ParentRef
from causalsys.scm.supports import Categorical

_ENOUGH = 200
"""Rows of evidence that show a correlation; with fewer, the model is asked for rows."""
_DRAWN = 5000
_ROWS = 20_000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Benchmark:
    """A logged variable as a confounder of a cause and an effect.

    Attributes:
        name: The variable.
        pair: The cause and the effect that it is compared on.
        with_cause: Its correlation with the cause, given the cause's other known influences.
        with_effect: Its correlation with what is left of the effect once the cause and its other
            parents are accounted for. A category's correlations are multiple, without a sign.
    """

    name: str
    pair: Pair
    with_cause: float
    with_effect: float

    @property
    def strength(self) -> float:
        """The strength that leaving it unlogged would have: the product of the two."""
        return self.with_cause * self.with_effect


def benchmarks(fitted: Fitted, found: Abducted, pairs: Sequence[Pair]) -> tuple[Benchmark, ...]:
    """Every logged variable that acts on a pair's cause or effect, the strongest first.

    One that acts on several pairs is told of the pair on which it is strongest.
    """
    table = found.table if found.table.rows >= _ENOUGH else _drawn(fitted, found)
    best: dict[str, Benchmark] = {}
    for pair in pairs:
        for each in _of_pair(fitted, table, pair):
            if each.name not in best or abs(each.strength) > abs(best[each.name].strength):
                best[each.name] = each
    return tuple(sorted(best.values(), key=lambda each: (-abs(each.strength), each.name)))


def _of_pair(fitted: Fitted, table: Table, pair: Pair) -> list[Benchmark]:
    """Each logged influence on the pair that the cause does not itself act on."""
    cause, effect = fitted.node(pair.cause), fitted.node(pair.effect)
    below = {pair.cause, *fitted.declaration.graph.descendants(pair.cause)}
    logged = [
        parent
        for parent in (*cause.parents, *effect.parents)
        if fitted.node(parent.name).kind != "latent"
    ]
    shared = {p.key: _scores(fitted, table, p) for p in logged if p.lag or p.name not in below}
    after = {p.key: _scores(fitted, table, p) for p in logged if p.key not in shared}
    after[pair.cause] = _scores(fitted, table, ParentRef(pair.cause))
    value = _scores(fitted, table, ParentRef(pair.effect))
    found = []
    for key, column in shared.items():
        others = [shared[other] for other in shared if other != key]
        own = _residual(column, others)
        # The effect less all that the others and the cause do to it: this one's part stays.
        known = [column, *others, *after.values()]
        slopes = _slopes(value, known)[: column.shape[1]]
        left = own @ slopes + _residual(value, known)
        on_cause = _correlation(own, _residual(after[pair.cause], others))
        found.append(Benchmark(key, pair, on_cause, _correlation(own, left)))
    return found


def _drawn(fitted: Fitted, found: Abducted) -> Table:
    """Rows of the model itself; traces of the evidence's longest."""
    layout = found.table.layout
    steps = layout.steps if fitted.declaration.temporal else 1
    traces = -(-_DRAWN // steps)
    answer = sample(fitted, traces, do=None, given=None, steps=steps, samples=1, seed=found.seed)
    values = {name: answer.values[name][0] for name in answer.names}
    drawn = Layout(
        torch.arange(traces).repeat_interleave(steps), torch.arange(steps).repeat(traces)
    )
    return Table(fitted.schema, values, {}, torch.ones(traces * steps), drawn, answer.index)


def _correlation(columns: Array, other: Array) -> float:
    """The correlation of two variables, centred columns each.

    With several columns it is the multiple correlation, without a sign; the largest, where the
    other has several too.
    """
    slopes = _slopes(other, [columns])
    total, explained = (other**2).sum(0), ((columns @ slopes) ** 2).sum(0)
    size = np.sqrt(explained / np.maximum(total, 1e-300)).clip(0, 1)
    single = columns.shape[1] == other.shape[1] == 1
    return float(size.max() * (np.sign(slopes[0, 0]) if single else 1.0))


def _slopes(value: Array, columns: Sequence[Array]) -> Array:
    return np.asarray(np.linalg.lstsq(np.hstack(columns), value, rcond=None)[0], dtype=np.float64)


def _residual(value: Array, columns: Sequence[Array]) -> Array:
    return value - np.hstack(columns) @ _slopes(value, columns) if columns else value


def _scores(fitted: Fitted, table: Table, parent: ParentRef) -> Array:
    """A variable's normal scores, or the indicators of its levels; centred, `[row, column]`."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    columns: NDArray[np.floating]
    value, support = table.value_of(parent)[0], fitted.schema.supports[parent.name]
    at = np.linspace(0, table.rows - 1, min(table.rows, _ROWS)).round().astype(np.intp)
    if isinstance(support, Categorical):
        codes = torch.nn.functional.one_hot(value.long(), support.cardinality)[..., 1:]
        columns = codes.reshape(len(value), -1).double().numpy()[at]
    else:
        numbers = value.reshape(len(value), -1).double().numpy()[at]
        columns = ndtri((rankdata(numbers, axis=0) - 0.5) / len(at))
    return np.asarray(columns - columns.mean(0), dtype=np.float64)
