"""Exact distributions of models of categories, by pgmpy's variable elimination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from causalsys.errors import InterventionError, OutsideSupportError, QueryError
from causalsys.fit.fitted import Fitted
from causalsys.identify.question import ask
from causalsys.query.draws import Draws
from causalsys.query.judged import refusal
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical, Level

if TYPE_CHECKING:
    import pandas as pd


def exact(
    fitted: Fitted, name: str, *, do: Mapping[str, Level], given: Mapping[str, Level]
) -> pd.DataFrame:
    """The distribution of a category under an intervention, given others; see `FittedSCM.exact`."""
    import pandas as pd

    nodes = _relevant(fitted, [name, *do, *given])
    codes = {key: code_of(fitted, key, level) for key, level in {**do, **given}.items()}
    both = sorted(set(do) & set(given))
    if both:
        raise InterventionError(both[0], found="both set and given", mend="Give it once.")
    question = ask(fitted.declaration, name, do=list(do), given=list(given), latent=True)
    verdict = fitted.judge.verdict(question)
    if not verdict.answerable:
        raise refusal(name, verdict)
    rows = [_query(fitted, nodes, name, member, set(do), codes) for member in range(fitted.members)]
    drawn = Draws(np.stack(rows))
    ends = np.clip(drawn.interval(), 0, 1)
    support = fitted.schema.supports[name]
    assert isinstance(support, Categorical)
    return pd.DataFrame(
        {"probability": rows[0], "low": ends[:, 0], "high": ends[:, 1]},
        index=pd.Index(list(support.levels or ()), name=name),
    )


def _query(
    fitted: Fitted,
    nodes: Sequence[Node],
    name: str,
    member: int,
    done: set[str],
    codes: Mapping[str, int],
) -> NDArray[np.float64]:
    """One member's probabilities; an intervention cuts the edges into its variable."""
    from pgmpy.inference import VariableElimination

    if name in codes:
        found = np.zeros(_cardinality(fitted, name))
        found[codes[name]] = 1
        return found
    network = _network(fitted, nodes, member, done, codes)
    result = VariableElimination(network).query([name], evidence=dict(codes), show_progress=False)
    return np.asarray(result.values, dtype=np.float64)


def joint(fitted: Fitted, names: Sequence[str], member: int) -> NDArray[np.float64]:
    """One member's probabilities of all combinations, an axis for each variable in this order."""
    from pgmpy.inference import VariableElimination

    network = _network(fitted, _relevant(fitted, names), member, set(), {})
    result = VariableElimination(network).query(list(names), show_progress=False)
    order = [result.variables.index(name) for name in names]
    return np.asarray(result.values, dtype=np.float64).transpose(order)


def _network(
    fitted: Fitted, nodes: Sequence[Node], member: int, done: set[str], codes: Mapping[str, int]
) -> Any:
    """One member as pgmpy's network."""
    from pgmpy.models import DiscreteBayesianNetwork

    network = DiscreteBayesianNetwork()
    network.add_nodes_from([node.name for node in nodes])
    network.add_edges_from(
        [(p.name, node.name) for node in nodes if node.name not in done for p in node.parents]
    )
    network.add_cpds(*(_table(fitted, node, member, codes, done) for node in nodes))
    return network


def _table(
    fitted: Fitted, node: Node, member: int, codes: Mapping[str, int], done: set[str]
) -> Any:
    """A variable's conditional probabilities, as pgmpy lays them out."""
    from pgmpy.factors.discrete import TabularCPD

    own = _cardinality(fitted, node.name)
    if node.name in done:
        certain = np.zeros((own, 1))
        certain[codes[node.name]] = 1
        return TabularCPD(node.name, own, certain)
    parents = [parent.name for parent in node.parents]
    sizes = [_cardinality(fitted, parent) for parent in parents]
    combinations = torch.tensor(list(product(*map(range, sizes))), dtype=torch.int64)
    columns = {
        key: combinations[:, i].reshape(1, -1) for i, key in enumerate(p.key for p in node.parents)
    }
    mechanism = fitted.mechanisms[node.name].members(torch.tensor([member]))
    values = torch.arange(own).reshape(-1, 1, 1)
    with torch.no_grad():
        table = torch.exp(mechanism.log_prob(values, columns)).reshape(own, -1)
    table = table / table.sum(0)
    return TabularCPD(node.name, own, table.numpy(), evidence=parents, evidence_card=sizes)


def _relevant(fitted: Fitted, names: Sequence[str]) -> list[Node]:
    """The named variables and their causes, which must all be categories with mechanisms."""
    wanted = {fitted.node(name).name for name in names}
    for name in list(wanted):
        wanted |= fitted.declaration.graph.ancestors(name)
    nodes = [node for node in fitted.declaration.nodes.values() if node.name in wanted]
    for node in nodes:
        support = fitted.schema.supports[node.name]
        lagged = any(parent.lag for parent in node.parents)
        if not isinstance(support, Categorical) or support.size or not node.learned or lagged:
            raise QueryError(
                node.name,
                found="no plain category, though the question depends on it",
                mend="Use sample(..., do=..., given=...) instead, which draws.",
            )
    return nodes


def _cardinality(fitted: Fitted, name: str) -> int:
    support = fitted.schema.supports[name]
    assert isinstance(support, Categorical)
    return support.cardinality


def code_of(fitted: Fitted, name: str, level: Level) -> int:
    """The place of a level.

    Raises:
        OutsideSupportError: The category has no such level.
    """
    support = fitted.schema.supports[fitted.node(name).name]
    levels = getattr(support, "levels", None) or ()
    if level not in levels:
        raise OutsideSupportError(
            name,
            found=f"{level!r}, which is no level",
            mend=f"Known levels: {', '.join(map(str, levels[:12]))}.",
        )
    return list(levels).index(level)
