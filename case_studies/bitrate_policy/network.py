"""The policy: a small network from what a player knows to a bitrate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

import causalsys as cs
from causalsys.simulate.policies.streaming import LADDER

WINDOW = 5
"""Past chunks that it looks at."""
INPUTS = ("buffer", "last bitrate", "sizes", "throughputs", "round trip")
_PLACES = (1, 1, 6, WINDOW + 1, 1)


class Network(nn.Module):
    """Two layers of 64 units, with a score per bitrate and, for training, the state's value."""

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        wide = sum(_PLACES)
        self.body = nn.Sequential(
            nn.Linear(wide, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.scores = nn.Linear(hidden, len(LADDER))
        self.value = nn.Linear(hidden, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Scores `[..., bitrate]` and values `[...]` of states `[..., feature]`."""
        inner = self.body(features)
        return self.scores(inner), self.value(inner)[..., 0]


def features(
    buffer: Tensor, size: Tensor, rtt: Tensor, throughputs: Tensor, last: Tensor
) -> Tensor:
    """What the network sees of a step, `[..., trace, feature]`, each near 0 to 1.

    Sizes are relative to the bitrate's usual one; throughputs are in logarithms, since it is ratios
    that count; a chunk before the first counts for 1 Mbit/s, and the share of known ones tells.
    """
    ladder = torch.tensor(LADDER, dtype=torch.float64)
    known = throughputs > 0
    rates = torch.where(known, throughputs.clamp(min=0.05).log(), 0.0)
    parts = [
        (buffer / 10).unsqueeze(-1),
        (ladder[last.long()] / LADDER[-1]).unsqueeze(-1),
        3 * (size / (4 * ladder)).log(),
        rates,
        known.double().mean(-1, keepdim=True),
        (2 * rtt).unsqueeze(-1),
    ]
    lead = buffer.shape
    return torch.cat([part.expand(*lead, part.shape[-1]) for part in parts], -1).float()


def columns_of(name: str) -> slice:
    """Where one of `INPUTS` stands among the features."""
    at = INPUTS.index(name)
    return slice(sum(_PLACES[:at]), sum(_PLACES[: at + 1]))


class BitratePolicy:
    """The network as a policy, for `cs.simulate` and for the true player.

    Args:
        network: The network.
        explore: Whether it draws from its probabilities, as in training; else it takes the
            likeliest.
        notes: Where to keep the features of each step, `[trace, feature]`.
    """

    def __init__(
        self, network: Network, *, explore: bool = False, notes: list[Tensor] | None = None
    ) -> None:
        self.network, self.explore, self.notes = network, explore, notes
        self.__name__ = "learned policy"

    def __call__(
        self,
        buffer: Tensor,
        size: Tensor,
        rtt: Tensor,
        throughputs: Tensor = cs.past("throughput", steps=WINDOW),
        last: Tensor = cs.past("bitrate", steps=1),
    ) -> Any:
        """Codes of bitrates `[..., trace]`, or a distribution over them."""
        seen = features(buffer, size, rtt, throughputs, last)
        if self.notes is not None:
            self.notes.append(seen.reshape(-1, seen.shape[-1]))
        with torch.no_grad():
            scores, _ = self.network(seen)
        if self.explore:
            return Categorical(logits=scores.double(), validate_args=False)
        return scores.argmax(-1)


__all__ = ["INPUTS", "WINDOW", "BitratePolicy", "Network", "columns_of", "features"]
