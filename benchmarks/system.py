"""Random linear systems, with their data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

import causalsys as cs
from causalsys.scm.specs import MechanismSpec


@dataclass(frozen=True)
class System:
    """A linear system.

    Attributes:
        slopes: For each variable, in causal order, the slope of each of its causes.
    """

    slopes: Mapping[str, Mapping[str, float]]

    @classmethod
    def random(cls, nodes: int, edges: int, *, seed: int) -> System:
        """Any directed acyclic graph of this size in which the first variable causes the last."""
        random = np.random.default_rng(seed)
        names = [f"x{i}" for i in range(nodes)]
        chain = [(i, i + 1) for i in range(nodes - 1)][:edges]
        others = [(i, j) for j in range(nodes) for i in range(j - 1)]
        chosen = random.permutation(len(others))[: edges - len(chain)]
        return cls._of(names, [*chain, *(others[k] for k in chosen)], random)

    @classmethod
    def long(cls, nodes: int, *, seed: int) -> System:
        """A chain in which every variable has one more cause among the ten before it."""
        random = np.random.default_rng(seed)
        names = [f"x{i}" for i in range(nodes)]
        chain = [(i, i + 1) for i in range(nodes - 1)]
        more = [(int(random.integers(max(j - 10, 0), j - 1)), j) for j in range(2, nodes)]
        return cls._of(names, [*chain, *more], random)

    @classmethod
    def _of(
        cls, names: list[str], edges: list[tuple[int, int]], random: np.random.Generator
    ) -> System:
        slopes: dict[str, dict[str, float]] = {name: {} for name in names}
        for cause, effect in edges:
            slopes[names[effect]][names[cause]] = float(random.uniform(-0.7, 0.7))
        return cls(slopes)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """All pairs (cause, effect)."""
        return [(cause, effect) for effect, causes in self.slopes.items() for cause in causes]

    @property
    def last(self) -> str:
        """The last variable, which the first one causes."""
        return list(self.slopes)[-1]

    def model(self, mechanism: MechanismSpec) -> type[cs.SCM]:
        """The system as a user declares it; roots follow their data."""
        effects: dict[str, list[str]] = {name: [] for name in self.slopes}
        for cause, effect in self.edges:
            effects[cause].append(effect)
        roots = {name for name, causes in self.slopes.items() if not causes}
        return cs.SCM.from_graph(
            effects,
            default=cs.Observed(cs.Real(), mechanism=mechanism),
            variables={name: cs.Observed(cs.Real(), mechanism=cs.Marginal()) for name in roots},
        )

    def data(self, rows: int, *, seed: int) -> pd.DataFrame:
        """Rows of the system, with standard normal noise."""
        random = np.random.default_rng(seed)
        columns: dict[str, np.ndarray] = {}
        for name, causes in self.slopes.items():
            columns[name] = random.standard_normal(rows)
            for cause, slope in causes.items():
                columns[name] += slope * columns[cause]
        return pd.DataFrame(columns)
