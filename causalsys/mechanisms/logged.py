"""A policy that is logged and never asked again: no parameters, nothing to fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn, Self

import torch
from torch import Tensor

from causalsys.errors import QueryError
from causalsys.mechanisms.base import Mechanism, Parents, Sample
from causalsys.mechanisms.training import Training


@dataclass(frozen=True)
class LoggedMechanism(Mechanism):
    """What was chosen is known, and how is not: every question about the how is refused."""

    @property
    def resampled(self) -> bool:
        return False

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        return self

    def fit(self, sample: Sample, *, training: Training) -> Self:
        return self

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        raise _refusal(self.parents)

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        raise _refusal(self.parents)

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        raise _refusal(self.parents)

    def draw_noise(self, shape: tuple[int, ...], *, generator: torch.Generator) -> NoReturn:
        raise _refusal(self.parents)


def _refusal(parents: Mapping[str, object]) -> QueryError:
    looked = f" of {', '.join(parents)}" if parents else ""
    return QueryError(
        "Logged",
        found=f"a question that needs what a logged policy would choose{looked}, which was not "
        "fitted",
        mend="Set the decision by a policy of yours in `do`, or declare it with a mechanism that "
        "can be fitted, such as cs.GumbelMax().",
    )
