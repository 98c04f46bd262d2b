"""The latents of rows as a frame: what is believed of each, given what is known."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from causalsys.detect.loss import Values
from causalsys.replace.belief import Belief
from causalsys.scm.supports import Categorical


def latents_of(belief: Belief, names: list[str]) -> dict[str, Values]:
    """Columns by latent: `name=level` with a probability, or `name` and `name_sd`, `[row]` each."""
    weight = belief.sample_weight
    found: dict[str, Values] = {}
    for name in names:
        support = belief.fitted.schema.supports[name]
        value = belief.values[name]
        if isinstance(support, Categorical):
            for code, level in enumerate(support.levels or ()):
                here = (value == code).double().expand(weight.shape)
                found[f"{name}={level}"] = (here * weight).sum((0, 1)).numpy()
            continue
        for label, part in _scalars(name, value, support.size):
            part = part.expand(weight.shape)
            mean = (part * weight).sum((0, 1))
            found[label] = mean.numpy()
            found[f"{label}_sd"] = torch.sqrt(((part - mean) ** 2 * weight).sum((0, 1))).numpy()
    return found


def _scalars(name: str, value: Tensor, size: int | None) -> Iterator[tuple[str, Tensor]]:
    if size is None:
        yield name, value.double()
        return
    for i in range(size):
        yield f"{name}_{i}", value[..., i].double()


__all__ = ["latents_of"]
