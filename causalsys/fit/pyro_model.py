"""A fitted model as a Pyro program, for users who want Pyro's own inference on it."""

from __future__ import annotations

import pyro
import torch
from torch import Tensor

from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.fit.program import unlike
from causalsys.mechanisms.law import MechanismLaw
from causalsys.scm.evaluate import computed


def program(fitted: Fitted, rows: int) -> dict[str, Tensor]:
    """Sample every variable of one step, `[member, row]`, at Pyro sites of their names.

    Equations are deterministic sites.

    Args:
        fitted: The model.
        rows: How many rows.

    Raises:
        QueryError: The model has lags or states, which one step of Pyro has no place for.
    """
    declaration = fitted.declaration
    if declaration.temporal:
        raise QueryError(
            declaration.name,
            found="lags or states",
            mend="Export a model without them; traces are asked through `sample`.",
        )
    values: dict[str, Tensor] = {}
    supports = fitted.schema.supports
    with (
        pyro.plate(unlike("member"), fitted.members, dim=-2),
        pyro.plate(unlike("row"), rows, dim=-1),
        torch.no_grad(),
    ):
        for node in declaration.nodes.values():
            parents = {ref.key: values[ref.name] for ref in node.parents}
            if node.function is None:
                law = MechanismLaw(
                    fitted.mechanisms[node.name], parents, batch_shape=(fitted.members, rows)
                )
                values[node.name] = pyro.sample(node.name, law)
                continue
            value = computed(node, list(parents.values()), supports=supports)
            size = supports[node.name].size
            values[node.name] = pyro.deterministic(node.name, value, event_dim=1 if size else 0)
    return values
