"""Common random numbers: the luck of a random policy, the same in every world.

A number depends on the seed, the decision, the trace's name, the sample and the step, and on
nothing else: not on which other traces there are, nor on how they are cut into pieces. Only a
distribution whose quantiles torch cannot compute (Gamma, Beta, Poisson) is drawn in its own way,
for all traces of a step together; worlds share its seed, pieces do not share its draws. Numbers are
counted out, not drawn in turn: a number is a bijection of 64 bits (the finaliser of SplitMix64;
Steele, Lea and Flood, OOPSLA 2014) of its counter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution

Words = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_BY_30, _BY_27, _BY_31, _BY_11 = (np.uint64(bits) for bits in (30, 27, 31, 11))


@dataclass(frozen=True, eq=False)
class Chance:
    """The luck of one decision.

    Attributes:
        keys: `[sample, trace]`, 64 bits each.
        seed: Fixes what is drawn in another way.
    """

    keys: Words
    seed: int

    @classmethod
    def of(cls, traces: Sequence[object], *, samples: int, seed: int, name: str) -> Chance:
        """The luck of the decision `name`.

        Args:
            traces: The traces' names.
            samples: How many samples there are.
            seed: The question's seed.
            name: The decision.
        """
        own = _words([f"{seed}/{name}"])
        each = _mixed(_words([str(trace) for trace in traces]) ^ own)
        lanes = np.arange(samples, dtype=np.uint64) * _GOLDEN
        return cls(_mixed(each + lanes[:, None]), int(own[0] % (2**31)))

    def uniform(self, step: int, live: int, *, width: int) -> Tensor:
        """Uniform numbers inside (0, 1) for a step, `[sample, trace, width]`."""
        keys = self.keys[:, :live] + np.uint64((step + 1) * int(_GOLDEN) % 2**64)
        words = (width + 1) // 2
        lanes = np.arange(1, words + 1, dtype=np.uint64) * _GOLDEN
        bits = _mixed(_mixed(keys)[..., None] + lanes)
        if width == 1:
            bits >>= _BY_11
            numbers, digits = bits.astype(np.float64), 53
        else:
            # Which of several rings first is told well enough by half a word each.
            halves = bits.astype("<u8", copy=False).view("<u4")
            numbers, digits = halves[..., :width].astype(np.float64), 32
        numbers += 0.5
        numbers *= 2.0**-digits
        return torch.from_numpy(numbers)

    def draw(
        self, distribution: Distribution, step: int, live: int, *, told: Tensor | None = None
    ) -> Tensor:
        """A draw for each sample and trace of a step, `[sample, trace]` (or a vector more).

        A category is the level of the greatest log probability plus Gumbel noise, so that worlds
        that differ little choose alike (Oberst and Sontag, ICML 2019); a number is its
        distribution's quantile.

        Args:
            distribution: What to draw from.
            step: The step.
            live: How many traces go on.
            told: The luck, where it is known: races `[sample, trace, level]`, or uniform numbers
                `[sample, trace]`.
        """
        if isinstance(distribution, Categorical):
            width = int(distribution.param_shape[-1])
            race = told if told is not None and told.shape[2:] == (width,) else None
            if race is None:
                race = race_of(self.uniform(step, live, width=width))
            if "probs" in vars(distribution):
                # Whose exponential clock rings first, which is the same as Gumbel-max.
                return (race / distribution.probs).min(-1).indices
            return (distribution.logits - race.log()).max(-1).indices
        place = told if told is not None and told.dim() == 2 else None
        if place is None:
            place = self.uniform(step, live, width=1)[..., 0]
        if isinstance(distribution, Bernoulli):
            return (place < distribution.probs).double()
        if not distribution.event_shape:
            try:
                return distribution.icdf(place)
            except NotImplementedError:
                pass
        return self._other(distribution, step, live)

    def _other(self, distribution: Distribution, step: int, live: int) -> Tensor:
        """By the distribution's own way, under a seed of the step."""
        shape = tuple(distribution.batch_shape)
        wanted = (len(self.keys), live)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((self.seed + 1_000_003 * step) % (2**63))
            return distribution.sample(torch.Size(wanted[: len(wanted) - len(shape)]))


def race_of(uniform: Tensor) -> Tensor:
    """Standard exponential numbers: the negative exponentials of Gumbel noises."""
    return uniform.log_().neg_()


def _words(names: Sequence[str]) -> Words:
    """64 bits for each name, the same in every process."""
    digests = b"".join(hashlib.blake2b(n.encode(), digest_size=8).digest() for n in names)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _mixed(bits: Words) -> Words:
    found = bits ^ (bits >> _BY_30)
    found *= _FIRST
    found ^= found >> _BY_27
    found *= _SECOND
    found ^= found >> _BY_31
    return found


__all__ = ["Chance", "race_of"]
