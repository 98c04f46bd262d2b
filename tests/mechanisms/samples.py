"""Data with a known truth, in the shapes that mechanisms take."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from causalsys.mechanisms import Mechanism, Sample, Training, build
from causalsys.scm.specs import MechanismSpec
from causalsys.scm.supports import Support


def column(values: ArrayLike) -> Tensor:
    """A column of data as a tensor `[1, row, ...]`."""
    return torch.as_tensor(np.asarray(values)).unsqueeze(0)


def sample_of(value: ArrayLike, parents: Mapping[str, ArrayLike], *, members: int = 1) -> Sample:
    """A sample; members beyond the first have Bayesian bootstrap weights."""
    rows = len(np.asarray(value))
    generator = torch.Generator().manual_seed(5)
    weight = -torch.rand(members, rows, generator=generator, dtype=torch.float64).log()
    weight[0] = 1
    return Sample(column(value), {key: column(v) for key, v in parents.items()}, weight)


def fit(
    spec: MechanismSpec,
    support: Support,
    sample: Sample,
    *,
    parents: Mapping[str, Support] | None = None,
    seed: int = 0,
) -> Mechanism:
    """The mechanism, fitted."""
    made = build(spec, support, parents=parents or {})
    return made.fit(sample, training=Training(seed=seed))
