"""The same work written by hand in torch: whole-array operations, nothing checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.system import System


@dataclass(frozen=True)
class LinearByHand:
    """The linear system, fitted by least squares.

    Attributes:
        constants: By variable.
        slopes: By variable, then by cause.
    """

    constants: dict[str, float]
    slopes: dict[str, dict[str, float]]

    @classmethod
    def fitted(cls, system: System, data: pd.DataFrame) -> LinearByHand:
        """Fit every variable on its causes."""
        constants, slopes = {}, {}
        for name, causes in system.slopes.items():
            design = np.column_stack([np.ones(len(data)), *(data[cause] for cause in causes)])
            found = np.linalg.lstsq(design, data[name].to_numpy(), rcond=None)[0]
            constants[name] = float(found[0])
            slopes[name] = dict(zip(causes, map(float, found[1:]), strict=True))
        return cls(constants, slopes)

    def counterfactual(self, frame: pd.DataFrame, cause: str, value: float) -> dict[str, Tensor]:
        """Every effect of `cause`, had it been `value`."""
        seen = {name: torch.tensor(frame[name].to_numpy()) for name in self.slopes}
        found = {cause: torch.full_like(seen[cause], value)}
        for name, slopes in self.slopes.items():
            if name == cause or not any(parent in found for parent in slopes):
                continue
            noise = seen[name] - self._mean(name, seen)
            found[name] = noise + self._mean(name, {**seen, **found})
        return found

    def _mean(self, name: str, values: dict[str, Tensor]) -> Tensor:
        total = torch.full_like(next(iter(values.values())), self.constants[name])
        for parent, slope in self.slopes[name].items():
            total = total + slope * values[parent]
        return total


class Network(nn.Module):
    """Two hidden layers and a linear shortcut: the architecture of `cs.NeuralAdditive`."""

    def __init__(self, inputs: int, *, hidden: tuple[int, int]) -> None:
        super().__init__()
        first, second = hidden
        self.body = nn.Sequential(
            nn.Linear(inputs, first),
            nn.SiLU(),
            nn.Linear(first, second),
            nn.SiLU(),
            nn.Linear(second, 1, bias=False),
        )
        self.shortcut = nn.Linear(inputs, 1)
        self.log_scale = nn.Parameter(torch.zeros(1))

    def loss(self, inputs: Tensor, value: Tensor) -> Tensor:
        """The mean negative log likelihood of normal noise."""
        residual = value - (self.body(inputs) + self.shortcut(inputs)).squeeze(-1)
        return (0.5 * (residual * torch.exp(-self.log_scale)) ** 2 + self.log_scale).mean()


def train_networks(
    system: System,
    data: pd.DataFrame,
    *,
    hidden: tuple[int, int],
    steps: int,
    batch: int,
    rate: float,
    seed: int,
) -> dict[str, Network]:
    """A network for every variable that has causes, each by its own loop."""
    torch.manual_seed(seed)
    columns = {name: torch.tensor(data[name].to_numpy(), dtype=torch.float32) for name in data}
    found = {}
    for name, causes in system.slopes.items():
        if not causes:
            continue
        inputs = torch.stack([columns[cause] for cause in causes], -1)
        inputs = (inputs - inputs.mean(0)) / inputs.std(0)
        value = (columns[name] - columns[name].mean()) / columns[name].std()
        network = Network(len(causes), hidden=hidden)
        optimiser = torch.optim.Adam(network.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=rate, total_steps=steps, pct_start=0.1
        )
        for _ in range(steps):
            rows = torch.randint(len(value), (batch,))
            optimiser.zero_grad()
            network.loss(inputs[rows], value[rows]).backward()
            optimiser.step()
            schedule.step()
        found[name] = network
    return found
