"""The small SCMs on which papers on flows and diffusion measure counterfactual error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = Mapping[str, Array]
Equation = Callable[[Rows, Array], Array]


@dataclass(frozen=True)
class PublicSCM:
    """A system whose equations are known.

    Attributes:
        name: What the papers call it.
        parents: The parents of each variable, causes before effects.
        equations: Each variable from its parents and its own standard normal noise.
    """

    name: str
    parents: Mapping[str, tuple[str, ...]]
    equations: Mapping[str, Equation]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Every (cause, effect)."""
        return [(cause, effect) for effect, causes in self.parents.items() for cause in causes]

    def below(self, cause: str) -> tuple[str, ...]:
        """What depends on `cause`, causes before effects."""
        reached = {cause}
        for name, causes in self.parents.items():
            if reached.intersection(causes):
                reached.add(name)
        return tuple(name for name in self.parents if name in reached - {cause})

    def noise(self, rows: int, *, rng: np.random.Generator) -> pd.DataFrame:
        """Standard normal noises."""
        names = list(self.parents)
        return pd.DataFrame(rng.standard_normal((rows, len(names))), columns=names)

    def values(self, noise: pd.DataFrame, *, do: Mapping[str, float] | None = None) -> pd.DataFrame:
        """What the noises lead to, when `do` is done."""
        found: dict[str, Array] = {}
        for name, equation in self.equations.items():
            own = noise[name].to_numpy()
            fixed = (do or {}).get(name)
            found[name] = equation(found, own) if fixed is None else np.full_like(own, fixed)
        return pd.DataFrame(found)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


_THREE = {"x1": (), "x2": ("x1",), "x3": ("x1", "x2")}

PUBLIC = (
    PublicSCM(
        "triangle, linear",
        _THREE,
        {
            "x1": lambda x, u: u + 1,
            "x2": lambda x, u: 10 * x["x1"] - u,
            "x3": lambda x, u: 0.5 * x["x2"] + x["x1"] + u,
        },
    ),
    PublicSCM(
        "triangle, nonlinear",
        _THREE,
        {
            "x1": lambda x, u: u,
            "x2": lambda x, u: 2 * x["x1"] ** 2 + u,
            "x3": lambda x, u: 20 * _sigmoid(x["x2"] ** 2 - x["x1"]) + u,
        },
    ),
    PublicSCM(
        "chain",
        {"x1": (), "x2": ("x1",), "x3": ("x2",)},
        {
            "x1": lambda x, u: u,
            "x2": lambda x, u: np.exp(x["x1"] / 2) + u / 4,
            "x3": lambda x, u: (x["x2"] - 5) ** 3 / 15 + u,
        },
    ),
    PublicSCM(
        "fork",
        {"x1": (), "x2": (), "x3": ("x1", "x2"), "x4": ("x3",)},
        {
            "x1": lambda x, u: u,
            "x2": lambda x, u: u,
            "x3": lambda x, u: 4 * _sigmoid(x["x1"] + x["x2"]) - x["x2"] ** 2 + u / 2,
            "x4": lambda x, u: 20 * _sigmoid(x["x3"] - x["x3"] ** 2 / 2) + u,
        },
    ),
    PublicSCM(
        "diamond",
        _THREE | {"x4": ("x2", "x3")},
        {
            "x1": lambda x, u: u,
            "x2": lambda x, u: x["x1"] ** 2 + u / 2,
            "x3": lambda x, u: x["x2"] ** 2 - 2 * _sigmoid(x["x1"]) + u / 2,
            "x4": lambda x, u: x["x3"] / (np.abs(x["x2"] + 2) + x["x3"] + 0.5) + u / 10,
        },
    ),
    PublicSCM(
        "Simpson",
        _THREE | {"x4": ("x3",)},
        {
            "x1": lambda x, u: u,
            "x2": lambda x, u: _softplus(1 - x["x1"]) + np.sqrt(3 / 20) * u,
            "x3": lambda x, u: np.tanh(2 * x["x2"]) + 1.5 * x["x1"] - 1 + np.tanh(u),
            "x4": lambda x, u: (x["x3"] - 4) / 5 + 3 + u / np.sqrt(10),
        },
    ),
    PublicSCM(
        "Simpson, product",
        _THREE | {"x4": ("x1",)},
        {
            "x1": lambda x, u: u,
            "x2": lambda x, u: 2 * np.tanh(2 * x["x1"]) + u / np.sqrt(10),
            "x3": lambda x, u: x["x1"] * x["x2"] / 2 + u / np.sqrt(2),
            "x4": lambda x, u: np.tanh(1.5 * x["x1"]) + np.sqrt(0.3) * u,
        },
    ),
)
