"""The same system in ChiRho: a twin world over a Pyro program. Abduction is left to its user."""

from __future__ import annotations

import pandas as pd
import pyro
import torch
from chirho.counterfactual.handlers import TwinWorldCounterfactual
from chirho.indexed.ops import IndexSet, gather
from chirho.interventional.handlers import do
from torch import Tensor

from benchmarks.by_hand import LinearByHand


def counterfactual(
    model: LinearByHand, frame: pd.DataFrame, cause: str, value: float
) -> dict[str, Tensor]:
    """What the rows would have been."""
    seen = {name: torch.tensor(frame[name].to_numpy()) for name in model.slopes}
    noises = {}
    for name, slopes in model.slopes.items():
        noises[name] = seen[name] - model.constants[name]
        for parent, slope in slopes.items():
            noises[name] = noises[name] - slope * seen[parent]

    def program() -> dict[str, Tensor]:
        values: dict[str, Tensor] = {}
        with pyro.plate("rows", len(frame), dim=-1):
            for name, slopes in model.slopes.items():
                total = noises[name] + model.constants[name]
                for parent, slope in slopes.items():
                    total = total + slope * values[parent]
                values[name] = pyro.deterministic(name, total, event_dim=0)
        return values

    with TwinWorldCounterfactual() as worlds, do(actions={cause: torch.tensor(value).double()}):
        values = program()
    with worlds:
        index = IndexSet(**{TwinWorldCounterfactual.fresh_prefix: {1}})
        return {name: gather(value, index, event_dim=0) for name, value in values.items()}
