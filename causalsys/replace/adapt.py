"""Another mix of hidden classes, learned from rows whose target is not known yet.

If only the classes' probabilities changed, and not what each class does, the law of the inputs
tells the new ones: EM over the posterior, in which each round weighs a class by how much more
probable it has become (Saerens, Latinne and Decaestecker, Neural Computation 2002, equation 2.8).
The likelihood is concave in the probabilities, so there is one answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.engine.base import one_thread
from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.mechanisms.categorical import GumbelMaxMechanism
from causalsys.replace.belief import believe

_ROUNDS = 500
_TOLERANCE = 1e-7
_PRIOR = 0.5
"""Rows of each class that are supposed beside those that are seen: no class becomes impossible."""


@dataclass(frozen=True)
class Seen:
    """Rows that know the same columns.

    Attributes:
        codes: The level of each class, by component, `[component]`.
        weight: The posterior under the old mix, `[component, member, row]`.
    """

    codes: dict[str, Tensor]
    weight: Tensor


@one_thread()
def remixed(fitted: Fitted, tables: Sequence[Table]) -> Fitted:
    """The model with the probabilities of its hidden classes as in these rows.

    Args:
        fitted: The model.
        tables: Rows without their target.

    Raises:
        QueryError: The model has no hidden class without causes.
    """
    names = [
        node.name
        for node in fitted.declaration.nodes.values()
        if node.kind == "latent"
        and not node.parents
        and isinstance(fitted.mechanisms[node.name], GumbelMaxMechanism)
    ]
    if not names:
        raise QueryError(
            "model",
            found=f"no hidden class without causes in {fitted.declaration.name}",
            mend="Fit anew where something else has changed: predictor.fit(X, y).",
        )
    seen = [_seen(fitted, table, names) for table in tables]
    old = {name: _log_mix(fitted, name) for name in names}
    new = dict(old)
    for _ in range(_ROUNDS):
        again = _round(seen, old, new)
        change = max(float((again[n].exp() - new[n].exp()).abs().max()) for n in names)
        new = again
        if change < _TOLERANCE:
            break
    mechanisms = dict(fitted.mechanisms)
    for name in names:
        mechanism = mechanisms[name]
        state = {**mechanism.state, "net.constant": new[name].unsqueeze(-2)}
        mechanisms[name] = mechanism.with_state(state)
    return replace(fitted, mechanisms=mechanisms)


def _seen(fitted: Fitted, table: Table, names: Sequence[str]) -> Seen:
    belief = believe(fitted, table, about=names, points=2)
    if lost := [name for name in names if name not in belief.codes]:
        # Nothing known depends on it, or it has to be drawn: its mix cannot be told from here.
        raise QueryError(
            lost[0],
            found="a hidden class that cannot be summed out of these rows",
            mend="Give rows with inputs that it acts on.",
        )
    return Seen({name: belief.codes[name].reshape(-1) for name in names}, belief.weight)


def _log_mix(fitted: Fitted, name: str) -> Tensor:
    """The log probability of each level, `[member, level]`."""
    constant = fitted.mechanisms[name].state["net.constant"].squeeze(-2)
    return torch.log_softmax(constant, -1).expand(fitted.members, -1)


def _round(
    seen: Sequence[Seen], old: dict[str, Tensor], new: dict[str, Tensor]
) -> dict[str, Tensor]:
    """One round of EM: the mean posterior of each level under the last mix."""
    totals = {name: torch.full_like(mix, _PRIOR) for name, mix in old.items()}
    for part in seen:
        ratio = torch.stack([(new[n] - old[n])[:, code].T for n, code in part.codes.items()]).sum(0)
        weight = part.weight * ratio.exp().unsqueeze(-1)
        share = (weight / weight.sum(0).clamp(min=1e-300)).sum(-1)
        for name, code in part.codes.items():
            totals[name] = totals[name].index_add(1, code, share.T)
    return {name: (total / total.sum(-1, keepdim=True)).log() for name, total in totals.items()}


__all__ = ["remixed"]
