"""How far each value is from what its causes explain: a uniform number for every cell.

`monitor` watches these numbers. While the mechanism of a variable and those above it are as they
were fitted, its numbers are uniform and independent from row to row (the probability integral
transform; Rosenblatt, 1952), and they stay so when an observed cause moves: an alarm names the
variable that changed, and not what lies below it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from causalsys.data.read import read
from causalsys.data.table import Table
from causalsys.detect.drawn import among_draws
from causalsys.detect.integrated import integrated
from causalsys.detect.law import below, usable
from causalsys.detect.scores import Values
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError, QueryError, UnknownNameError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import listed
from causalsys.scm.blocks import Block, blocks
from causalsys.scm.declaration import Node
from causalsys.scm.specs import Logged

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Noises:
    """A uniform number for each cell.

    Attributes:
        values: By variable, `[row]` in (0, 1); NaN where the cell or a cause of it is missing.
        shared: By variable, the latents that it shares with others: see `noises`.
        index: The rows' labels.
    """

    values: Mapping[str, Values]
    shared: Mapping[str, tuple[str, ...]]
    index: pd.Index

    def to_frame(self) -> pd.DataFrame:
        """One column per variable."""
        import pandas as pd

        return pd.DataFrame(dict(self.values), index=self.index)

    def __str__(self) -> str:
        rows = len(self.index)
        return f"Noises of {', '.join(self.values)} in {rows} row{'s' * (rows != 1)}."


@one_thread()
def noises(
    fitted: Fitted, rows: object, *, nodes: Sequence[str] | None = None, seed: int = 0
) -> Noises:
    """The probability that a variable is below its value, given what is not below it.

    Without latents among its causes that is its own noise, as the fitted mechanism tells it. With
    latents, they are integrated out given the logged variables that it does not cause: exactly
    for latents with levels and for linear normal ones, by draws otherwise. A category, or a
    count, is spread evenly over its step.

    Variables that share a latent do not come apart wholly: what is inferred of the latent from
    one of them is used for the other. So where the *mix* of a hidden class moves, and the logged
    variables tell the class, nothing moves here; where they tell it half, or a *new* class comes,
    several of them may move at once. Such an alarm names what they share: see `shared`.

    Args:
        fitted: The model. Rows must not depend on each other: no lags, no states.
        rows: A frame or a mapping of columns; cells may be missing.
        nodes: Which variables; by default every logged variable that was learned and is no
            vector.
        seed: Fixes what is random: places within steps, and draws of latents.

    Raises:
        QueryError: The model has lags or states; a variable is a vector, a latent, or not learned.
        EvidenceError: The rows do not fit the model, or lack a variable that was asked for.
        UnknownNameError: A variable is not in the model.

    Example:
        >>> import causalsys as cs
        >>> class Server(cs.SCM):
        ...     load = cs.Observed(cs.Real())
        ...     delay = cs.Observed(cs.Real(), parents=["load"], mechanism=cs.Linear())
        >>> fitted = Server.fit({"load": [1.0, 2, 3, 4], "delay": [2.1, 3.9, 6.2, 7.8]})
        >>> found = noises(fitted, {"load": [2.5, 2.5], "delay": [5.0, 9.0]})
        >>> bool(found.values["delay"][1] > 0.99)
        True
    """
    chosen = watched(fitted, nodes)
    table = read(fitted.schema, rows, purpose="evidence")
    for name in chosen:
        if nodes is not None and name not in table.values:
            raise EvidenceError(
                name, found="no column in the rows", mend="Give it, or leave it out of `nodes`."
            )
    of_block = {name: block for block in blocks(fitted.declaration) for name in block.variables}
    values, shared = {}, {}
    with torch.no_grad():
        for name in chosen:
            if name in table.values:
                values[name] = _of(fitted.node(name), fitted, table, of_block[name], seed)
                shared[name] = of_block[name].latents
    return Noises(values, shared, table.index)


def watched(fitted: Fitted, nodes: Sequence[str] | None) -> tuple[str, ...]:
    """The variables that are meant, checked.

    Raises:
        QueryError: The model has lags or states, or a variable has no noise that is one number.
        UnknownNameError: A variable is not in the model.
    """
    if fitted.declaration.temporal:
        raise QueryError(
            fitted.declaration.name,
            found="a model with states or lags",
            mend="Declare a model of independent rows; earlier values may be columns of their own.",
        )
    every = {n.name for n in fitted.declaration.nodes.values() if not _why_not(fitted, n)}
    if nodes is None:
        return tuple(name for name in fitted.declaration.nodes if name in every)
    asked = listed(nodes, "nodes")
    for name in asked:
        if not isinstance(name, str):
            raise QueryError("nodes", found=repr(name), mend="Give names of variables.")
        if name not in fitted.declaration.nodes:
            raise UnknownNameError.among(
                name, fitted.declaration.nodes, where=f"the model {fitted.declaration.name}"
            )
        reason = _why_not(fitted, fitted.node(name))
        if reason:
            told = ", ".join(sorted(every))
            raise QueryError(name, found=reason, mend=f"Choose among {told}.")
    return tuple(dict.fromkeys(map(str, asked)))


def _why_not(fitted: Fitted, node: Node) -> str:
    if node.kind == "latent":
        return "a latent, which is never observed"
    if not node.learned:
        return "a variable that follows from others by an equation"
    if isinstance(node.mechanism, Logged):
        return "a decision whose mechanism is not known (cs.Logged)"
    return "a vector" if fitted.schema.supports[node.name].size else ""


def _of(node: Node, fitted: Fitted, table: Table, block: Block, seed: int) -> Values:
    # A seed of its own: places within steps must not tie the variables together.
    seed = zlib.crc32(f"{seed}/{node.name}".encode())
    generator = torch.Generator().manual_seed(seed)
    place = torch.rand(table.rows, generator=generator, dtype=torch.float64)
    if block.latents:
        found = integrated(node, fitted, table, block, place=place, seed=seed)
    else:
        found = _direct(node, fitted, table, place, seed)
    known = table.complete(node)
    inside = np.clip(found.numpy(), 1e-12, 1 - 1e-12)
    return inside if known is None else np.where(known.numpy(), inside, np.nan)


def _direct(
    node: Node, fitted: Fitted, table: Table, place: torch.Tensor, seed: int
) -> torch.Tensor:
    mechanism = fitted.mechanisms[node.name]
    parents = table.parents_of(node)
    lacking = [parent.name for parent in node.parents if parent.key not in parents]
    if lacking:
        return torch.full((table.rows,), torch.nan, dtype=torch.float64)
    if not usable(mechanism):
        return among_draws(node, fitted, table, place=place, seed=seed)
    return below(mechanism, table.values[node.name], parents, place=place, seed=seed).mean(0)


__all__ = ["Noises", "noises", "watched"]
