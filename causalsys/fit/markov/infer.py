"""Abduction of a chain: draws of its whole path given the whole trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import EvidenceError
from causalsys.fit.fitted import Fitted
from causalsys.fit.markov.emissions import Emissions
from causalsys.fit.markov.passes import draw_paths, forward
from causalsys.fit.markov.place import place_of
from causalsys.fit.markov.polish import polished
from causalsys.mechanisms.autoregressive import AutoRegressiveMechanism
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.chain import ChainMechanism
from causalsys.scm.blocks import blocks
from causalsys.scm.declaration import Node
from causalsys.scm.dynamics import BEFORE, goes_on


def infer_chain(
    unknown: Sequence[Node],
    fitted: Fitted,
    table: Table,
    mechanisms: Mapping[str, Mechanism],
    index: Tensor,
    prior: Mapping[str, Tensor],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Noises `[sample, row]` of a chain, and of what is missing of its children.

    A child's missing cells say nothing of the chain and have their noise from its law.

    Args:
        unknown: The chain, and the children with missing cells.
        fitted: The model.
        table: The evidence.
        mechanisms: Each with the member of sample `s` as its parameters.
        index: The member of each sample.
        prior: Noises from their law.
        generator: Fixes the draws.

    Raises:
        EvidenceError: Something else is unknown that the chain's children depend on.
    """
    chain = next(node for node in unknown if goes_on(node))
    found_block = next(b for b in blocks(fitted.declaration) if chain.name in b.latents)
    place, nodes = place_of(found_block, table)
    seen = [node for node in place.children if node.name in table.values]
    others = {node.name for node in unknown} - {chain.name} - {c.name for c in place.children}
    inner = {ref.name for node in place.children for ref in node.parents}
    lost = sorted(others | ({node.name for node in unknown} - {chain.name}) & inner)
    if lost:
        raise EvidenceError(
            lost[0],
            found=f"missing, while what tells of the latent {chain.name} depends on it",
            mend="Give it in every row.",
        )
    used = torch.unique(index)
    names = {node.name for node in place.children} - {node.name for node in seen}
    kept = [node for node in nodes if node.name not in names]
    emissions = Emissions.of(table, replace(place, children=tuple(seen)), nodes=kept)
    model = {n.name: fitted.mechanisms[n.name].members(used) for n in (chain, *seen)}
    law = model[chain.name]
    assert isinstance(law, ChainMechanism)
    with torch.no_grad():
        parents = emissions.parents(law.values)
        emission = emissions.log_prob(model, parents)
        emission = emission.expand(-1, len(law.values), -1)
        initial, transition = law.state["initial"], law.state["transition"]
        passed = forward(emissions.grid(emission), initial, transition)
        whose = torch.searchsorted(used, index) if len(law.values) > 1 else torch.zeros_like(index)
        paths = draw_paths(passed, transition, whose=whose, generator=generator)
        codes = emissions.course.flat(paths)
        values = law.values[whose].gather(-1, codes)
        own = mechanisms[chain.name]
        (key,) = own.parents
        if isinstance(own, AutoRegressiveMechanism):
            children = {node.name: mechanisms[node.name] for node in seen}
            values = polished(values, own, children, emissions, generator=generator)
        before = table.layout.earlier(values, 1, initial=BEFORE, row_axis=1)
        noise = own.pull(values, {key: before}, generator=generator)
    return {**prior, chain.name: noise}
