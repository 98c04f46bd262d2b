"""What a loss depends on: what the predictor reads, causes it does not read, effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.subject import Subject
from causalsys.scm.supports import Categorical, Fraction, Positive

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """The columns of a question, by what they are to the target.

    Attributes:
        subject: Predictor, target and model.
        read: What the predictor reads.
        unread: Logged causes of the target that it does not read.
        effects: Logged direct effects of the target that it does not read.
        logs: The columns that are positive in all rows, and enter by their logarithm.
    """

    subject: Subject
    read: tuple[str, ...]
    unread: tuple[str, ...]
    effects: tuple[str, ...]
    logs: frozenset[str]

    @classmethod
    def of(cls, subject: Subject, before: pd.DataFrame, after: pd.DataFrame) -> Self:
        """Sort the columns of two periods."""
        read = subject.predictor.inputs
        nodes, target = subject.fitted.declaration.nodes, subject.target
        causes = logged_causes(subject, target)
        children = [
            name
            for name, node in nodes.items()
            if node.kind != "latent" and any(ref.name == target for ref in node.parents)
        ]
        here = [n for n in causes if n not in read and n in before.columns and n in after.columns]
        effects = [n for n in children if n not in read and n in before and n in after]
        logs = frozenset(
            name
            for name, support in subject.fitted.schema.supports.items()
            if isinstance(support, Positive)
            and not support.size
            and name in before
            and name in after
            and min(before[name].min(), after[name].min()) > 0
        )
        return cls(subject, read, tuple(here), tuple(effects), logs)

    @property
    def every(self) -> tuple[str, ...]:
        """What is read, and the causes that are not."""
        return (*self.read, *self.unread)

    def features(self, rows: pd.DataFrame, names: Sequence[str]) -> Floats:
        """Numbers, or one column per level but the first: `[row, feature]`."""
        found: list[Floats] = []
        for name in names:
            support = self.subject.fitted.schema.supports[name]
            if isinstance(support, Categorical):
                value = rows[name].to_numpy()
                found += [(value == level).astype(float) for level in (support.levels or ())[1:]]
            else:
                value = rows[name].to_numpy(dtype=float)
                found.append(np.log(value) if name in self.logs else value)
        return np.stack(found, -1) if found else np.zeros((len(rows), 0))

    def linked(self, truth: Floats) -> Floats:
        """The target where its noise is added: the logarithm of what is positive."""
        if self.subject.target in self.logs:
            return np.log(truth)
        return truth

    def unlinked(self, value: Floats) -> Floats:
        """The way back."""
        if self.subject.target in self.logs:
            return np.exp(value)
        support = self.subject.fitted.schema.supports[self.subject.target]
        if isinstance(support, Fraction):
            return np.clip(value, 0.0, 1.0)
        return value


def logged_causes(subject: Subject, name: str) -> list[str]:
    """The logged variables that cause another directly, or by way of what is not logged."""
    nodes = subject.fitted.declaration.nodes
    found: list[str] = []
    open_names = [ref.name for ref in nodes[name].parents]
    while open_names:
        each = open_names.pop()
        hidden = nodes[each].kind == "latent"
        if hidden:
            open_names += [ref.name for ref in nodes[each].parents]
        elif each not in found and not subject.fitted.schema.supports[each].size:
            found.append(each)
    return [each for each in nodes if each in found]


__all__ = ["Columns", "Floats", "logged_causes"]
