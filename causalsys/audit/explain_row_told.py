"""From tensors of worlds to what is told of one row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from causalsys.audit.attribute_outcome import Outcome
from causalsys.audit.explain_row_judged import Judged
from causalsys.audit.explain_row_result import RowChange, RowLatent, RowNoise, Value
from causalsys.audit.explain_row_search import Found
from causalsys.audit.explain_row_twin import Twin
from causalsys.identify.verdict import Verdict
from causalsys.mechanisms.base import Mechanism
from causalsys.scm.supports import Categorical, Count


def noises_of(twin: Twin, at: int) -> tuple[RowNoise, ...]:
    """How usual each variable of a row was."""
    found = []
    for node in twin.nodes:
        support = twin.subject.fitted.schema.supports[node.name]
        if not node.learned or node.name not in twin.noises or support.size:
            continue
        value = _value(twin, node.name, twin.values[node.name][:, at])
        if isinstance(support, Categorical):
            parents = {ref.key: twin.values[ref.name][:, [at]] for ref in node.parents}
            chance = _chance(twin.found.mechanisms[node.name], twin, node.name, at, parents)
            found.append(RowNoise(node.name, value, math.nan, 0.0, chance))
            continue
        noise = twin.noises[node.name][:, at]
        below = float(torch.special.ndtr(noise).mean())
        spread = float(noise.std()) if len(noise) > 1 else 0.0
        found.append(RowNoise(node.name, value, float(noise.mean()), spread, below))
    return tuple(found)


def _chance(
    mechanism: Mechanism, twin: Twin, name: str, at: int, parents: Mapping[str, Tensor]
) -> float:
    value = twin.values[name][:, [at]]
    return float(mechanism.log_prob(value, parents).exp().mean())


def latents_of(twin: Twin, at: int) -> tuple[RowLatent, ...]:
    """What a row tells of each latent."""
    found = []
    for node in twin.nodes:
        support = twin.subject.fitted.schema.supports[node.name]
        if node.kind != "latent" or support.size:
            continue
        value = twin.values[node.name][:, at].double()
        if isinstance(support, Categorical):
            levels = support.levels or ()
            shares: dict[Value, float] = {
                level: float((value == k).double().mean()) for k, level in enumerate(levels)
            }
            found.append(RowLatent(node.name, math.nan, math.nan, shares))
        else:
            spread = float(value.std()) if len(value) > 1 else 0.0
            found.append(RowLatent(node.name, float(value.mean()), spread, {}))
    return tuple(found)


def changes_of(
    twin: Twin,
    alone: Sequence[Found],
    both: Sequence[Found],
    stuck: Tensor,
    judged: Judged,
) -> Iterator[tuple[RowChange, ...]]:
    """The changes of each row, in the order in which they are told.

    Args:
        twin: The rows.
        alone: The changes of one variable, of all rows.
        both: The changes of two variables, of the rows that are stuck.
        stuck: Which rows no change of one variable makes right, `[row]`.
        judged: Gives verdicts.
    """
    rows: list[list[RowChange]] = [[] for _ in range(len(stuck))]
    everything = torch.arange(len(stuck))
    some = stuck.nonzero()[:, 0]
    groups = [(twin, everything, found) for found in alone]
    groups += [(twin.take(some), some, found) for found in both]
    for part, numbers, found in groups:
        if bool(found.size.isfinite().any()):
            verdict = judged(found.moves.names)
            for number, change in _told(part, found, verdict):
                rows[int(numbers[number])].append(change)
    for changes in rows:
        yield tuple(sorted(changes, key=lambda each: (not each.identified, each.size)))


def _told(twin: Twin, found: Found, verdict: Verdict) -> Iterator[tuple[int, RowChange]]:
    """One change, of each row that it makes right."""
    moved = twin.worlds(found.moves)
    truth, prediction = twin.outcomes(moved, worlds=1)
    loss = twin.subject.loss(truth.reshape(-1), prediction.reshape(-1)).reshape(truth.shape)
    middle = (twin.found.samples - 1) // 2
    names = found.moves.names
    shown = tuple(dict.fromkeys((*names, *Outcome(twin.subject, "error").reads)))
    for at in found.size.isfinite().nonzero()[:, 0].tolist():
        after = {
            name: _value(
                twin, name, moved[name][0, :, at] if name in moved else twin.values[name][:, at]
            )
            for name in shown
        }
        yield (
            at,
            RowChange(
                names,
                tuple(_value(twin, name, twin.values[name][:, at]) for name in names),
                tuple(after[name] for name in names),
                float(found.size[at]),
                float(np.median(prediction[0, :, at])),
                float(np.median(truth[0, :, at])),
                float(np.sort(loss[0, :, at])[middle]),
                after,
                verdict,
            ),
        )


def _value(twin: Twin, name: str, values: Tensor) -> Value:
    """A value over the draws, `[draw]`: the median of a number, the most frequent level."""
    support = twin.subject.fitted.schema.supports[name]
    if isinstance(support, Categorical):
        levels = support.levels or ()
        return levels[int(values.long().mode().values)]
    middle = float(values.double().median())
    return int(middle) if isinstance(support, Count) else middle


__all__ = ["changes_of", "latents_of", "noises_of"]
