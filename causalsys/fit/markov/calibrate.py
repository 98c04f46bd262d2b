"""Do a chain's children stray from their states as their mechanisms say?"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from causalsys.fit.markov.em import Model
from causalsys.fit.markov.emissions import Emissions
from causalsys.fit.markov.passes import Expected
from causalsys.mechanisms.base import Mechanism

_ROWS = 20_000


def calibrations(
    mechanisms: Mapping[str, Mechanism], model: Model, emissions: Emissions, seen: Expected
) -> dict[str, float]:
    """The p-value of a Kolmogorov-Smirnov test of each child's noise against its law.

    The state of each row is drawn from its law given the trace: were the model true, the noise
    under such draws would follow its own law (posterior predictive calibration).

    Args:
        mechanisms: The children's mechanisms; those whose values tell their noise are tested.
        model: The fitted chain, one member.
        emissions: The data.
        seen: The law of its states.
    """
    from scipy.stats import kstest

    states = emissions.rows_of(seen.states)[:, 0]
    share = torch.rand(states.shape[1], generator=torch.Generator().manual_seed(0)).double()
    codes = (share > states.cumsum(0)).sum(0).clamp(max=len(states) - 1)
    parents = emissions.given(model.values[:1, codes])
    found = {}
    for node in emissions.place.children:
        mechanism = mechanisms[node.name].members(torch.zeros(1, dtype=torch.int64))
        if not mechanism.bijective or mechanism.support.size:
            continue
        with torch.no_grad():
            noise = mechanism.pull(emissions.value(node.name)[:1], parents[node.name])[0]
        if node.name in emissions.complete:
            noise = noise[emissions.complete[node.name]]
        step = max(len(noise) // _ROWS, 1)
        found[node.name] = float(kstest(noise[::step].numpy(), "norm").pvalue)
    return found
