"""A little blur of the values: where a latent does not show, a flow must not see it.

Inside TCP slow start throughput says nothing of the path: all paths give one value, an atom. A
density may climb an atom without end, and bends the map nearby in doing so. Blurred values have
no atoms (dequantisation: Uria, Murray and Larochelle, NeurIPS 2013).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from causalsys.mechanisms.base import Sample
from causalsys.mechanisms.links import from_line, offset_of, to_line
from causalsys.scm.supports import Support

_SHARE = 0.01
"""The blur's standard deviation, in units of the values' own between their quartiles."""
_QUARTILES = 1.349
_MANY = 100_000


@dataclass(frozen=True)
class Jitter:
    """Normal blur on the line of a support.

    Attributes:
        support: The support of the values.
        offset: As of `links.offset_of`.
        scale: The blur's standard deviation on the line; zero for none.
    """

    support: Support
    offset: Tensor
    scale: float

    @classmethod
    def of(cls, value: Tensor, support: Support, *, share: float = _SHARE) -> Jitter:
        """The blur for values like these."""
        flat = value.flatten()
        offset = offset_of(flat)
        line = to_line(flat[:: max(len(flat) // _MANY, 1)], support=support, offset=offset)
        ordered = line.sort().values
        low, high = (ordered[int(part * (len(ordered) - 1))] for part in (0.25, 0.75))
        return cls(support, offset, share * float(high - low) / _QUARTILES)

    def __call__(self, sample: Sample, *, generator: torch.Generator) -> Sample:
        """The sample with its values blurred anew."""
        if not self.scale:
            return sample
        line = to_line(sample.value, support=self.support, offset=self.offset)
        draws = torch.randn(line.shape, generator=generator, dtype=line.dtype)
        blurred = from_line(line + self.scale * draws, support=self.support, offset=self.offset)
        return replace(sample, value=blurred)
