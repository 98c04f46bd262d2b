"""The one-step error of a fitted model on an arm that it never saw; defined in `forecast`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.abduct import Abducted
from causalsys.fit.fitted import Fitted
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.order import reached
from causalsys.scm.supports import Categorical, Positive
from causalsys.simulate.forecast import Codes, Forecaster, OneStep, Values, biases, transport

_TINY = 1e-12


def decisions(declaration: Declaration) -> list[str]:
    """The decisions of a model."""
    return [node.name for node in declaration.nodes.values() if node.kind == "decision"]


def below(declaration: Declaration, names: list[str]) -> frozenset[str]:
    """What some variables reach, within a step or later, themselves left out."""
    effects: dict[str, list[str]] = {}
    for node in declaration.nodes.values():
        for parent in node.parents:
            effects.setdefault(parent.name, []).append(node.name)
    return frozenset(reached(names, effects)) - set(names)


def learned_below(declaration: Declaration) -> list[Node]:
    """The learned variables that a decision reaches, other decisions left out."""
    reach = below(declaration, decisions(declaration))
    nodes = declaration.nodes.values()
    return [n for n in nodes if n.learned and n.name in reach and n.kind == "observed"]


def one_step(
    fitted: Fitted, others: Abducted, own: Abducted, *, level: float = 0.05
) -> tuple[OneStep, ...]:
    """The one-step error of each learned variable that a decision reaches.

    Variables whose value does not determine one noise are left out: counts, categories, vectors. So
    is everything where no step follows another.

    Args:
        fitted: The model, fitted to the other arms.
        others: Their traces, on which forecasters are learned.
        own: The traces of the arm that was left out.
        level: The probability that a right mechanism is called wrong.
    """
    if own.table.layout.steps < 2:
        return ()
    codes, levels = actions(own.table, decisions(fitted.declaration))
    return tuple(
        _of(node, others, own, codes=codes, levels=levels, level=level)
        for node in learned_below(fitted.declaration)
        if tellable(fitted, node)
    )


def tellable(fitted: Fitted, node: Node) -> bool:
    """Whether a variable's value determines a noise that is one number."""
    mechanism = fitted.mechanisms[node.name]
    scalar = mechanism.noise_shape == () and not node.support.size
    return mechanism.bijective and scalar and node.per == "step"


def actions(table: Table, names: list[str]) -> tuple[Codes, tuple[object, ...]]:
    """Which action each row took, as a code, `[row]`; numbers by thirds."""
    codes = np.zeros(table.rows, dtype=np.int64)
    levels: list[str] = [""]
    for name in names:
        support, value = table.schema.supports[name], table.values[name][0]
        if support.size:
            continue
        if isinstance(support, Categorical):
            known, own = [str(each) for each in support.levels or ("false", "true")], value.numpy()
        else:
            ends = np.quantile(value.numpy(), [1 / 3, 2 / 3])
            known, own = ["low", "middle", "high"], np.searchsorted(ends, value.numpy())
        codes = codes * len(known) + own.astype(np.int64)
        levels = [f"{before} {each}".strip() for before in levels for each in known]
    return codes, tuple(levels)


def _of(
    node: Node,
    others: Abducted,
    own: Abducted,
    *,
    codes: Codes,
    levels: tuple[object, ...],
    level: float,
) -> OneStep:
    noise, earlier = noise_of(own, node), noise_of(others, node)
    expected, known = Forecaster.learn(earlier, others.table.layout).expect(noise, own.table.layout)
    forecast = pushed(own, node, expected)
    value, before = (
        own.table.values[node.name][0].numpy(),
        others.table.values[node.name][0].numpy(),
    )
    positive = isinstance(node.support, Positive)
    scale = 1.0 if positive else float(value.std()) or 1.0
    line, plain = _line(value, positive), _line(before, positive)
    naive = Forecaster.learn(plain, others.table.layout).expect(line, own.table.layout)[0]
    changed = known & (codes != np.concatenate([codes[:1], codes[:-1]]))
    wrong = noise - expected
    here = known & np.isfinite(wrong)
    apart = (line - _line(forecast, positive)) / scale
    slope = float(wrong[here] @ apart[here]) / max(float(wrong[here] @ wrong[here]), _TINY)
    error = np.where(here, wrong * slope, np.nan)
    found = biases(error, expected, own.table.layout, codes=codes, levels=levels, level=level)
    size, chance = transport(found)

    size_of = np.abs(value) + _TINY if positive else np.full(len(value), scale)

    def median(predicted: Values) -> tuple[float, float]:
        miss = np.abs(predicted - value) / size_of
        return _median(miss[changed]), _median(miss[known & ~changed])

    return OneStep(
        node.name,
        *median(forecast),
        size,
        chance,
        found,
        {"no mechanism": median(np.exp(naive) if positive else naive)},
    )


def noise_of(found: Abducted, node: Node) -> Values:
    """The noise behind each row by the best estimate, `[row]`."""
    with torch.no_grad():
        noise = found.noise_of(node, slice(0, found.table.rows))
    return np.asarray(noise[0].expand(found.table.rows).double().numpy())


def pushed(
    found: Abducted, node: Node, noise: Values, *, parents: Mapping[str, Tensor] | None = None
) -> Values:
    """The values that some noise gives, `[row]`: under the rows' own parents, or others `[row]`."""
    mechanism = found.mechanisms[node.name].members(torch.zeros(1, dtype=torch.int64))
    if parents is None:
        under = {key: parent[:1] for key, parent in found.table.parents_of(node).items()}
    else:
        under = {key: parent[None] for key, parent in parents.items()}
    with torch.no_grad():
        return np.asarray(mechanism.push(torch.from_numpy(noise)[None], under)[0].numpy())


def _line(value: Values, positive: bool) -> Values:
    return np.log(np.maximum(value, _TINY)) if positive else value


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else float("nan")
