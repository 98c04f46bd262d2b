"""An autoregressive flow masked by the graph, as CausalNF is: each variable sees its parents only.

One layer, which Javaloy, Sanchez-Martin and Valera (Causal Normalizing Flows, NeurIPS 2023)
recommend; zuko builds it. Affine maps or rational-quadratic splines of a standard normal, trained
by Adam, with the best of its epochs on held-out rows.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

_BINS, _HIDDEN = 8, (64, 64)
_EPOCHS, _PATIENCE, _BATCH = 400, 40, 256
_RATE, _LEAST_RATE = 3e-3, 1e-5
_HELD_OUT = 0.1


@dataclass(frozen=True)
class MaskedFlow:
    """A fitted flow from data to noises.

    Attributes:
        names: The variables, causes before effects.
        flow: zuko's lazy transform.
        center: The mean of each variable.
        spread: Its standard deviation.
    """

    names: list[str]
    flow: Any
    center: Tensor
    spread: Tensor

    @classmethod
    def fitted(
        cls,
        parents: Mapping[str, tuple[str, ...]],
        data: pd.DataFrame,
        *,
        splines: bool,
        seed: int,
    ) -> MaskedFlow:
        """Train on the rows of `data`."""
        names = list(parents)
        x = torch.tensor(data[names].to_numpy(), dtype=torch.float32)
        center, spread = x.mean(0), x.std(0)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            flow = _train(_masked(parents, splines=splines), (x - center) / spread)
        return cls(names, flow, center, spread)

    def __call__(self, frame: pd.DataFrame, do: Mapping[str, float]) -> pd.DataFrame:
        """What the rows would have been: the noises are kept, and what is done is set."""
        x = torch.tensor(frame[self.names].to_numpy(), dtype=torch.float32)
        scaled = (x - self.center) / self.spread
        with torch.no_grad():
            noise = self.flow()(scaled)
            world = scaled.clone()
            for place, name in enumerate(self.names):
                if name in do:
                    world[:, place] = (do[name] - self.center[place]) / self.spread[place]
                else:
                    world[:, place] = self.flow.meta(None, world).inv(noise)[:, place]
        found = world * self.spread + self.center
        return pd.DataFrame(found.double().numpy(), columns=self.names, index=frame.index)


def _masked(parents: Mapping[str, tuple[str, ...]], *, splines: bool) -> Any:
    from zuko.flows import MaskedAutoregressiveTransform
    from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform

    names = list(parents)
    sees = torch.eye(len(names), dtype=torch.bool)
    for row, name in enumerate(names):
        for cause in parents[name]:
            sees[row, names.index(cause)] = True
    return MaskedAutoregressiveTransform(
        len(names),
        adjacency=sees,
        univariate=MonotonicRQSTransform if splines else MonotonicAffineTransform,
        shapes=[(_BINS,), (_BINS,), (_BINS - 1,)] if splines else [(), ()],
        hidden_features=_HIDDEN,
        activation=torch.nn.SiLU,
    )


def _train(flow: Any, x: Tensor) -> Any:
    order = torch.randperm(len(x))
    held = int(_HELD_OUT * len(x))
    learn, check = x[order[held:]], x[order[:held]]
    optimiser = torch.optim.Adam(flow.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=0.5, patience=_PATIENCE // 4, min_lr=_LEAST_RATE
    )
    best, kept, since = float("inf"), flow, 0
    for _ in range(_EPOCHS):
        for batch in learn[torch.randperm(len(learn))].split(_BATCH):
            optimiser.zero_grad()
            _loss(flow, batch).backward()
            optimiser.step()
        with torch.no_grad():
            loss = float(_loss(flow, check))
        schedule.step(loss)
        if loss < best:
            best, kept, since = loss, copy.deepcopy(flow), 0
        else:
            since += 1
        if since >= _PATIENCE:
            break
    return kept


def _loss(flow: Any, x: Tensor) -> Tensor:
    noise, slope = flow().call_and_ladj(x)
    loss: Tensor = (0.5 * noise.square().sum(-1) - slope).mean()
    return loss
