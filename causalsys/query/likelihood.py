"""The likelihood of rows, latents integrated out."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import EvidenceError
from causalsys.fit.district import scope_nodes
from causalsys.fit.factors import Factors, is_gaussian
from causalsys.fit.fitted import Fitted
from causalsys.fit.joint import Scope
from causalsys.fit.posterior import propose, summed_out
from causalsys.fit.state_space.fit import rows_foreseen
from causalsys.fit.state_space.place import has_low_rank
from causalsys.scm.blocks import Block, blocks
from causalsys.scm.dynamics import goes_on

_DRAWS = 256


def row_log_prob(fitted: Fitted, table: Table, *, seed: int = 0) -> NDArray[np.float64]:
    """The log likelihood of each row, averaged over the members' likelihoods, `[row]`.

    Latents are integrated out exactly where they are categorical, and else by importance
    sampling from the guide (Burda, Grosse and Salakhutdinov, ICLR 2016). Behind a low-rank
    mechanism a row's likelihood is that given the rows before it in its trace.

    Raises:
        EvidenceError: Latents belong to whole traces, so that rows have no likelihood alone.
    """
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(fitted.members, table.rows, dtype=torch.float64)
    with torch.no_grad():
        for block in blocks(fitted.declaration):
            if block.latents:
                total = total + _district(block, fitted, table, generator)
                continue
            node = fitted.node(block.variables[0])
            mechanism = fitted.mechanisms[node.name]
            total = total + mechanism.log_prob(table.values[node.name], table.parents_of(node))
    return (torch.logsumexp(total, 0) - math.log(fitted.members)).numpy()


def _district(block: Block, fitted: Fitted, table: Table, generator: torch.Generator) -> Tensor:
    if has_low_rank(block, fitted.declaration):
        # One step ahead: what a trace's rows tell of each other is in their forecasts.
        return rows_foreseen(block, fitted.mechanisms, table)
    if any(goes_on(fitted.node(name)) for name in block.latents):
        raise EvidenceError(
            block.latents[0],
            found="a latent with dynamics of its own, which ties the rows of a trace together",
            mend="Read `fitted.diagnostics.districts`, where its log likelihood per row is.",
        )
    guide = next((g for g in fitted.guides if set(g.latents) <= set(block.latents)), None)
    beside = [name for name in (guide.inputs if guide else ()) if name in table.values]
    scope = Scope.of(table, fitted.mechanisms, nodes=scope_nodes(block, table), beside=beside)
    if scope.by_trace:
        raise EvidenceError(
            block.latents[0],
            found="a latent of whole traces, which ties their rows together",
            mend="Ask for the likelihood of models whose latents belong to steps.",
        )
    if is_gaussian(scope):
        return Factors.of(scope).log_likelihood()
    if guide is None:
        return summed_out(scope, {})
    proposal = propose(guide, scope, draws=_DRAWS, generator=generator)
    joint = summed_out(scope, proposal.noises) + proposal.log_ratio
    return torch.logsumexp(joint, 0) - math.log(_DRAWS)
