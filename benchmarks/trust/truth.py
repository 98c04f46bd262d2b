"""Systems whose truth is known: equations in NumPy, with noises that can be kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import causalsys as cs
from causalsys.scm.specs import MechanismSpec
from causalsys.scm.supports import Boolean, Categorical, Support

Array = NDArray[np.float64]
Columns = Mapping[str, Array]
World = Mapping[str, float]


@dataclass(frozen=True)
class Equation:
    """One variable's true mechanism.

    Attributes:
        parents: Its direct causes.
        support: Its support.
        value: From its noise and the values of all variables to its value.
        spec: The family that the model declares for it; None leaves it to `cs.auto`.
        latent: Whether the model is not shown it.
    """

    parents: tuple[str, ...]
    support: Support
    value: Callable[[Array, Columns], Array]
    spec: MechanismSpec | None = None
    latent: bool = False

    def noise(self, rows: int, random: np.random.Generator) -> Array:
        """Standard normal `[row]`; for a category standard Gumbel, `[row, level]`."""
        if isinstance(self.support, Categorical):
            return random.gumbel(size=(rows, self.support.cardinality))
        return random.standard_normal(rows)


@dataclass(frozen=True)
class Truth:
    """A structural causal model that is known.

    Attributes:
        equations: By variable, causes first.
    """

    equations: Mapping[str, Equation]

    def noises(self, rows: int, *, seed: int) -> dict[str, Array]:
        """The noises of so many rows."""
        random = np.random.default_rng(seed)
        return {name: each.noise(rows, random) for name, each in self.equations.items()}

    def values(self, noises: Columns, do: World | None = None) -> dict[str, Array]:
        """Every variable in the world in which `do` is done, the noises being these."""
        found: dict[str, Array] = {}
        rows = len(next(iter(noises.values())))
        for name, each in self.equations.items():
            if do and name in do:
                found[name] = np.full(rows, float(do[name]))
            else:
                found[name] = each.value(noises[name], found)
        return found

    def seen(self, values: Columns) -> pd.DataFrame:
        """The columns that are observed, as a user would have them."""
        return pd.DataFrame(
            {
                name: values[name].astype(bool)
                if isinstance(each.support, Boolean)
                else values[name].astype(int)
                if isinstance(each.support, Categorical | cs.Count)
                else values[name]
                for name, each in self.equations.items()
                if not each.latent
            }
        )

    def mean(self, name: str, do: World | None = None, *, rows: int, seed: int) -> float:
        """The mean of a variable under an intervention, by Monte Carlo over the true noises."""
        return float(self.values(self.noises(rows, seed=seed), do)[name].mean())

    def model(self, title: str) -> type[cs.SCM]:
        """The declaration of the same graph and families, latents as latents."""
        effects: dict[str, list[str]] = {name: [] for name in self.equations}
        for name, each in self.equations.items():
            for parent in each.parents:
                effects[parent].append(name)
        variables: dict[str, cs.Latent | cs.Observed] = {}
        for name, each in self.equations.items():
            if each.latent:
                variables[name] = cs.Latent(each.support)
            elif each.spec is None:
                variables[name] = cs.Observed(each.support)
            else:
                variables[name] = cs.Observed(each.support, mechanism=each.spec)
        return cs.SCM.from_graph(effects, name=title, variables=variables)
