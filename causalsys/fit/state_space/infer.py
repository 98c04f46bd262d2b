"""Abduction of the latents of a low-rank variable: draws of their paths given whole traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import EvidenceError
from causalsys.fit.fitted import Fitted
from causalsys.fit.lasting.course import Course
from causalsys.fit.state_space.draws import draws
from causalsys.fit.state_space.fit import series_of
from causalsys.fit.state_space.place import components, has_lasting, persistence, place_of
from causalsys.fit.state_space.series import system_of
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.low_rank import LowRankMechanism
from causalsys.scm.blocks import blocks
from causalsys.scm.declaration import Node
from causalsys.scm.dynamics import BEFORE


def infer_lasting(
    unknown: Sequence[Node],
    fitted: Fitted,
    table: Table,
    mechanisms: Mapping[str, Mechanism],
    index: Tensor,
    prior: Mapping[str, Tensor],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Noises `[sample, row, ...]` of the latents, each sample under its member's parameters.

    Values that are missing say nothing, and have their noise from its law.

    Args:
        unknown: The latents, and the variable they act on where it has missing cells.
        fitted: The model.
        table: The evidence.
        mechanisms: Each with the member of sample `s` as its parameters.
        index: The member of each sample.
        prior: Noises from their law.
        generator: Fixes the draws.

    Raises:
        EvidenceError: Something else is unknown that the variable depends on.
    """
    latent = next(node for node in unknown if has_lasting(node))
    block = next(b for b in blocks(fitted.declaration) if latent.name in b.latents)
    place = place_of(block, fitted.declaration)
    inside = {place.child.name, *(node.name for node in place.latents)}
    lost = sorted({node.name for node in unknown} - inside)
    if lost:
        raise EvidenceError(
            lost[0],
            found=f"missing, while what tells of the latents of {place.child.name} depends on it",
            mend="Give it in every row.",
        )
    used = torch.unique(index)
    names = [place.child.name, *(node.name for node in place.latents)]
    model = {name: fitted.mechanisms[name].members(used) for name in names}
    child = cast(LowRankMechanism, model[place.child.name])
    with torch.no_grad():
        system = system_of(child, persistence(place, model))
        whose = torch.searchsorted(used, index)
        whose = whose if len(system.noise) > 1 else torch.zeros_like(whose)
        _, series, _ = series_of(place, table, mechanism=child)
        paths = draws(system, series, whose=whose, generator=generator)
        values = Course.of(table.layout).flat(paths).movedim(0, -1)
        found = dict(prior)
        for name, value in components(place, values).items():
            own = mechanisms[name]
            (key,) = own.parents
            before = table.layout.earlier(value, 1, initial=BEFORE, row_axis=1)
            found[name] = own.pull(value, {key: before})
    return found
